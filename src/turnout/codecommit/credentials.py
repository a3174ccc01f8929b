"""Who pushes: HTTP basic authentication as the AWS CLI's credential helper does it, when keys are configured.

The helper signs "GIT\\n<path>\\n\\nhost:<host>\\n\\nhost\\n" and sends the key id as the user and the time with the
signature as the password (awscli/customizations/codecommit.py). The secret itself is taken as a password too, as a
user's static Git credentials are on AWS.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

_PASSWORD = re.compile(r"(?P<at>\d{8}T\d{6})Z(?P<signature>[0-9a-f]{64})")

LONGEST_S = 15 * 60
"""How long a signature is good for."""


def is_allowed(keys: Mapping[str, str], headers: Mapping[str, str], path: str, region: str, now: float) -> bool:
    """Whether a request for `path` comes from somebody who knows one of the keys; everybody, when there are none."""
    if not keys:
        return True
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        key_id, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    secret = keys.get(key_id)
    if secret is None:
        return False
    if hmac.compare_digest(password.encode(), secret.encode()):
        return True
    found = _PASSWORD.fullmatch(password)
    if found is None:
        return False
    at = datetime.strptime(found["at"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
    expected = signature_for(secret, headers.get("host", ""), path, region, found["at"])
    return abs(now - at) <= LONGEST_S and hmac.compare_digest(found["signature"], expected)


def signature_for(secret: str, host: str, path: str, region: str, at: str) -> str:
    """The signature of the helper: of the path of the repository, without what git appends to it."""
    day = at.partition("T")[0]
    name = host.split(":")[0]  # without the port, and an IPv6 address as that helper cuts it
    canonical = f"GIT\n{path}\n\nhost:{name}\n\nhost\n"
    text = f"AWS4-HMAC-SHA256\n{at}\n{day}/{region}/codecommit/aws4_request\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, "codecommit", "aws4_request"):
        key = hmac.digest(key, part.encode(), sha256)
    return hmac.digest(key, text.encode(), sha256).hex()

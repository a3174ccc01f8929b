"""AWS Signature Version 4: who signed a request, and whether the signature is right.

The signing itself is botocore's. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from turnout.errors import AwsError
from turnout.gateway.protocol import Wire
from turnout.names import is_region

_SCOPE = re.compile(r"Credential=(?P<key>[^/,]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_SIGNED = re.compile(r"SignedHeaders=(?P<names>[^,\s]+)")
_SIGNATURE = re.compile(r"Signature=(?P<signature>[0-9a-f]{64})")

LONGEST_S = 15 * 60
"""How far the time of a signature may be from ours: later, whoever has seen the request could send it again."""


@dataclass(frozen=True)
class Credential:
    """The scope of a signature."""

    key_id: str
    region: str
    service: str


def credential_of(wire: Wire) -> Credential | None:
    """Who says to have signed a request: the Authorization header, or the query of a presigned URL."""
    text = wire.headers.get("authorization", "")
    if "X-Amz-Credential" in wire.query:
        text = "Credential=" + dict(parse_qsl(wire.query)).get("X-Amz-Credential", "")
    found = _SCOPE.search(text)
    return Credential(found["key"], found["region"], found["service"]) if found else None


def check_region(credential: Credential) -> None:
    """Raise AwsError unless the region looks like one."""
    if not is_region(credential.region):
        message = f"Credential should be scoped to a valid region, not '{credential.region}'."
        raise AwsError("InvalidSignatureException", message, 403)


class _Recorded(SigV4Auth):
    """Signs exactly the headers that the client has signed."""

    def __init__(self, credentials: Credentials, service: str, region: str, names: list[str]) -> None:
        super().__init__(credentials, service, region)
        self._names = names

    def headers_to_sign(self, request: Any) -> Any:
        headers = HTTPHeaders()
        for name in self._names:
            if name in request.headers:
                headers[name] = request.headers[name]
        return headers


class _RecordedS3(_Recorded, S3SigV4Auth):
    """S3 does not normalise the path."""


def verify(wire: Wire, keys: Mapping[str, str], now: float) -> None:
    """Raise AwsError unless the request carries a right and fresh signature of one of the keys, and the signed body."""
    authorization = wire.headers.get("authorization", "")
    scope, signed = _SCOPE.search(authorization), _SIGNED.search(authorization)
    signature = _SIGNATURE.search(authorization)
    if not (scope and signed and signature):
        raise AwsError(
            "MissingAuthenticationTokenException",
            "The request must be signed with Signature Version 4, in its Authorization header.",
            403,
        )
    secret = keys.get(scope["key"])
    if secret is None:
        raise AwsError("UnrecognizedClientException", f"The access key {scope['key']} is not one of turnout's.", 403)
    names = signed["names"].split(";")
    url = f"http://{wire.headers.get('host', '')}{wire.path}"
    pairs: Any = parse_qsl(wire.query, keep_blank_values=True)  # botocore takes them, too: a name may be there twice
    request = AWSRequest(wire.method, url, data=wire.body, params=pairs)
    for name in names:
        if name in wire.headers:
            request.headers[name] = wire.headers[name]
    request.context["timestamp"] = wire.headers.get("x-amz-date", "")
    kind = _RecordedS3 if scope["service"] == "s3" else _Recorded
    auth = kind(Credentials(scope["key"], secret), scope["service"], scope["region"], names)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not hmac.compare_digest(expected, signature["signature"]):
        raise AwsError(
            "InvalidSignatureException", "The signature does not match the one that turnout calculated.", 403
        )
    _check_time(wire.headers.get("x-amz-date", ""), now)
    if "x-amz-content-sha256" in names:
        _check_body(wire, is_s3=scope["service"] == "s3")


def _check_time(signed_at: str, now: float) -> None:
    try:
        at = datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise AwsError("IncompleteSignatureException", "X-Amz-Date must read YYYYMMDDTHHMMSSZ.", 403) from error
    if abs(now - at) > LONGEST_S:
        ours = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        message = f"Signature expired: {signed_at} is more than {LONGEST_S // 60} minutes from {ours}. Set the clock."
        raise AwsError("InvalidSignatureException", message, 403)


def _check_body(wire: Wire, *, is_s3: bool) -> None:
    """What was signed is what the header says of the body. Only S3 lets a client leave it unsaid."""
    said = wire.headers.get("x-amz-content-sha256", "")
    if is_s3 and (said == "UNSIGNED-PAYLOAD" or said.startswith("STREAMING-")):
        return
    if not hmac.compare_digest(said.encode(), sha256(wire.body).hexdigest().encode()):
        code = "XAmzContentSHA256Mismatch" if is_s3 else "InvalidSignatureException"
        status = 400 if is_s3 else 403
        raise AwsError(code, "The provided 'x-amz-content-sha256' header does not match what was computed.", status)

"""SSH public keys of IAM users, with which git authenticates. Shared with moto, which keeps them: an upload is looked
at here first, and a fingerprint is the key's, not its text's.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadSSHPublicKey.html
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from turnout.aws import Answer, Call, Others
from turnout.errors import AwsError

LEAST_BITS = 2048
MOST_KEYS = 5
"""Per user. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


@dataclass(frozen=True)
class UserKey:
    """An active key, and whose it is."""

    principal: str
    """The ARN of the IAM user."""
    public: str
    """ "ssh-rsa AAAA…" """


class SshKeys:
    """UploadSSHPublicKey and GetSSHPublicKey; moto answers the others."""

    SERVICE = "iam"

    def __init__(self, others: Others) -> None:
        self._others = others

    def upload_ssh_public_key(self, call: Call) -> Answer:
        user, body = call["UserName"], call["SSHPublicKeyBody"]
        public = in_openssh(body)
        keys = self._keys(call.region, user)
        if any(in_openssh(self._get(call.region, user, key["SSHPublicKeyId"])) == public for key in keys):
            raise AwsError("DuplicateSSHPublicKey", f"The SSH public key is already associated with the user {user}.")
        if len(keys) >= MOST_KEYS:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for SSHPublicKeysPerUser: {MOST_KEYS}", 409)
        answer = self._others.call("iam", "UploadSSHPublicKey", call.region, call.input)
        return {"SSHPublicKey": {**answer["SSHPublicKey"], "Fingerprint": fingerprint(public)}}

    def get_ssh_public_key(self, call: Call) -> Answer:
        key = self._others.call("iam", "GetSSHPublicKey", call.region, call.input)["SSHPublicKey"]
        public = in_openssh(key["SSHPublicKeyBody"])
        body = public if call["Encoding"] == "SSH" else in_pem(public)
        return {"SSHPublicKey": {**key, "SSHPublicKeyBody": body, "Fingerprint": fingerprint(public)}}

    def find(self, key_id: str, region: str) -> UserKey | None:
        """The active key with an id ("APKA…"), whoever's it is."""
        for user in self._all(region, "ListUsers", "Users"):
            for key in self._keys(region, user["UserName"]):
                if key["SSHPublicKeyId"] == key_id and key["Status"] == "Active":
                    return UserKey(user["Arn"], in_openssh(self._get(region, user["UserName"], key_id)))
        return None

    def _keys(self, region: str, user: str) -> list[dict[str, Any]]:
        return self._all(region, "ListSSHPublicKeys", "SSHPublicKeys", UserName=user)

    def _get(self, region: str, user: str, key_id: str) -> str:
        params = {"UserName": user, "SSHPublicKeyId": key_id, "Encoding": "SSH"}
        body: str = self._others.call("iam", "GetSSHPublicKey", region, params)["SSHPublicKey"]["SSHPublicKeyBody"]
        return body

    def _all(self, region: str, operation: str, member: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._others.call("iam", operation, region, params)
            found += page[member]
            if not page.get("IsTruncated"):
                return found
            params["Marker"] = page["Marker"]


def in_openssh(body: str) -> str:
    """A key as "ssh-rsa AAAA…", without its comment. Raises UnrecognizedPublicKeyEncoding, InvalidPublicKey."""
    text = body.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = serialization.load_pem_public_key(text.encode())
        else:
            key = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        if text.startswith(("ssh-rsa ", "-----BEGIN")):
            raise AwsError("InvalidPublicKey", f"The public key is malformed or otherwise invalid: {error}") from error
        raise AwsError("UnrecognizedPublicKeyEncoding", _encodings("its encoding is neither")) from error
    if not isinstance(key, RSAPublicKey):
        raise AwsError("UnrecognizedPublicKeyEncoding", _encodings(f"it is {text.split()[0]}"))
    if key.key_size < LEAST_BITS:
        raise AwsError("InvalidPublicKey", f"An RSA key must have {LEAST_BITS} bits at least, this has {key.key_size}")
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def in_pem(public: str) -> str:
    """An OpenSSH key in PEM."""
    key = serialization.load_ssh_public_key(public.encode())
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(public: str) -> str:
    """IAM's: MD5 of the key, in pairs with colons between, as `ssh-keygen -E md5 -lf` shows it."""
    digest = hashlib.md5(base64.b64decode(public.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _encodings(why: str) -> str:
    return f"The public key must be encoded in ssh-rsa or PEM format: {why}. `ssh-keygen -t rsa -b 4096` makes one."

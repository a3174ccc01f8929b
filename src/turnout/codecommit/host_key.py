"""The host key of the SSH endpoint: made once per home, and the same ever after, so that clients can pin it.

It is an RSA key, as CodeCommit's own are: `ssh-keyscan -t rsa` finds it.
https://docs.aws.amazon.com/codecommit/latest/userguide/regions.html#regions-fingerprints
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from turnout.errors import SetupError

BITS = 2048


@dataclass(frozen=True)
class HostKey:
    private: bytes
    """In OpenSSH's format."""
    public: str
    """ "ssh-rsa AAAA…" """

    @property
    def fingerprint(self) -> str:
        """As ssh shows it: "SHA256:…"."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def known_host(self, host: str, port: int) -> str:
        """The line of a known_hosts file."""
        return f"{host if port == 22 else f'[{host}]:{port}'} {self.public}\n"


def ensure_host_key(folder: Path) -> HostKey:
    """The key in the folder, made if it is not there. Raises SetupError if what is there is none."""
    path = folder / "host_key"
    if not path.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        made = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
        written = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    private = path.read_bytes()
    try:
        key = serialization.load_ssh_private_key(private, password=None)
    except ValueError as error:
        raise SetupError(
            f"{path} is not a private key: {error}. Bring it back from a backup, or remove it: a new one is made, and"
            " whoever pinned the old one must pin the new."
        ) from error
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return HostKey(private, public.decode())

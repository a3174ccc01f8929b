"""Who can trust the certificate authority of a home: the store of the system, and those of browsers.

A store has `words` to be told by, knows whether it `trusts` an anchor, and can `add` and `remove` it.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LABEL = "turnout local CA"


@dataclass(frozen=True)
class Anchor:
    """The certificate of an authority. `digits` are the first of its SHA-256 fingerprint: authorities have one name."""

    path: Path
    pem: str
    digits: str

    @property
    def nickname(self) -> str:
        """What browsers call it."""
        return f"{LABEL} {self.digits}"

    @property
    def file_name(self) -> str:
        """Debian takes nothing but .crt."""
        return f"turnout-{self.digits}.crt"


class Store(Protocol):
    """A place in which clients look up whom they trust."""

    words: str

    def trusts(self, anchor: Anchor) -> bool: ...

    def add(self, anchor: Anchor) -> None:
        """Raises SetupError if it does not trust the anchor afterwards."""
        ...

    def remove(self, anchor: Anchor) -> None:
        """What is not there is removed. Raises SetupError."""
        ...

    def strays(self, anchor: Anchor | None) -> list[str]:
        """The names of other authorities of turnout's that it trusts: those of former homes."""
        ...

    def remove_stray(self, name: str) -> None: ...


def read_anchor(path: Path) -> Anchor:
    """The certificate in a file."""
    pem = path.read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
    return Anchor(path, pem, digest[:12])

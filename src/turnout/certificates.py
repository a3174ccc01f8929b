"""The certificates that are kept here, and their keys: what ACM issues or is given, and load balancers serve.

A certificate is a document by its ARN, in the shape in which ACM describes it, with its PEM; its key is a file of its
own that only the owner of the home can read. A key is on the disk before the document that names it is committed, so
a kill leaves a file too many at worst: the next start removes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnout.authority import put_new
from turnout.names import is_arn, new_uuid, resource_of
from turnout.store import Shelf, Store, Transaction

Document = dict[str, Any]

Heard = Callable[[Transaction, str], None]


@dataclass(frozen=True)
class Material:
    """What a server needs of a certificate. `name` is unique and fit for a file; PEM, the leaf first."""

    name: str
    domains: tuple[str, ...]
    chain: str
    key: str = field(repr=False)


class Certificates:
    """Kept under their ARNs. Whoever serves them hears of every change, inside its transaction."""

    def __init__(self, store: Store, keys: Path) -> None:
        """`keys`: the folder of the keys."""
        self._shelf = Shelf(store, "acm.certificate")
        self._keys = keys
        self._listeners: list[Heard] = []

    def start(self) -> None:
        """Remove the keys that no certificate names."""
        named = {document.get("key") for _, document in self._shelf.everywhere()}
        if self._keys.exists():
            for path in self._keys.iterdir():
                if path.name not in named:
                    path.unlink()

    def listen(self, heard: Heard) -> None:
        """Have `heard` called with the ARN of a certificate that is another one now, or gone."""
        self._listeners.append(heard)

    def find(self, arn: str) -> Document | None:
        return self._shelf.find(_region(arn), arn) if is_arn(arn) else None

    def of_region(self, region: str) -> list[Document]:
        return self._shelf.list(region)

    def everywhere(self) -> list[Document]:
        return [document for _, document in self._shelf.everywhere()]

    def put(self, tx: Transaction, document: Document) -> None:
        """Keep a certificate. Its member `key` is the name of its key's file, once it has one (`keep_key`)."""
        arn = document["CertificateArn"]
        was = self.find(arn) or {}
        self._shelf.put(tx, _region(arn), arn, document)
        if was.get("key") != document.get("key"):
            self._changed(tx, arn, was.get("key"))

    def delete(self, tx: Transaction, document: Document) -> None:
        arn = document["CertificateArn"]
        self._shelf.delete(tx, _region(arn), arn)
        self._changed(tx, arn, document.get("key"))

    def keep_key(self, pem: str) -> str:
        """Write a key down, before the commit that names it. Returns its name."""
        self._keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{new_uuid()}.pem"
        put_new(self._keys / name, pem)
        return name

    def key_of(self, document: Document) -> str:
        """The private key as PEM."""
        path = self._keys / str(document["key"])
        return path.read_text()

    def material(self, arn: str) -> Material | None:
        """What to serve; None while there is nothing: not issued yet, deleted, or without its key."""
        document = self.find(arn)
        if document is None or not document.get("key"):
            return None
        try:
            key = self.key_of(document)
        except FileNotFoundError:
            return None
        domains = tuple(name.lower() for name in document["SubjectAlternativeNames"])
        return Material(certificate_id(arn), domains, pem_chain(document), key)

    def _changed(self, tx: Transaction, arn: str, former_key: str | None) -> None:
        for heard in self._listeners:
            heard(tx, arn)
        if former_key is not None:
            tx.after_commit(lambda: (self._keys / former_key).unlink(missing_ok=True))


def pem_chain(document: Document) -> str:
    """The certificate and what vouches for it, in the order in which a server sends them."""
    parts = (document["Certificate"], document.get("Chain") or "")
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts if part)


def certificate_id(arn: str) -> str:
    """The last part of an ARN of ACM's."""
    return resource_of(arn).partition("/")[2]


def _region(arn: str) -> str:
    return arn.split(":")[3]

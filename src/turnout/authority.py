"""The certificate authority of a home: what signs the certificates that ACM issues here.

Its key is in the home, readable by its owner only, and made when it is first needed. Nothing trusts it by itself:
`turnout trust install` adds it to the system's store, and clients can be handed its certificate (`curl --cacert`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

NAME = "turnout local CA"
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 395
"""As long as ACM's: 13 months. https://docs.aws.amazon.com/acm/latest/userguide/acm-certificate-characteristics.html"""


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """`folder` holds ca.pem and ca.key; cryptography is loaded when something is to be signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """Its certificate, which clients have to trust. `ensure` makes it."""
        return self._folder / "ca.pem"

    def ensure(self) -> str:
        """Its certificate as PEM."""
        if not self.path.exists():
            self._make()
        return self.path.read_text()

    def issue(self, names: Sequence[str], algorithm: str, at: float) -> Issued:
        """A certificate for these names, the first of which is its subject. `algorithm` is ACM's KeyAlgorithm."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        root = x509.load_pem_x509_certificate(self.ensure().encode())
        signer: Any = serialization.load_pem_private_key(self._key.read_bytes(), None)
        key = _new_key(algorithm)
        # A common name has 64 characters at most; clients read the alternative names alone.
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else [])
        begins = datetime.fromtimestamp(at, UTC) - timedelta(hours=1)  # for clocks that are a little behind
        builder = _of(subject, root.subject, key.public_key(), begins, timedelta(days=CERTIFICATE_DAYS))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        for extension, is_critical in (
            (x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), not list(subject)),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True, key_encipherment=algorithm.startswith("RSA")), True),
            (x509.ExtendedKeyUsage(usages), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False),  # type: ignore[arg-type]
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ):
            builder = builder.add_extension(extension, is_critical)
        return Issued(_pem(builder.sign(signer, _hash())), _key_pem(key))

    @property
    def _key(self) -> Path:
        return self._folder / "ca.key"

    def _make(self) -> None:
        """The key first: a certificate is there with its key, or not at all."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import NameOID

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._key.exists():
            put_new(self._key, _key_pem(_new_key("EC_prime256v1")))
        key: Any = serialization.load_pem_private_key(self._key.read_bytes(), None)
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, NAME),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME} {secrets.token_hex(4)}"),
            ]
        )
        begins = datetime.now(UTC) - timedelta(days=1)
        builder = _of(name, name, key.public_key(), begins, timedelta(days=AUTHORITY_DAYS))
        for extension, is_critical in (
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ):
            builder = builder.add_extension(extension, is_critical)
        put_new(self.path, _pem(builder.sign(key, _hash())), mode=0o644)


def put_new(path: Path, text: str, mode: int = 0o600) -> None:
    """Make a file as a whole; whoever was first has made it. It is on the disk when this returns."""
    draft = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _new_key(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    curves: dict[str, Callable[[], ec.EllipticCurve]] = {
        "EC_prime256v1": ec.SECP256R1,
        "EC_secp384r1": ec.SECP384R1,
        "EC_secp521r1": ec.SECP521R1,
    }
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm]())
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA_")))


def _of(subject: x509.Name, issuer: x509.Name, key: Any, begins: datetime, lasts: timedelta) -> x509.CertificateBuilder:
    from cryptography import x509

    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return made.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(begins + lasts)


def _usage(**used: bool) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: used.get(name, False) for name in every.split()})


def _hash() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )

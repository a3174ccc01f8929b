"""What a certificate says of itself, in ACM's words. PEM in, documents out; nothing is kept."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from turnout.errors import AwsError

Document = dict[str, Any]

EXTENDED = {
    "1.3.6.1.5.5.7.3.1": "TLS_WEB_SERVER_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.2": "TLS_WEB_CLIENT_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.3": "CODE_SIGNING",
    "1.3.6.1.5.5.7.3.4": "EMAIL_PROTECTION",
    "1.3.6.1.5.5.7.3.8": "TIME_STAMPING",
    "1.3.6.1.5.5.7.3.9": "OCSP_SIGNING",
    "2.5.29.37.0": "ANY",
}
USAGES = {
    "digital_signature": "DIGITAL_SIGNATURE",
    "content_commitment": "NON_REPUDIATION",
    "key_encipherment": "KEY_ENCIPHERMENT",
    "data_encipherment": "DATA_ENCIPHERMENT",
    "key_agreement": "KEY_AGREEMENT",
    "key_cert_sign": "CERTIFICATE_SIGNING",
    "crl_sign": "CRL_SIGNING",
}
CURVES = {"secp256r1": "EC_prime256v1", "secp384r1": "EC_secp384r1", "secp521r1": "EC_secp521r1"}


def facts_of(pem: str) -> Document:
    """The members of CertificateDetail that the certificate itself settles. Raises ValidationException."""
    certificate = _one(pem)
    names = _names(certificate)
    if not names:
        raise _invalid("The certificate names no domain: neither an alternative name nor a common name.")
    return {
        "DomainName": names[0],
        "SubjectAlternativeNames": names,
        "Serial": _serial(certificate.serial_number),
        "Subject": certificate.subject.rfc4514_string(),
        "Issuer": _organisation(certificate.issuer),
        "NotBefore": certificate.not_valid_before_utc.timestamp(),
        "NotAfter": certificate.not_valid_after_utc.timestamp(),
        "KeyAlgorithm": key_algorithm(certificate.public_key()),
        "SignatureAlgorithm": _signature(certificate),
        "KeyUsages": [{"Name": name} for name in _usages(certificate)],
        "ExtendedKeyUsages": _extended(certificate),
    }


def check_key(certificate_pem: str, key_pem: str) -> str:
    """The key in one form. Raises ValidationException unless it is the certificate's, and in clear."""
    try:
        key: Any = serialization.load_pem_private_key(key_pem.encode(), None)
    except TypeError:
        raise _invalid("The private key is encrypted: ACM takes it in clear.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _invalid("The private key provided is not in a valid PEM format.") from None
    certificate = _one(certificate_pem)
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise _invalid("The private key does not match the certificate.")
    clear = serialization.NoEncryption()
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear)
    return pem.decode()


def check_chain(certificate_pem: str, chain_pem: str) -> None:
    """Raise ValidationException unless each certificate is signed by the next."""
    try:
        chain = x509.load_pem_x509_certificates(chain_pem.encode())
    except ValueError:
        raise _invalid("The certificate chain provided is not in a valid PEM format.") from None
    signed = _one(certificate_pem)
    for signer in chain:
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            raise _invalid("Could not validate the certificate with the certificate chain.") from None
        signed = signer


def encrypted(key_pem: str, passphrase: bytes) -> str:
    """A private key as ExportCertificate gives it away."""
    key: Any = serialization.load_pem_private_key(key_pem.encode(), None)
    secret = serialization.BestAvailableEncryption(passphrase)
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    return pem.decode()


def key_algorithm(key: object) -> str:
    """ACM's KeyAlgorithm. Raises ValidationException for keys that ACM does not take."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in (1024, 2048, 3072, 4096):
        return f"RSA_{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    raise _invalid("The key is of a kind that ACM does not take: RSA of 1024 to 4096 bits, or P-256, P-384, P-521.")


def _one(pem: str) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _invalid("The certificate provided is not in a valid PEM format.") from None
    if len(found) > 1:
        raise _invalid(
            "The certificate field contains more than one certificate. You can specify only one certificate in this"
            " field: the others are the certificate chain."
        )
    return found[0]


def _names(certificate: x509.Certificate) -> list[str]:
    """The common name first, if it is one of a domain."""
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        alternative = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return common[:1]
    return list(dict.fromkeys([*(name for name in common[:1] if name in alternative), *alternative])) or common[:1]


def _serial(number: int) -> str:
    digits = f"{number:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _organisation(name: x509.Name) -> str:
    for oid in (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME):
        if found := name.get_attributes_for_oid(oid):
            return str(found[0].value)
    return name.rfc4514_string()


def _signature(certificate: x509.Certificate) -> str:
    signed = certificate.signature_hash_algorithm
    by = "ECDSA" if "ecdsa" in certificate.signature_algorithm_oid._name else "RSA"
    return f"{(signed.name if signed else '').upper()}WITH{by}"


def _usages(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return []
    return [name for member, name in USAGES.items() if getattr(found, member)]


def _extended(certificate: x509.Certificate) -> list[dict[str, str]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    return [{"Name": EXTENDED.get(one.dotted_string, "CUSTOM"), "OID": one.dotted_string} for one in found]


def _spki(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)

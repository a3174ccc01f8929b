"""Certificates that somebody else has signed: ImportCertificate, and what of them can be taken out again."""

from __future__ import annotations

from turnout.acm.room import Document, Room
from turnout.acm.tags import checked
from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.names import arn, new_uuid


class Imports(Room):
    def import_certificate(self, call: Call) -> Answer:
        """With the ARN of an imported certificate it is replaced, wherever it is in use. Raises ValidationException."""
        from turnout.acm.reading import check_chain, check_key, facts_of

        body = _text(call["Certificate"], "certificate")
        facts = facts_of(body)
        key = check_key(body, _text(call["PrivateKey"], "private key"))
        chain = _text(call["CertificateChain"], "certificate chain") if call.get("CertificateChain") else None
        if chain is not None:
            check_chain(body, chain)
        now = self.clock.now()
        if not facts["NotBefore"] <= now < facts["NotAfter"]:
            raise AwsError("ValidationException", "The certificate must be valid at the time of import.")
        was = self._replaced(call)
        certificate: Document = {
            "CertificateArn": was["CertificateArn"] if was else arn("acm", call.region, f"certificate/{new_uuid()}"),
            **facts,
            "Status": "ISSUED",
            "Type": "IMPORTED",
            "CreatedAt": was["CreatedAt"] if was else now,
            "ImportedAt": now,
            "Options": {"CertificateTransparencyLoggingPreference": "DISABLED"},
            "Tags": was["Tags"] if was else checked({}, call.get("Tags", ())),
            "Certificate": body,
            "Chain": chain,
            "key": self.certificates.keep_key(key),
        }
        with self.store.transaction() as tx:
            self.certificates.put(tx, certificate)
        return {"CertificateArn": certificate["CertificateArn"]}

    def get_certificate(self, call: Call) -> Answer:
        certificate = self._issued(call)
        return {"Certificate": certificate["Certificate"], "CertificateChain": certificate.get("Chain")}

    def export_certificate(self, call: Call) -> Answer:
        """Only of a certificate that was asked for with Options.Export ENABLED."""
        from turnout.acm.reading import encrypted

        certificate = self._issued(call)
        if certificate["Options"].get("Export") != "ENABLED":
            raise AwsError(
                "ValidationException",
                f"Certificate ARN: {certificate['CertificateArn']} is not a private certificate, and was not requested"
                " with Options.Export=ENABLED.",
            )
        if not call["Passphrase"]:
            raise AwsError("ValidationException", "The passphrase must not be empty.")
        return {
            "Certificate": certificate["Certificate"],
            "CertificateChain": certificate.get("Chain"),
            "PrivateKey": encrypted(self.certificates.key_of(certificate), bytes(call["Passphrase"])),
        }

    def _issued(self, call: Call) -> Document:
        certificate = self.one(call.region, call["CertificateArn"])
        if certificate["Status"] == "PENDING_VALIDATION":
            raise AwsError(
                "RequestInProgressException",
                f"Certificate {certificate['CertificateArn']} is still being validated: it is PENDING_VALIDATION.",
            )
        if not certificate.get("key"):
            raise AwsError(
                "ResourceNotFoundException",
                f"Certificate {certificate['CertificateArn']} was never issued: it is {certificate['Status']}.",
            )
        return certificate

    def _replaced(self, call: Call) -> Document | None:
        if not call.get("CertificateArn"):
            return None
        certificate = self.one(call.region, call["CertificateArn"])
        if certificate["Type"] != "IMPORTED":
            raise AwsError("ValidationException", "Only an imported certificate can be replaced by another import.")
        if call.get("Tags"):
            raise AwsError("ValidationException", "Tagging is not permitted on re-import.")
        return certificate


def _text(blob: bytes, what: str) -> str:
    try:
        return bytes(blob).decode("ascii")
    except UnicodeDecodeError:
        raise AwsError("ValidationException", f"The {what} provided is not in a valid PEM format.") from None

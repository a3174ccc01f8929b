"""Certificates that are asked for: their domains are validated, then the local authority signs them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.acm.room import ISSUANCE, Document, Room
from turnout.acm.tags import checked
from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.names import arn, new_uuid
from turnout.runs import StepSpec

ALGORITHMS = ("RSA_2048", "EC_prime256v1", "EC_secp384r1")
"""https://docs.aws.amazon.com/acm/latest/userguide/acm-certificate-characteristics.html"""
VALIDATED_WITHIN_S = 72 * 3600.0
"""https://docs.aws.amazon.com/acm/latest/userguide/troubleshooting-timed-out.html"""
SAME_TOKEN_S = 3600.0


class Requests(Room):
    """RequestCertificate, and the options of certificates that were asked for."""

    def request_certificate(self, call: Call) -> Answer:
        """PENDING_VALIDATION until each domain's CNAME record is in a public hosted zone here, for 72 hours at most."""
        names = list(dict.fromkeys(name.lower() for name in (call["DomainName"], *_alternatives(call))))
        algorithm = call.get("KeyAlgorithm", "RSA_2048")
        _check(call, algorithm)
        if (same := self._asked_before(call, names)) is not None:
            return {"CertificateArn": same}
        options = {"CertificateTransparencyLoggingPreference": "ENABLED", "Export": "DISABLED"}
        options |= {name: value for name, value in (call.get("Options") or {}).items() if name != "ValidationMethod"}
        certificate: Document = {
            "CertificateArn": arn("acm", call.region, f"certificate/{new_uuid()}"),
            "DomainName": names[0],
            "SubjectAlternativeNames": names,
            "DomainValidationOptions": [_validation(name) for name in names],
            "Subject": f"CN={names[0]}",
            "Status": "PENDING_VALIDATION",
            "Type": "AMAZON_ISSUED",
            "KeyAlgorithm": algorithm,
            "CreatedAt": self.clock.now(),
            "Options": options,
            "Tags": checked({}, call.get("Tags", ())),
            "Token": call.get("IdempotencyToken"),
        }
        with self.store.transaction() as tx:
            self.certificates.put(tx, certificate)
            self.runs.insert(
                tx,
                ISSUANCE,
                call.region,
                certificate["CertificateArn"],
                {"arn": certificate["CertificateArn"]},
                [StepSpec("Validate", 0, timeout_s=VALIDATED_WITHIN_S), StepSpec("Issue", 1)],
            )
        return {"CertificateArn": certificate["CertificateArn"]}

    def update_certificate_options(self, call: Call) -> Answer:
        certificate = self.one(call.region, call["CertificateArn"])
        if certificate["Type"] != "AMAZON_ISSUED":
            raise AwsError("ValidationException", "The options of imported certificates cannot be changed.")
        if "Export" in call["Options"] and call["Options"]["Export"] != certificate["Options"]["Export"]:
            raise AwsError("ValidationException", "Whether a certificate can be exported is settled by its request.")
        self.change(certificate, Options={**certificate["Options"], **call["Options"]})
        return {}

    def resend_validation_email(self, call: Call) -> Answer:
        self.one(call.region, call["CertificateArn"])
        raise AwsError(
            "InvalidStateException", "Only certificates that are validated by e-mail get one: this is by DNS."
        )

    def _asked_before(self, call: Call, names: Sequence[str]) -> str | None:
        """The same request within an hour, told by its token."""
        token = call.get("IdempotencyToken")
        for found in self.certificates.of_region(call.region) if token else ():
            is_young = self.clock.now() - found["CreatedAt"] < SAME_TOKEN_S
            if found.get("Token") == token and is_young and found["SubjectAlternativeNames"] == list(names):
                return str(found["CertificateArn"])
        return None


def _alternatives(call: Call) -> list[str]:
    return list(call.get("SubjectAlternativeNames") or ())


def _check(call: Call, algorithm: str) -> None:
    method = call.get("ValidationMethod", "EMAIL")
    if call.get("CertificateAuthorityArn"):
        raise AwsError(
            "InvalidArnException",
            "turnout has no AWS Private CA: leave CertificateAuthorityArn out, and its own signs.",
        )
    if method == "EMAIL":
        raise AwsError(
            "InvalidParameterException",
            "turnout sends no e-mails for the validation of domains (AWS's default): ask with ValidationMethod DNS.",
        )
    if method == "HTTP" or call.get("ManagedBy"):
        raise AwsError(
            "InvalidParameterException", "Validation by HTTP is CloudFront's: ask with ValidationMethod DNS."
        )
    if algorithm not in ALGORITHMS:
        raise AwsError(
            "InvalidParameterException",
            f"{algorithm} is not a key of public certificates: {', '.join(ALGORITHMS)} are.",
        )
    if call.get("CertificateUsage") == "CLIENT_AUTH_ONLY":
        raise AwsError("InvalidParameterException", "turnout does not issue certificates for clients alone.")


def _validation(domain: str) -> dict[str, Any]:
    """What has to be in DNS. As on AWS it follows from the domain: the next request for it needs no new record."""
    bare = domain.removeprefix("*.")
    return {
        "DomainName": domain,
        "ValidationDomain": domain,
        "ValidationStatus": "PENDING_VALIDATION",
        "ResourceRecord": {
            "Name": f"_{_digest('name', bare)}.{bare}.",
            "Type": "CNAME",
            "Value": f"_{_digest('value', bare)}.{_letters(bare)}.acm-validations.aws.",
        },
        "ValidationMethod": "DNS",
    }


def _digest(what: str, domain: str) -> str:
    return hashlib.sha256(f"{what} {domain}".encode()).hexdigest()[:32]


def _letters(domain: str) -> str:
    return "".join(chr(ord("a") + int(digit, 16)) for digit in _digest("zone", domain)[:10])


def is_validated(room: Room, validation: Mapping[str, Any]) -> bool:
    """Whether the record of a domain is there."""
    record = validation["ResourceRecord"]
    return room.zones.has(record["Name"], record["Type"], record["Value"])

"""Certificates as ACM shows them: one by one, and in lists; and how they are deleted."""

from __future__ import annotations

from typing import Any

from turnout.acm.room import Document, Room
from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.zones import TOPIC

SHOWN_BY_DEFAULT = ("RSA_1024", "RSA_2048")
"""https://docs.aws.amazon.com/acm/latest/APIReference/API_Filters.html: others are listed when they are asked for."""
DETAILS = (
    *("CertificateArn", "DomainName", "SubjectAlternativeNames", "DomainValidationOptions", "Type", "Options"),
    *("Serial", "Subject", "Issuer", "KeyAlgorithm", "SignatureAlgorithm", "KeyUsages", "ExtendedKeyUsages"),
    *("CreatedAt", "IssuedAt", "ImportedAt", "NotBefore", "NotAfter", "RenewalSummary"),
)
SUMMARY = (
    *("CertificateArn", "DomainName", "Type", "KeyAlgorithm"),
    *("NotBefore", "NotAfter", "CreatedAt", "IssuedAt", "ImportedAt"),
)


class Listing(Room):
    def describe_certificate(self, call: Call) -> Answer:
        return {"Certificate": self._details(self.one(call.region, call["CertificateArn"]))}

    def list_certificates(self, call: Call) -> Answer:
        """In the order of their creation, the oldest first unless the newest are asked for."""
        if bool(call.get("SortBy")) != bool(call.get("SortOrder")):
            raise AwsError("ValidationException", "SortBy and SortOrder go together.")
        found = sorted(self.certificates.of_region(call.region), key=lambda one: float(one["CreatedAt"]))
        if call.get("SortOrder") == "DESCENDING":
            found.reverse()
        wanted = [one for one in found if self._is_wanted(one, call)]
        try:
            start = int(call.get("NextToken") or 0)
        except ValueError:
            raise AwsError(
                "InvalidArgsException", "The NextToken is none that ListCertificates has given out."
            ) from None
        end = start + (call.get("MaxItems") or 1000)
        answer: Answer = {"CertificateSummaryList": [self._summary(one) for one in wanted[start:end]]}
        if end < len(wanted):
            answer["NextToken"] = str(end)
        return answer

    def delete_certificate(self, call: Call) -> Answer:
        certificate = self.one(call.region, call["CertificateArn"])
        if users := self.users_of(certificate["CertificateArn"]):
            raise AwsError(
                "ResourceInUseException",
                f"Certificate {certificate['CertificateArn']} in account is in use by {', '.join(users)}.",
            )
        with self.store.transaction() as tx:
            self.certificates.delete(tx, certificate)
            self.runs.wake(tx, TOPIC)  # who waits for its records need not any more
        return {}

    def get_account_configuration(self, call: Call) -> Answer:
        """Nobody is told of expiries here: what is set is AWS's default."""
        return {"ExpiryEvents": {"DaysBeforeExpiry": 45}}

    def _is_wanted(self, certificate: Document, call: Call) -> bool:
        filters = call.get("Includes") or {}
        status = self.status_of(certificate)
        usages = {usage["Name"] for usage in certificate.get("KeyUsages", ())}
        extended = {usage["Name"] for usage in certificate.get("ExtendedKeyUsages", ())}
        return (
            status in (call.get("CertificateStatuses") or [status])
            and certificate["KeyAlgorithm"] in (filters.get("keyTypes") or SHOWN_BY_DEFAULT)
            and ("ANY" in (wanted := filters.get("keyUsage") or ["ANY"]) or bool(usages & set(wanted)))
            and ("ANY" in (wanted := filters.get("extendedKeyUsage") or ["ANY"]) or bool(extended & set(wanted)))
            and filters.get("exportOption") in (None, certificate["Options"].get("Export", "DISABLED"))
            and not filters.get("managedBy")
        )

    def _details(self, certificate: Document) -> dict[str, Any]:
        users = self.users_of(certificate["CertificateArn"])
        eligible = certificate["Type"] == "AMAZON_ISSUED" and self.status_of(certificate) == "ISSUED" and users
        return {
            **{member: certificate[member] for member in DETAILS if certificate.get(member) is not None},
            "Status": self.status_of(certificate),
            "InUseBy": users,
            "RenewalEligibility": "ELIGIBLE" if eligible else "INELIGIBLE",
        }

    def _summary(self, certificate: Document) -> dict[str, Any]:
        names = certificate["SubjectAlternativeNames"]
        details = self._details(certificate)
        return {
            **{member: certificate[member] for member in SUMMARY if certificate.get(member) is not None},
            "SubjectAlternativeNameSummaries": names[:100],
            "HasAdditionalSubjectAlternativeNames": len(names) > 100,
            "Status": details["Status"],
            "KeyUsages": [usage["Name"] for usage in certificate.get("KeyUsages", ())],
            "ExtendedKeyUsages": [usage["Name"] for usage in certificate.get("ExtendedKeyUsages", ())],
            "ExportOption": certificate["Options"].get("Export"),
            "InUse": bool(details["InUseBy"]),
            "Exported": False if certificate["Type"] == "AMAZON_ISSUED" else None,
            "RenewalEligibility": details["RenewalEligibility"],
        }

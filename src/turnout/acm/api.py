"""AWS Certificate Manager: AWS's operations, over rows; the signatures are the local authority's.

Left after a crash: whatever was committed; keys of certificates that were not, which the next start removes. A
certificate that was being issued is issued then. Topics: see `turnout.zones`.
"""

from __future__ import annotations

from turnout.acm.imports import Imports
from turnout.acm.listing import Listing
from turnout.acm.plans import Issuance, Renewal, renew
from turnout.acm.requests import Requests
from turnout.acm.room import UsersOf
from turnout.acm.tags import Tags
from turnout.authority import Authority
from turnout.aws import Answer, Call
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.errors import AwsError
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Store
from turnout.zones import Zones

__all__ = ["Acm"]


class Acm(Requests, Imports, Listing, Tags):
    """The room."""

    SERVICE = "acm"

    def __init__(
        self,
        store: Store,
        runs: Runs,
        clock: Clock,
        certificates: Certificates,
        authority: Authority,
        zones: Zones,
        users_of: UsersOf,
    ) -> None:
        super().__init__(store, runs, clock, certificates, authority, zones, users_of)
        self.plans: list[Plan] = [Issuance(self), Renewal(self)]

    async def start(self) -> None:
        """Remove what a crash has left."""
        self.certificates.start()

    async def close(self) -> None:
        """Nothing is held."""

    async def renew_certificate(self, call: Call) -> Answer:
        """At once, and without looking at the records again: this is for trying out what a renewal does."""
        certificate = self.one(call.region, call["CertificateArn"])
        if certificate["Type"] != "AMAZON_ISSUED":
            raise AwsError("ValidationException", "An imported certificate is renewed by importing another one.")
        if certificate["Status"] == "PENDING_VALIDATION":
            raise AwsError("RequestInProgressException", "The certificate has not been issued yet.")
        if not certificate.get("key"):
            raise AwsError("ValidationException", f"The certificate was never issued: it is {certificate['Status']}.")
        await renew(self, certificate)
        return {}

"""What the parts of the room share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnout.authority import Authority
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of
from turnout.runs import Runs
from turnout.store import Store
from turnout.zones import Zones

Document = dict[str, Any]

ISSUANCE = "acm.issuance"
RENEWAL = "acm.renewal"
MOST_TAGS = 50

UsersOf = Callable[[str], list[str]]
"""The ARNs of the load balancers that serve a certificate, by its ARN."""


class Room:
    """The memory, and the words that several parts use."""

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
        self.store = store
        self.runs = runs
        self.clock = clock
        self.certificates = certificates
        self.authority = authority
        self.zones = zones
        self.users_of = users_of

    def one(self, region: str, arn: str) -> Document:
        """A certificate. Raises InvalidArnException, ResourceNotFoundException."""
        if not is_arn(arn) or arn.split(":")[2] != "acm" or not resource_of(arn).startswith("certificate/"):
            raise AwsError("InvalidArnException", f"{arn} is not the ARN of a certificate")
        found = self.certificates.find(arn) if arn.split(":")[3] == region else None
        if found is None:
            raise AwsError(
                "ResourceNotFoundException", f"Could not find certificate {arn} in account {arn.split(':')[4]}."
            )
        return found

    def status_of(self, document: Document) -> str:
        """Time alone makes a certificate expire."""
        status: str = document["Status"]
        return "EXPIRED" if status == "ISSUED" and document["NotAfter"] <= self.clock.now() else status

    def change(self, document: Document, **members: Any) -> Document:
        """Keep a certificate with some members changed; None takes one away."""
        now = {name: value for name, value in {**document, **members}.items() if value is not None}
        with self.store.transaction() as tx:
            self.certificates.put(tx, now)
        return now

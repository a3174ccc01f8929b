"""What takes time in the life of a certificate, as runs: its validation and issuance, and its renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from turnout.acm.requests import is_validated
from turnout.acm.room import ISSUANCE, RENEWAL, Document, Room
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Status, Step, StepSpec
from turnout.store import Transaction
from turnout.zones import TOPIC

LOOKED_FOR_EVERY_S = 3600.0
RENEWED_BEFORE_S = 60 * 86400.0
"""https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html"""


class Issuance(StraightPlan):
    """Validate: every domain's record is in a public hosted zone. Issue: the local authority has signed."""

    kind = ISSUANCE

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        certificate = self._room.certificates.find(run.spec["arn"])
        if certificate is None or certificate["Status"] != "PENDING_VALIDATION":
            return Done()
        if step.name == "Validate":
            return self._validate(certificate)
        issued = await sign(self._room, certificate)
        with self._room.store.transaction() as tx:
            if self._room.certificates.find(run.spec["arn"]) is not None:
                now = self._room.clock.now()
                self._room.certificates.put(tx, {**certificate, **issued, "Status": "ISSUED", "IssuedAt": now})
        return Done()

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        room, arn = self._room, run.spec["arn"]
        certificate = room.certificates.find(arn)
        if certificate is not None and certificate["Status"] == "PENDING_VALIDATION":
            room.certificates.put(tx, {**certificate, "Status": "VALIDATION_TIMED_OUT"})
        if certificate is not None and certificate["Status"] == "ISSUED":
            room.runs.insert(tx, RENEWAL, run.region, arn, {"arn": arn}, [StepSpec("Renew", 0)])
        room.runs.forget(tx, run.id)

    def _validate(self, certificate: Document) -> Done | Wait:
        now = validated(self._room, certificate["DomainValidationOptions"])
        if now != certificate["DomainValidationOptions"]:
            self._room.change(certificate, DomainValidationOptions=now)
        missing = [one["ResourceRecord"] for one in now if one["ValidationStatus"] != "SUCCESS"]
        if not missing:
            return Done()
        first = missing[0]
        return Wait(
            LOOKED_FOR_EVERY_S, f"no public hosted zone has {first['Name']} CNAME {first['Value']} yet", on=TOPIC
        )


class Renewal(StraightPlan):
    """Renew: 60 days before its end a certificate that is in use, and whose records are there, is signed anew."""

    kind = RENEWAL

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        room = self._room
        certificate = room.certificates.find(run.spec["arn"])
        if certificate is None:
            return Done()
        left_s = certificate["NotAfter"] - RENEWED_BEFORE_S - room.clock.now()
        if left_s > 0:
            return Wait(left_s, "until 60 days before it expires", on=TOPIC)
        if not room.users_of(run.spec["arn"]):
            return Wait(LOOKED_FOR_EVERY_S, "a certificate that nobody uses is not renewed", on=TOPIC)
        validations = validated(room, certificate["DomainValidationOptions"])
        if any(one["ValidationStatus"] != "SUCCESS" for one in validations):
            summary = renewal_summary(room, "PENDING_VALIDATION", validations)
            if certificate.get("RenewalSummary", {}).get("RenewalStatus") != "PENDING_VALIDATION":
                room.change(certificate, RenewalSummary=summary)
            return Wait(LOOKED_FOR_EVERY_S, "until its records are in a public hosted zone again", on=TOPIC)
        await renew(room, certificate)
        return Wait(1.0, "it has been renewed")

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        if all(step.status is Status.SUCCEEDED for step in steps):
            self._room.runs.forget(tx, run.id)


def validated(room: Room, validations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The validations of a certificate's domains as its hosted zones have them now."""
    return [
        {**one, "ValidationStatus": "SUCCESS" if is_validated(room, one) else "PENDING_VALIDATION"}
        for one in validations
    ]


async def renew(room: Room, certificate: Document) -> None:
    """Sign it anew, with a new key. Who serves it hears of it, and goes on with the new one."""
    issued = await sign(room, certificate)
    summary = renewal_summary(room, "SUCCESS", certificate["DomainValidationOptions"])
    with room.store.transaction() as tx:
        if (now := room.certificates.find(certificate["CertificateArn"])) is not None:
            renewed_at = room.clock.now()
            room.certificates.put(tx, {**now, **issued, "IssuedAt": renewed_at, "RenewalSummary": summary})


def renewal_summary(room: Room, status: str, validations: Sequence[dict[str, Any]]) -> Document:
    return {"RenewalStatus": status, "DomainValidationOptions": list(validations), "UpdatedAt": room.clock.now()}


async def sign(room: Room, certificate: Document) -> Document:
    """The members of a certificate that has just been issued. An RSA key takes a moment, in which others are served."""
    from turnout.acm.reading import facts_of

    names, algorithm = certificate["SubjectAlternativeNames"], certificate["KeyAlgorithm"]
    issued = await asyncio.to_thread(room.authority.issue, names, algorithm, room.clock.now())
    facts = facts_of(issued.certificate)
    return {
        **{member: value for member, value in facts.items() if member not in ("DomainName", "SubjectAlternativeNames")},
        "Certificate": issued.certificate,
        "Chain": room.authority.ensure(),
        "key": room.certificates.keep_key(issued.key),
    }

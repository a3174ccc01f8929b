"""Revisions of a task definition that nobody uses any more: deregistered, then deleted."""

from __future__ import annotations

import re
import time
from typing import Any

from turnout.cli.cleaning import Outcome, Reasons, note, ranges
from turnout.cli.cleaning.patience import patiently
from turnout.cli.cleaning.users import users
from turnout.cli.clients import Clients, pages
from turnout.cli.screen import Screen
from turnout.cli.versions import short_name
from turnout.errors import SetupError

MOST_DELETED = 10
"""Task definitions in one DeleteTaskDefinitions."""
LOOK_AGAIN_S = 60.0
"""What has been found unused so long ago may have come into use since."""
STATUSES = ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS")


class Definitions:
    """The revisions of one family, of every status."""

    def __init__(self, clients: Clients, family: str, keep: int, screen: Screen) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", family):
            raise SetupError(
                f"{family!r} is no family of task definitions: name it as in FAMILY:REVISION, without :REVISION."
            )
        self._clients, self._family, self._keep, self._screen = clients, family, keep, screen
        self._status: dict[str, str] = {}
        """ARN → status, newest first."""

    def clean(self, *, is_dry_run: bool) -> Outcome:
        """Delete what nobody uses. A revision that is used, or is to be kept, is not even deregistered."""
        self._status = self._listed()
        reasons = self._reasons()
        looked_at = time.monotonic()
        going = [arn for arn, status in self._status.items() if arn not in reasons and status != STATUSES[2]]
        gone: list[str] = []
        failed: dict[str, str] = {}
        for start in range(0, 0 if is_dry_run else len(going), MOST_DELETED):
            if time.monotonic() - looked_at > LOOK_AGAIN_S:
                reasons, looked_at = self._reasons(), time.monotonic()
            batch = [arn for arn in going[start : start + MOST_DELETED] if arn not in reasons]
            gone += self._delete(batch, failed)
            self._screen.line(f"  {len(gone)} of {len(going)} deleted")
        named = {short_name(arn): why for arn, why in failed.items()}
        return Outcome(self._stays(reasons, gone), [short_name(arn) for arn in (going if is_dry_run else gone)], named)

    def told(self, goes: list[str]) -> str:
        """web:1–12, 14 Pure."""
        return f"{self._family}:{ranges(int(name.rpartition(':')[2]) for name in goes)}"

    def _listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for status in STATUSES:
            self._screen.now(f"looking for {status} revisions of {self._family}")
            arns = pages(
                self._clients("ecs"),
                "list_task_definitions",
                "taskDefinitionArns",
                familyPrefix=self._family,
                status=status,
            )
            # The prefix is a whole family by AWS's reference; nothing else would be forgiven here.
            found |= {arn: status for arn in arns if short_name(arn).rpartition(":")[0] == self._family}
        return dict(sorted(found.items(), key=lambda one: -_revision(one[0])))

    def _reasons(self) -> Reasons:
        self._screen.now("looking for who uses them")
        found = users(self._clients, self._keep).definitions
        by_name = {short_name(arn): why for arn, why in found.items()}
        newest = [arn for arn, status in self._status.items() if status == "ACTIVE"]
        reasons: Reasons = {}
        for arn in self._status:
            for why in by_name.get(short_name(arn), []):
                note(reasons, arn, why)
        # A schedule may name the family alone, which means its newest.
        for why in by_name.get(self._family, []) if newest else []:
            note(reasons, newest[0], why)
        for arn in newest[: self._keep]:
            note(reasons, arn, f"one of the newest {self._keep}" if self._keep > 1 else "the newest")
        return reasons

    def _delete(self, arns: list[str], failed: dict[str, str]) -> list[str]:
        """Deregister what is ACTIVE, and delete all; what could not be is noted in `failed`."""
        from botocore.exceptions import ClientError

        ecs, now = self._clients("ecs"), self._screen.now
        inactive: list[str] = []
        for arn in arns:
            try:
                if self._status[arn] == "ACTIVE":
                    now(f"deregistering {short_name(arn)}")
                    patiently(ecs.deregister_task_definition, now, taskDefinition=arn)
                inactive.append(arn)
            except ClientError as error:
                failed[arn] = said(error)
        if not inactive:
            return []
        now(f"deleting {short_name(inactive[0])} and {len(inactive) - 1} more")
        try:
            answer = patiently(ecs.delete_task_definitions, now, taskDefinitions=inactive)
        except ClientError as error:
            failed.update(dict.fromkeys(inactive, said(error)))
            return []
        for failure in answer.get("failures", []):
            failed[failure["arn"]] = ": ".join(filter(None, (failure.get("reason"), failure.get("detail"))))
        return [one["taskDefinitionArn"] for one in answer["taskDefinitions"]]

    def _stays(self, reasons: Reasons, gone: list[str]) -> list[tuple[str, str, str]]:
        stays = []
        for arn, status in self._status.items():
            if status == STATUSES[2]:
                why = "deleted before" + "".join(f"; still used: {used}" for used in reasons.get(arn, [])[:1])
                stays.append((short_name(arn), status, why))
            elif arn in reasons and arn not in gone:
                stays.append((short_name(arn), status, ", ".join(reasons[arn])))
        return stays


def said(error: Any) -> str:
    """Code and message of an answer of AWS."""
    described = error.response.get("Error", {})
    return f"{described.get('Code')}: {described.get('Message')}"


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])

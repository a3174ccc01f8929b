"""What a receipt says, in words. Receipts are described in docs/receipt.md; every member may be null. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Receipt = Mapping[str, Any]


def switch_s(receipt: Receipt | None) -> float | None:
    """Seconds from the commit of green's first weight to its first answer; None if it never had one."""
    ms = ((receipt or {}).get("switch") or {}).get("ms")
    return None if ms is None else float(ms) / 1000


def waits_for(receipt: Receipt | None) -> str | None:
    """The step that is under way, and why it waits: "Install: 0 of 1 targets healthy". None when nothing is."""
    for step in (receipt or {}).get("steps", []):
        if step["status"] == "InProgress":
            return f"{step['name']}: {step['waits'][-1]['why']}" if step["waits"] else str(step["name"])
    return None


def took_s(part: Mapping[str, Any], now: float) -> float | None:
    """How long a step, or a deployment, has taken so far; None before its start."""
    if part["startedAt"] is None:
        return None
    ended_at = now if part["endedAt"] is None else part["endedAt"]
    return max(0.0, float(ended_at) - float(part["startedAt"]))


def reasons(step: Mapping[str, Any]) -> list[tuple[float, str]]:
    """(at, why) of the waits of a step, each reason once for as long as it stays the same."""
    told: list[tuple[float, str]] = []
    for wait in step["waits"]:
        if not told or told[-1][1] != wait["why"]:
            told.append((wait["at"], wait["why"]))
    return told


def drained(receipt: Receipt) -> str | None:
    """How blue (or green, in a rollback) was found to be without requests before it was stopped."""
    found = receipt["drained"]
    if found is None:
        return None
    if found["isProven"]:
        return f"{found['colour']} was proven drained: {found['reason']}"
    if found["deadlineReached"]:
        return f"{found['colour']} was stopped at the drain deadline without proof: {found['reason']}"
    return f"{found['colour']} is not proven drained yet: {found['reason']}"


def interruption(document: Mapping[str, Any]) -> str:
    """What an end of the balancer cost: "Envoy, pid 7, was ended by SIGKILL and served again 63 ms later: …"."""
    if document["endedAt"] is None:
        return f"{document['why']}: what that cut is not known"
    took_ms = 1000 * (document["servesAgainAt"] - document["endedAt"])
    text = f"{document['why']} and served again {took_ms:.0f} ms later; new connections {document['newConnections']}"
    if document["lookedAt"] is None:
        return f"{text}; what was in flight is lost, and was not counted"
    before_s = document["endedAt"] - document["lookedAt"]
    return (
        f"{text}; {document['connections']} connections were cut, with {document['inFlight']} requests in flight"
        f" (counted {before_s:.1f} s before)"
    )


def long_connections(receipt: Receipt) -> str | None:
    """What became of what was in flight on the colour that was left; None if nothing was."""
    found = receipt.get("longConnections")
    if not found or not (found["left"] or found["told"]):
        return None
    parts = [(found["moved"], "connections moved"), (found["left"], "requests left"), (found["cut"], "cut")]
    if found["policy"] == "announce":
        parts.insert(2, (found["told"], "connections told to reopen"))
    told = ", ".join(f"{'?' if count is None else count} {what}" for count, what in parts)
    return f"{told} (turnout:long-connections = {found['policy']})"


def side(receipt: Receipt, colour: str) -> str | None:
    """One colour in a line: task definition, images, target group."""
    found = receipt[colour]
    if found is None:
        return None
    definition = (found["taskDefinition"] or "–").rpartition("/")[2]
    images = ", ".join(f"{image['container']} {(image['digest'] or image['image'])[:19]}" for image in found["images"])
    group = (found["targetGroup"] or {}).get("name")
    return "  ".join(part for part in (definition, images, group) if part)


def place(receipt: Receipt, between: str = "/") -> str:
    """Where it was deployed: application and group, or cluster and service where ECS itself deployed."""
    if receipt["applicationName"] is None:
        return f"{receipt['service']['cluster']}{between}{receipt['service']['name']}"
    return f"{receipt['applicationName']}{between}{receipt['deploymentGroupName']}"

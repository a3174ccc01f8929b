"""What a health check of a container says of its health, by Docker's rules. Pure.

The first check is made after the interval, each further one an interval after the end of the last. While a container
has a startPeriod it is checked every five seconds until it is healthy, and failures do not count. `retries` failures in
a row make it UNHEALTHY, one success HEALTHY. `known` is what has become of a container (`task_rows.py`); its "check" is
{"status": UNKNOWN | HEALTHY | UNHEALTHY, "failures": in a row, "output": of the last failed check}.
https://docs.docker.com/reference/dockerfile/#healthcheck
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from turnout.runtimes import Ran

UNKNOWN, HEALTHY, UNHEALTHY = "UNKNOWN", "HEALTHY", "UNHEALTHY"
STARTING_INTERVAL_S = 5.0
MOST_OUTPUT = 200

Document = Mapping[str, Any]


def command_of(check: Document) -> list[str]:
    kind, *words = check["command"]
    return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


def delay_s(check: Document, known: Document, now: float) -> float:
    """How long until the next check."""
    interval_s = float(check["interval"])
    is_starting = now - known["startedAt"] < check.get("startPeriod", 0) and _status(known) == UNKNOWN
    return min(interval_s, STARTING_INTERVAL_S) if is_starting else interval_s


def after(check: Document, known: Document, ran: Ran, began_at: float) -> dict[str, Any]:
    """What is known of the health after a check that began at a time."""
    if ran.exit_code == 0:
        return {"status": HEALTHY, "failures": 0}
    former = known.get("check", {})
    said = "timed out" if ran.exit_code is None else f"exit code {ran.exit_code}"
    fresh = {
        "status": _status(known),
        "failures": former.get("failures", 0),
        "output": f"{said}: {ran.output[:MOST_OUTPUT]}" if ran.output else said,
    }
    is_starting = fresh["status"] == UNKNOWN and began_at - known["startedAt"] < check.get("startPeriod", 0)
    if not is_starting:
        fresh["failures"] += 1
        if fresh["failures"] >= check["retries"]:
            fresh["status"] = UNHEALTHY
    return fresh


def health_of(statuses: Iterable[str]) -> str:
    """The health of a task, by that of its essential containers: UNHEALTHY before UNKNOWN before HEALTHY."""
    found = set(statuses)
    return next((status for status in (UNHEALTHY, UNKNOWN) if status in found), HEALTHY if found else UNKNOWN)


def _status(known: Document) -> str:
    return str(known.get("check", {}).get("status", UNKNOWN))

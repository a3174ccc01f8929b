"""Which containers of a task may be started now, and in which order they are stopped. Pure.

A container waits for the conditions of its dependsOn: START, COMPLETE, SUCCESS, HEALTHY. The startTimeout of the
container that is waited for limits that, as on AWS. `known` is what has become of each container (`task_rows.py`).
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_PENDING_S = 3 * 3600.0
"""Without a startTimeout. On AWS the scheduler stops a task that has been PENDING for as long."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Readiness:
    """What there is to be started. `give_up_at`: when what is waited for is given up; `why`: for people."""

    ready: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    why: str = ""
    give_up_at: float | None = None
    never: str | None = None
    """Why a container can never be started."""


def readiness(containers: Sequence[Document], known: Mapping[str, Document], now: float) -> Readiness:
    """The containers that have not been started yet: which may be, and what the others wait for."""
    timeouts_s = {c["name"]: float(c.get("startTimeout") or LONGEST_PENDING_S) for c in containers}
    ready: list[str] = []
    waiting: list[str] = []
    reasons: list[str] = []
    deadlines: list[float] = []
    for container in containers:
        name = container["name"]
        if has_begun(known, name):
            continue
        unmet = [d for d in container.get("dependsOn", ()) if not _is_met(d["condition"], known, d["containerName"])]
        for dependency in unmet:
            other, condition = dependency["containerName"], dependency["condition"]
            if never := _never(condition, known, other):
                return Readiness(never=f"{_words(other, name)} {never}.")
            if has_begun(known, other):
                deadline = known[other]["startedAt"] + timeouts_s[other]
                if deadline <= now:
                    return Readiness(
                        never=f"dependency graph: the container ordering dependency [{other}] for target [{name}] has"
                        f" timed out after {timeouts_s[other]:g} s: {other} is not {_WANTED[condition]}."
                    )
                deadlines.append(deadline)
            reasons.append(f"{name} waits for {other} to be {_WANTED[condition]}")
        (waiting if unmet else ready).append(name)
    return Readiness(tuple(ready), tuple(waiting), ", ".join(reasons), min(deadlines, default=None))


def has_begun(known: Mapping[str, Document], name: str) -> bool:
    return "isRunning" in known.get(name, {})


_WANTED = {"START": "started", "COMPLETE": "complete", "SUCCESS": "successful", "HEALTHY": "healthy"}


def _is_met(condition: str, known: Mapping[str, Document], name: str) -> bool:
    if not has_begun(known, name):
        return False
    facts = known[name]
    if condition == "START":
        return True
    if condition == "HEALTHY":
        return bool(facts["isRunning"]) and facts.get("check", {}).get("status") == "HEALTHY"
    return not facts["isRunning"] and (condition == "COMPLETE" or facts.get("exitCode") == 0)


def _never(condition: str, known: Mapping[str, Document], name: str) -> str | None:
    """Why a condition that is not met never will be; the words are those of AWS's agent."""
    if not has_begun(known, name) or known[name]["isRunning"]:
        return None
    if condition == "SUCCESS":
        return f"as dependency did not exit successfully (exit code {known[name].get('exitCode')})"
    return "as dependency ended before it was healthy" if condition == "HEALTHY" else None


def _words(other: str, name: str) -> str:
    return f"dependency graph: failed to resolve the container ordering dependency [{other}] for target [{name}]"


def dependents(containers: Sequence[Document], name: str) -> set[str]:
    """The containers that depend on `name`: they are stopped before it."""
    return {c["name"] for c in containers if any(d["containerName"] == name for d in c.get("dependsOn", ()))}

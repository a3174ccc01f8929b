"""Who may enter a stage: the rules of SUPERSEDED mode. Pure.

One execution is inside a stage at a time. Executions that wait in front of it are numbered by their age; the newest
replaces the older ones, and enters as soon as nobody is inside and the transition is enabled. Who is inside is never
replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What an execution in front of a stage is told."""

    is_admitted: bool
    superseded: tuple[int, ...] = ()
    """The older ones that it replaces."""
    why: str = ""
    """For people, when it has to wait."""


def verdict(
    me: int, waiting: Iterable[int], inside: str | None, is_enabled: bool, reason: str | None, stage: str
) -> Verdict:
    """`waiting` are the numbers of all in front of the stage, `inside` the id of the execution that holds it."""
    others = [number for number in waiting if number != me]
    superseded = tuple(sorted(number for number in others if number < me))
    if any(number > me for number in others):
        return Verdict(False, superseded, f"a newer execution waits in front of {stage}")
    if not is_enabled:
        because = f": {reason}" if reason else ""
        return Verdict(False, superseded, f"the transition into {stage} is disabled{because}")
    if inside is not None:
        return Verdict(False, superseded, f"execution {inside} is inside {stage}")
    return Verdict(True, superseded)

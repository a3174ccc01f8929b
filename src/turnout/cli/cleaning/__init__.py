"""What `turnout cleanup` removes, and what it leaves, by AWS's API alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Reasons = dict[str, list[str]]
"""Why something stays, by its ARN or digest; in the order in which it was found out."""


def note(reasons: Reasons, key: str, why: str) -> None:
    found = reasons.setdefault(key, [])
    if why not in found:
        found.append(why)


@dataclass
class Outcome:
    """What a clean-up came to. Names are what a person calls a thing: web:3, sha256:12ab… (v3)."""

    stays: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, status, why)"""
    goes: list[str] = field(default_factory=list)
    """Deleted; of a dry run, what would be."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Name → why it could not be deleted."""


def ranges(numbers: Iterable[int]) -> str:
    """1–3, 5 of 1, 2, 3, 5. Pure."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)

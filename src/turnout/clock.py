"""Time is an argument: everything that asks for the time, or waits, is handed a clock.

`speed` scales configured waits only (a bake, a drain, a canary interval): what the world takes it takes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The real time."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    @property
    def trouble(self) -> str | None:
        """What people should know about this clock."""
        return None

    def now(self) -> float:
        """Unix time in UTC seconds."""
        return time.time()

    def scaled_s(self, seconds: float) -> float:
        """How long a configured wait of `seconds` takes at this speed."""
        return seconds / self.speed


class ManualClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, at: float = 1_790_000_000.0, speed: float = 1.0) -> None:
        super().__init__(speed)
        self.at = at

    def now(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


def iso8601(at: float) -> str:
    """2026-11-23T20:08:00.000Z"""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

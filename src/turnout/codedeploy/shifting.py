"""How much of the production traffic green has at a time: a function of the seconds since AllowTraffic began. Pure.

Because nothing but the start is remembered, a restart in the middle of a shift neither restarts it nor skips a wait.
A `routing` is AWS's TrafficRoutingConfig; its intervals are minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Routing = Mapping[str, Any]

ALL_AT_ONCE: Routing = {"type": "AllAtOnce"}

_TOLERANCE_S = 0.001
"""Stored times are floats: an increment that is due in less than this is due."""


def green_percent_at(seconds: float, routing: Routing) -> int:
    """The percentage of green, `seconds` (of configured time) after the start. The first increment is at once.

    Linear by 30 is 30, 60, 90, 100: the last increment is what is left (AWS is silent; docs/choices.md).
    """
    if routing["type"] == "TimeBasedCanary":
        canary = routing["timeBasedCanary"]
        return int(canary["canaryPercentage"]) if _intervals(seconds, canary["canaryInterval"]) < 1 else 100
    if routing["type"] == "TimeBasedLinear":
        linear = routing["timeBasedLinear"]
        return min(100, int(linear["linearPercentage"]) * (1 + _intervals(seconds, linear["linearInterval"])))
    return 100


def next_shift_at(seconds: float, routing: Routing) -> float | None:
    """When, in seconds after the start, the percentage changes next; None once green has everything."""
    if green_percent_at(seconds, routing) == 100:
        return None
    is_canary = routing["type"] == "TimeBasedCanary"
    minutes: int = (
        routing["timeBasedCanary"]["canaryInterval"] if is_canary else routing["timeBasedLinear"]["linearInterval"]
    )
    return 60.0 * minutes * (1 + _intervals(seconds, minutes))


def _intervals(seconds: float, minutes: int) -> int:
    """How many whole intervals have passed."""
    return max(0, int((seconds + _TOLERANCE_S) // (60 * minutes)))

"""How many tasks a policy wants, given what its metric says. Pure.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html: what counts is how many tasks
*run*, not how many are desired, or a slow start would be answered by ever more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_COOLDOWN_S = 300.0
"""Of ECS services."""


@dataclass(frozen=True)
class Capacity:
    desired: int
    running: int
    minimum: int
    maximum: int

    @property
    def base(self) -> int:
        """The tasks that do the work now."""
        return min(self.desired, self.running) or self.desired


@dataclass(frozen=True)
class Wish:
    """`to` is within the limits of the target, `alarm` and `policy` name who wants it."""

    to: int
    is_out: bool
    alarm: str
    policy: str


def tracked(capacity: int, value: float, target: float) -> int:
    """So many tasks that the metric comes to the target; rounded up, which is the cautious way both times."""
    return math.ceil(capacity * value / target - 1e-9)


def stepped(capacity: int, beyond: float, steps: Mapping[str, Any]) -> int | None:
    """By the step in whose interval lies how far the metric is beyond the alarm's threshold; None if in none.

    An interval includes its lower bound above the threshold, and its upper bound below it.
    """
    for step in steps["StepAdjustments"]:
        lower = step.get("MetricIntervalLowerBound", float("-inf"))
        upper = step.get("MetricIntervalUpperBound", float("inf"))
        if lower <= beyond < upper if beyond >= 0 else lower < beyond <= upper:
            return _adjusted(capacity, int(step["ScalingAdjustment"]), steps)
    return None


def _adjusted(capacity: int, adjustment: int, steps: Mapping[str, Any]) -> int:
    if steps["AdjustmentType"] == "ExactCapacity":
        return max(0, adjustment)
    change = float(adjustment)
    if steps["AdjustmentType"] == "PercentChangeInCapacity":
        change = capacity * adjustment / 100
        # AWS: 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.
        change = math.copysign(1, change) if 0 < abs(change) < 1 else math.trunc(change)
        least = int(steps.get("MinAdjustmentMagnitude") or 0)
        change = math.copysign(max(abs(change), least), adjustment)
    return max(0, capacity + int(change))


def within(wanted: int, capacity: Capacity, *, is_out: bool) -> int | None:
    """The desired count that follows; None if nothing does.

    What is below the minimum is raised to it by a scale-out, and left alone by a scale-in; above the maximum likewise.
    """
    if is_out:
        to = min(max(wanted, capacity.minimum), capacity.maximum)
        return to if to > capacity.desired else None
    to = max(min(wanted, capacity.maximum), capacity.minimum)
    return to if to < capacity.desired else None


def choose(wishes: list[Wish], holding_back: set[str]) -> Wish | None:
    """The largest scale-out; without one the smallest scale-in, unless a policy that tracks holds it back."""
    outs = [wish for wish in wishes if wish.is_out]
    if outs:
        return max(outs, key=lambda wish: wish.to)
    ins = [wish for wish in wishes if not wish.is_out]
    if not ins or holding_back:
        return None
    return max(ins, key=lambda wish: wish.to)

"""Datapoints: what a metric was in a span of time, and the statistics of it. Pure.

Percentiles are of values that were really put: a statistic set of several different values has none, as on AWS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from turnout.errors import AwsError

MOST_VALUES = 150
"""Different values that a datapoint keeps; beyond that they are rounded, to a hundredth of their size at worst."""

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{0,10})?|100)")


@dataclass(frozen=True)
class Point:
    """`values` is value → how often, or None where only the sums are known."""

    count: float
    sum: float
    minimum: float
    maximum: float
    values: Mapping[float, float] | None


def point_of(values: Mapping[float, float]) -> Point:
    """The datapoint of values and their counts; at least one."""
    total = math.fsum(value * count for value, count in values.items())
    return Point(math.fsum(values.values()), total, min(values), max(values), thin(values))


def merge(points: Iterable[Point]) -> Point | None:
    """One datapoint of several; None of none."""
    found = list(points)
    if not found:
        return None
    values: dict[float, float] | None = {}
    for point in found:
        if point.values is None:
            values = None
        elif values is not None:
            for value, count in point.values.items():
                values[value] = values.get(value, 0.0) + count
    return Point(
        count=math.fsum(point.count for point in found),
        sum=math.fsum(point.sum for point in found),
        minimum=min(point.minimum for point in found),
        maximum=max(point.maximum for point in found),
        values=None if values is None else thin(values),
    )


def thin(values: Mapping[float, float]) -> Mapping[float, float]:
    """The same values with fewer digits, where there are too many different ones."""
    for digits in (4, 3, 2):
        if len(values) <= MOST_VALUES:
            return values
        rounded: dict[float, float] = {}
        for value, count in values.items():
            near = float(f"{value:.{digits - 1}e}")
            rounded[near] = rounded.get(near, 0.0) + count
        values = rounded
    return values


def statistic(point: Point, name: str) -> float | None:
    """SampleCount, Average, Sum, Minimum, Maximum or a percentile like p99.9; None: it cannot be told."""
    match name:
        case "SampleCount":
            return point.count
        case "Sum":
            return point.sum
        case "Minimum":
            return point.minimum
        case "Maximum":
            return point.maximum
        case "Average":
            return point.sum / point.count if point.count else None
    return _percentile(point, percent_of(name))


def percent_of(name: str) -> float:
    """99.9 of "p99.9". Raises AwsError InvalidParameterValue for what is no percentile."""
    found = _PERCENTILE.fullmatch(name)
    if found is None:
        raise AwsError(
            "InvalidParameterValue",
            f"The statistic {name} is not one of {', '.join(STATISTICS)}, nor a percentile from p0.0 to p100: turnout"
            " computes no trimmed or winsorized statistics.",
        )
    return float(found[1])


def _percentile(point: Point, percent: float) -> float | None:
    """By nearest rank: the smallest value that so many percent do not exceed."""
    if point.values is None:
        return None
    seen, wanted = 0.0, point.count * percent / 100
    for value in sorted(point.values):
        seen += point.values[value]
        if seen >= wanted:
            return value
    return point.maximum

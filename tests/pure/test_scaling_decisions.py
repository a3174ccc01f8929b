"""How many tasks a scaling policy wants."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.autoscaling.deciding import Capacity, Wish, choose, stepped, tracked, within


@given(capacity=st.integers(1, 1000), value=st.floats(0, 1e6), target=st.floats(0.1, 1e6))
def test_what_is_tracked_brings_the_metric_to_the_target_and_no_task_more(
    capacity: int, value: float, target: float
) -> None:
    wanted = tracked(capacity, value, target)
    assert wanted * target >= capacity * value - 1e-6 * target
    assert (wanted - 1) * target < capacity * value + 1e-6 * target


STEPS: list[dict[str, Any]] = [
    {"MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -30},
    {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -10},
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 10},
    {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 30},
]


@pytest.mark.parametrize(
    ("beyond", "wanted"), [(0.0, 11), (9.9, 11), (10.0, 13), (500.0, 13), (-0.1, 9), (-10.0, 7), (-99.0, 7)]
)
def test_a_step_is_chosen_by_how_far_the_threshold_is_crossed(beyond: float, wanted: int) -> None:
    """Above the threshold an interval includes its lower bound, below it its upper bound."""
    assert stepped(10, beyond, {"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": STEPS}) == wanted


@pytest.mark.parametrize(
    ("capacity", "adjustment", "least", "wanted"),
    [(10, 25, 0, 12), (2, 10, 0, 3), (2, -10, 0, 1), (10, -25, 0, 8), (10, 10, 4, 14), (1, -100, 0, 0)],
)
def test_percentages_are_rounded_as_aws_rounds_them(capacity: int, adjustment: int, least: int, wanted: int) -> None:
    steps = {
        "AdjustmentType": "PercentChangeInCapacity",
        "MinAdjustmentMagnitude": least,
        "StepAdjustments": [{"ScalingAdjustment": adjustment}],
    }
    assert stepped(capacity, 1.0, steps) == wanted


def test_an_exact_capacity_is_just_that() -> None:
    steps = {"AdjustmentType": "ExactCapacity", "StepAdjustments": [{"ScalingAdjustment": 4}]}
    assert stepped(10, 1.0, steps) == 4


@pytest.mark.parametrize(
    ("wanted", "desired", "is_out", "to"),
    [
        (9, 3, True, 8),
        (4, 1, True, 4),
        (1, 0, True, 2),
        (9, 9, True, None),
        (1, 3, False, 2),
        (1, 1, False, None),
        (9, 12, False, 8),
    ],
)
def test_limits_bind_scaling_and_never_turn_it_round(wanted: int, desired: int, is_out: bool, to: int | None) -> None:
    assert within(wanted, Capacity(desired, desired, 2, 8), is_out=is_out) == to


def test_scaling_out_goes_before_scaling_in_and_scaling_in_needs_everybody() -> None:
    out, more, less, least = (
        Wish(to, is_out, "alarm", "p") for to, is_out in ((5, True), (7, True), (3, False), (1, False))
    )
    assert choose([less, out, more], set()) == more
    assert choose([less, least], set()) == less
    assert choose([less, least], {"other"}) is None
    assert choose([], set()) is None

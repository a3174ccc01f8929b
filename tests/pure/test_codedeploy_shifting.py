"""The share of green over time, and whether a task set can become healthy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from turnout.codedeploy.configs import PREDEFINED
from turnout.codedeploy.health import Never, Sight, verdict
from turnout.codedeploy.shifting import ALL_AT_ONCE, green_percent_at, next_shift_at


def linear(percent: int, minutes: int) -> dict[str, Any]:
    return {
        "type": "TimeBasedLinear",
        "timeBasedLinear": {"linearPercentage": percent, "linearInterval": minutes},
    }


def test_all_at_once_is_everything_at_once() -> None:
    assert green_percent_at(0, ALL_AT_ONCE) == 100
    assert next_shift_at(0, ALL_AT_ONCE) is None


@pytest.mark.parametrize(("seconds", "percent"), [(0, 10), (299.9, 10), (300, 100), (1e9, 100), (-1, 10)])
def test_a_canary_waits_once(seconds: float, percent: int) -> None:
    routing = PREDEFINED["CodeDeployDefault.ECSCanary10Percent5Minutes"]
    assert green_percent_at(seconds, routing) == percent


def test_linear_by_ten_needs_nine_intervals() -> None:
    routing = PREDEFINED["CodeDeployDefault.ECSLinear10PercentEvery1Minutes"]
    assert [green_percent_at(60 * n, routing) for n in range(11)] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100]
    assert next_shift_at(0, routing) == 60
    assert next_shift_at(60, routing) == 120
    assert next_shift_at(540, routing) is None


def test_a_share_that_does_not_divide_ends_with_what_is_left() -> None:
    assert [green_percent_at(60 * n, linear(30, 1)) for n in range(4)] == [30, 60, 90, 100]


def test_a_moment_that_floats_just_before_its_increment_counts() -> None:
    start = 1_790_000_000.1
    assert green_percent_at(start + 60.0 - start, linear(10, 1)) == 20


@given(some.integers(1, 99), some.integers(1, 2880), some.floats(0, 1e6))
def test_a_shift_always_ends_and_never_goes_back(percent: int, minutes: int, seconds: float) -> None:
    routing = linear(percent, minutes)
    now = green_percent_at(seconds, routing)
    assert percent <= now <= 100
    due = next_shift_at(seconds, routing)
    if due is None:
        assert now == 100
    else:
        assert due > seconds
        assert green_percent_at(due, routing) > now


TASK = {"startedAt": 100.0, "containers": [{"name": "app", "networkBindings": [{"hostPort": 7}]}]}
SEEN = Sight(
    task_set={"computedDesiredCount": 1, "runningCount": 1, "stabilityStatus": "STEADY_STATE"},
    desired=1,
    targets=[{"Target": {"Id": "127.0.0.1", "Port": 7}, "TargetHealth": {"State": "healthy"}}],
    running=[TASK],
    stopped=[],
    target_group={"UnhealthyThresholdCount": 2, "HealthCheckIntervalSeconds": 5},
    grace_s=0,
    now=109.0,
)


def at(state: str) -> list[dict[str, Any]]:
    return [{"Target": {"Id": "127.0.0.1", "Port": 7}, "TargetHealth": {"State": state}}]


def test_steady_and_healthy_is_healthy() -> None:
    assert verdict(SEEN) is None


def test_a_service_of_no_tasks_is_healthy() -> None:
    nothing = {"computedDesiredCount": 0, "runningCount": 0, "stabilityStatus": "STEADY_STATE"}
    assert verdict(replace(SEEN, task_set=nothing, desired=0, targets=[], running=[])) is None


def test_a_task_set_that_was_not_counted_yet_is_not_healthy() -> None:
    """Else a deployment would move everyone to nobody."""
    nothing = {"computedDesiredCount": 0, "runningCount": 0, "stabilityStatus": "STEADY_STATE"}
    assert isinstance(verdict(replace(SEEN, task_set=nothing, desired=2, targets=[], running=[])), str)


def test_a_target_in_its_first_checks_is_waited_for_by_name() -> None:
    assert verdict(replace(SEEN, targets=at("initial"))) == (
        "1 of 1 tasks running, 0 of 1 targets healthy (target 127.0.0.1:7 is initial)"
    )


def test_an_unhealthy_target_is_certain_only_after_its_checks() -> None:
    early = replace(SEEN, targets=at("unhealthy"))
    assert isinstance(verdict(early), str)
    assert isinstance(verdict(replace(early, now=110.0)), Never)
    assert isinstance(verdict(replace(early, now=110.0, grace_s=30)), str)
    assert isinstance(verdict(replace(early, now=140.0, grace_s=30)), Never)


def test_an_unhealthy_target_of_another_task_set_decides_nothing() -> None:
    stranger = [{"Target": {"Id": "127.0.0.1", "Port": 8}, "TargetHealth": {"State": "unhealthy"}}]
    assert verdict(replace(SEEN, targets=[*SEEN.targets, *stranger], now=1e6)) is None


def test_two_crashes_are_not_yet_certain() -> None:
    crash = {"stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"}
    starting = replace(SEEN, task_set={**SEEN.task_set, "stabilityStatus": "STABILIZING", "runningCount": 0})
    assert isinstance(verdict(replace(starting, stopped=[crash] * 2)), str)
    never = verdict(replace(starting, stopped=[crash] * 3))
    assert isinstance(never, Never)
    assert never.why == "3 tasks failed to start; the last: Essential container in task exited"


def test_a_task_that_was_stopped_by_its_checks_is_certain() -> None:
    stopped = {"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed ELB health checks in (tg)"}
    never = verdict(replace(SEEN, stopped=[stopped]))
    assert isinstance(never, Never)
    assert never.task == stopped

"""When a deployment of ECS has failed, and what follows, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from turnout.ecs.deployment_health import never_healthy, rolls_back, threshold_for, words_of
from turnout.ecs.deployment_steps import steps_back, steps_for
from turnout.ecs.service_rows import TaskSet

SET = TaskSet(
    id="ecs-svc/1",
    region="us-east-1",
    cluster="shop",
    service="web",
    arn="arn",
    status="PRIMARY",
    task_definition="web:1",
    scale=100.0,
    pins={},
    body={},
    computed=2,
    running=0,
    pending=0,
    is_stable=False,
    stable_at=0.0,
    created_at=0.0,
    updated_at=0.0,
    failures=0,
    failed_wave_at=None,
    retry_at=None,
    failed_tasks=0,
    failed_in_a_row=0,
    run_id=None,
)


def breaker(**more: Any) -> dict[str, Any]:
    return {"deploymentCircuitBreaker": {"enable": True, "rollback": True, **more}}


@pytest.mark.parametrize(
    ("desired", "threshold"), [(0, 3), (1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (401, 200), (5000, 200)]
)
def test_the_threshold_is_half_of_the_desired_count_between_3_and_200(desired: int, threshold: int) -> None:
    assert threshold_for(breaker(), desired) == threshold


def test_failures_in_a_row_trip_the_breaker_or_all_of_them_if_a_good_task_does_not_reset_it() -> None:
    one = replace(SET, failed_tasks=9, failed_in_a_row=2)
    assert never_healthy(breaker(), 2, one, []) is None
    reason = never_healthy(breaker(resetOnHealthyTask=False), 2, one, ["no such file."])
    assert reason == "ECS deployment circuit breaker: tasks failed to start. The last: no such file."
    assert words_of(reason) == "tasks failed to start. The last: no such file."


def test_without_a_breaker_three_failed_starts_or_one_failed_health_check_are_enough() -> None:
    assert never_healthy({}, 2, replace(SET, failed_tasks=2), ["exit 1"]) is None
    assert "3 tasks failed to start. The last: exit 1." in str(
        never_healthy({}, 2, replace(SET, failed_tasks=3), ["exit 1"])
    )
    checked = never_healthy({}, 2, SET, ["Task failed container health checks (container app, timed out)"])
    assert checked is not None
    assert checked.endswith("Task failed container health checks (container app, timed out)")


@pytest.mark.parametrize(
    ("configuration", "code", "expected"),
    [
        (breaker(), "CIRCUIT_BREAKER", True),
        (breaker(rollback=False), "CIRCUIT_BREAKER", False),
        ({}, "CIRCUIT_BREAKER", True),
        ({"alarms": {"rollback": True}}, "ALARM", True),
        ({"alarms": {"rollback": False}, **breaker()}, "ALARM", False),
        (breaker(rollback=False), "ROLLBACK", True),
        (breaker(rollback=False), "HOOK_EXECUTION_FAILURE", True),
    ],
)
def test_what_found_the_failure_decides_about_the_rollback(
    configuration: dict[str, Any], code: str, expected: bool
) -> None:
    assert rolls_back(configuration, code) is expected


def test_a_rolling_update_is_one_step_and_bakes_only_for_its_alarms() -> None:
    def acts(configuration: dict[str, Any]) -> list[str]:
        steps = steps_for(configuration, is_first=False, reconciles=True, hook_ids=[])
        return [step.spec["act"] for step in steps]

    alarms = {"enable": True, "rollback": True, "alarmNames": ["errors"]}
    assert acts({}) == ["roll"]
    assert acts({"strategy": "ROLLING", "alarms": alarms}) == ["watch", "roll", "BAKE_TIME"]
    assert acts({"alarms": {**alarms, "enable": False}}) == ["roll"]
    assert [step.spec["act"] for step in steps_back({})] == ["return", "roll"]

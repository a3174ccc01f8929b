"""Health checks of containers by Docker's rules, and the order of containers, in words."""

from __future__ import annotations

from typing import Any

import pytest

from turnout.ecs.checks import after, command_of, delay_s, health_of
from turnout.ecs.definition_rules import check_definition
from turnout.ecs.dependencies import Readiness, dependents, readiness
from turnout.errors import AwsError
from turnout.runtimes import Ran

STARTED_AT = 1000.0
CHECK = {"command": ["CMD", "curl", "localhost"], "interval": 30, "timeout": 5, "retries": 3}
FAILED, PASSED, TIMED_OUT = Ran(1, "refused"), Ran(0, "fine"), Ran(None, "")


def container(name: str = "app", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "shop", "memory": 64, **more}


def needs(name: str, condition: str, **more: Any) -> dict[str, Any]:
    return {"dependsOn": [{"containerName": name, "condition": condition}], **more}


def known(*results: Ran, check: dict[str, Any] = CHECK, begin_at: float = STARTED_AT) -> dict[str, Any]:
    """What is known of a container after checks, one every 30 s."""
    facts: dict[str, Any] = {"isRunning": True, "startedAt": STARTED_AT}
    for number, ran in enumerate(results, start=1):
        facts["check"] = after(check, facts, ran, begin_at + 30 * number)
    return facts


def test_retries_failures_in_a_row_make_a_container_unhealthy_and_one_success_healthy() -> None:
    assert known(FAILED, FAILED)["check"] == {"status": "UNKNOWN", "failures": 2, "output": "exit code 1: refused"}
    assert known(FAILED, TIMED_OUT, FAILED)["check"]["status"] == "UNHEALTHY"
    assert known(FAILED, FAILED, PASSED, FAILED, FAILED)["check"]["status"] == "HEALTHY"
    assert known(FAILED, FAILED, FAILED, PASSED)["check"] == {"status": "HEALTHY", "failures": 0}
    assert known(TIMED_OUT)["check"]["output"] == "timed out"


def test_failures_within_the_start_period_do_not_count_until_a_check_has_succeeded() -> None:
    patient = {**CHECK, "startPeriod": 100, "retries": 2}
    assert known(FAILED, FAILED, FAILED, check=patient)["check"]["failures"] == 0
    assert known(FAILED, FAILED, FAILED, FAILED, FAILED, check=patient)["check"]["status"] == "UNHEALTHY"
    assert known(PASSED, FAILED, FAILED, check=patient)["check"]["status"] == "UNHEALTHY"


def test_a_container_is_checked_more_often_while_it_starts() -> None:
    patient = {**CHECK, "startPeriod": 100}
    assert delay_s(CHECK, known(), STARTED_AT) == 30
    assert delay_s(patient, known(), STARTED_AT + 99) == 5
    assert delay_s(patient, known(), STARTED_AT + 100) == 30
    assert delay_s(patient, known(PASSED, check=patient), STARTED_AT + 30) == 30


def test_a_command_is_run_as_it_is_or_by_the_shell() -> None:
    assert command_of(CHECK) == ["curl", "localhost"]
    assert command_of({"command": ["CMD-SHELL", "exit 1 || true"]}) == ["/bin/sh", "-c", "exit 1 || true"]


@pytest.mark.parametrize(
    ("statuses", "health"),
    [
        ([], "UNKNOWN"),
        (["HEALTHY", "HEALTHY"], "HEALTHY"),
        (["HEALTHY", "UNKNOWN"], "UNKNOWN"),
        (["UNHEALTHY", "UNKNOWN", "HEALTHY"], "UNHEALTHY"),
    ],
)
def test_a_task_is_as_healthy_as_its_worst_essential_container(statuses: list[str], health: str) -> None:
    assert health_of(statuses) == health


def test_containers_start_behind_what_they_depend_on() -> None:
    containers = [
        container("web", **needs("log", "START")),
        container("log", **needs("net", "START")),
        container("net"),
    ]
    found: dict[str, Any] = {}
    order = []
    while ready := readiness(containers, found, STARTED_AT).ready:
        order += ready
        found |= {name: {"isRunning": True, "startedAt": STARTED_AT} for name in ready}
    assert order == ["net", "log", "web"]
    assert dependents(containers, "net") == {"log"}


RUNS, HEALTHY, SICK = known(), known(PASSED), known(FAILED, FAILED, FAILED)
FINE, BROKEN = ({"isRunning": False, "startedAt": STARTED_AT, "exitCode": code} for code in (0, 3))


@pytest.mark.parametrize(
    ("condition", "ready", "waiting"),
    [
        ("START", [RUNS, FINE, BROKEN, SICK], [None]),
        ("COMPLETE", [FINE, BROKEN], [None, RUNS, HEALTHY]),
        ("SUCCESS", [FINE], [None, RUNS, HEALTHY]),
        ("HEALTHY", [HEALTHY], [None, RUNS, SICK]),
    ],
)
def test_a_condition_decides_what_may_start(condition: str, ready: list[Any], waiting: list[Any]) -> None:
    containers = [container("app", **needs("db", condition)), container("db", healthCheck=CHECK)]
    for facts in ready:
        assert readiness(containers, {"db": facts}, STARTED_AT).ready == ("app",)
    for facts in waiting:
        seen = readiness(containers, {"db": facts} if facts else {}, STARTED_AT)
        assert (seen.waiting, seen.never) == (("app",), None)


@pytest.mark.parametrize(("condition", "facts"), [("SUCCESS", BROKEN), ("HEALTHY", FINE)])
def test_a_condition_that_cannot_be_met_any_longer_is_told(condition: str, facts: Any) -> None:
    containers = [container("app", **needs("init", condition)), container("init", essential=False)]
    never = readiness(containers, {"init": facts}, STARTED_AT).never
    assert never is not None
    assert "ordering dependency [init] for target [app]" in never


def test_the_start_timeout_of_what_is_waited_for_limits_the_wait() -> None:
    containers = [container("app", **needs("db", "HEALTHY")), container("db", startTimeout=20)]
    assert readiness(containers, {"db": RUNS}, STARTED_AT + 19) == Readiness(
        waiting=("app",), why="app waits for db to be healthy", give_up_at=STARTED_AT + 20
    )
    assert "has timed out after 20 s" in str(readiness(containers, {"db": RUNS}, STARTED_AT + 20).never)


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([container(healthCheck={"command": ["curl", "x"]})], "must begin with CMD or CMD-SHELL"),
        ([container(healthCheck={"command": ["CMD"]})], "say what to run"),
        ([container(healthCheck={**CHECK, "interval": 4})], "interval of healthCheck must be between 5 and 300, not 4"),
        ([container(healthCheck={**CHECK, "timeout": 61})], "timeout of healthCheck must be between 2 and 60"),
        ([container(healthCheck={**CHECK, "retries": 0})], "retries of healthCheck must be between 1 and 10"),
        (
            [container(healthCheck={**CHECK, "startPeriod": 301})],
            "startPeriod of healthCheck must be between 0 and 300",
        ),
        ([container("a", **needs("b", "START")), container("b", **needs("a", "START"))], "a, b wait for each other"),
        ([container("a", **needs("a", "START"))], "a wait for each other"),
        (
            [container("a", **needs("b", "SUCCESS")), container("b")],
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
        ),
        ([container("a", **needs("b", "HEALTHY")), container("b")], "must have a healthCheck, and 'b' has none"),
        ([container(startTimeout=-1)], "startTimeout must be at least 0"),
    ],
)
def test_what_aws_refuses_of_containers_is_refused(containers: list[Any], message: str) -> None:
    with pytest.raises(AwsError, match=message) as refused:
        check_definition({"family": "web", "containerDefinitions": containers})
    assert refused.value.code == "ClientException"

"""Deployments that ECS shifts by itself, under load: the shapes, the pause, and every way back."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.stories.native import Native
from tests.stories.stage import Stage, until

SHAPES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "BLUE_GREEN": ({}, [100]),
    "CANARY": ({"canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 3}}, [20, 100]),
    "LINEAR": ({"linearConfiguration": {"stepPercent": 30.0, "stepBakeTimeInMinutes": 2}}, [30, 60, 90, 100]),
}
"""Strategy → its configuration, and the production traffic of the target revision in its order."""


def test_each_strategy_shifts_in_its_shape_bakes_and_loses_nothing(stage: Stage) -> None:
    """All of them at the same time; then each goes back the other way."""
    services = {strategy: Native(stage, strategy, **more) for strategy, (more, _) in SHAPES.items()}
    with ExitStack() as stack:
        loads = {name: stack.enter_context(service.ready().load()) for name, service in services.items()}
        for version, (old, new) in (("v2", "ab"), ("v3", "ba")):
            begun = {name: service.deploy(version) for name, service in services.items()}
            seen: dict[str, list[int]] = {name: [] for name in services}
            while any(service.told(begun[name])["status"] != "SUCCESSFUL" for name, service in services.items()):
                for name, service in services.items():
                    seen[name].append(service.weights().get(new, 0))
                time.sleep(0.05)
            for name, service in services.items():
                shares = [share for share, _ in itertools.groupby(seen[name]) if share]
                assert shares == SHAPES[name][1], name
                assert service.weights() == {old: 0, new: 100}
                service.until_all_is(loads[name], version)
                assert service.running() == 1


@pytest.fixture(scope="module")
def service(stage: Stage) -> Native:
    """Canaries of an hour: whoever waits for their end is not in these stories. v1 serves."""
    canary = {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 60}
    return Native(stage, "CANARY", canaryConfiguration=canary, bakeTimeInMinutes=0).ready()


def test_a_revision_that_is_never_healthy_gets_no_request(service: Native) -> None:
    with service.load() as load:
        before = service.weights()
        for version, fate in (("bad-1", {"crashes": True}), ("bad-2", {"code": 500})):
            ended = service.wait(service.deploy(version, **fate), "ROLLBACK_SUCCESSFUL")
            assert "does not become healthy" in ended["statusReason"]
        assert set(load.tally().answers) == {"v1"}
        assert service.weights().get("b", 0) == before.get("b", 0) == 0
        assert service.running() == 1


def test_a_canary_that_is_stopped_is_rolled_back_and_its_tasks_go(service: Native) -> None:
    with service.load() as load:
        stopped = service.deploy("v2")
        until(lambda: "v2" in load.tally().answers, "the canary answers")
        service.ecs.stop_service_deployment(serviceDeploymentArn=stopped, stopType="ROLLBACK")
        service.wait(stopped, "ROLLBACK_SUCCESSFUL")
        service.until_all_is(load, "v1")
        assert service.weights() == {"a": 100, "b": 0}
        assert service.running() == 1


def test_a_new_revision_in_mid_rollout_takes_over(service: Native) -> None:
    """v2 is in its canary when v3 comes: v1 serves alone until v3 begins, and v2 is never heard of again."""
    with service.load() as load:
        first = service.deploy("v2")
        until(lambda: "v2" in load.tally().answers, "v2 is in its canary")
        second = service.deploy("v3", {"canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1}})
        service.wait(second)
        assert service.told(first)["status"] == "STOPPED"
        service.until_all_is(load, "v3")
        assert service.running() == 1


def test_a_pause_holds_the_traffic_until_somebody_goes_on_or_rolls_back(stage: Stage) -> None:
    pause = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
    service = Native(stage, "BLUE_GREEN", bakeTimeInMinutes=0, lifecycleHooks=[pause]).ready()

    def paused(deployment: str) -> str | None:
        hooks = service.told(deployment).get("lifecycleHookDetails", [])
        return next((hook["hookId"] for hook in hooks if hook["status"] == "AWAITING_ACTION"), None)

    with service.load() as load:
        for action, status, serves in (("ROLLBACK", "ROLLBACK_SUCCESSFUL", "v1"), ("CONTINUE", "SUCCESSFUL", "v2")):
            deployment = service.deploy("v2")
            hook = until(lambda deployment=deployment: paused(deployment), "the pause")
            assert set(load.tally().answers) == {"v1"}
            service.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=hook, action=action)
            service.wait(deployment, status)
            service.until_all_is(load, serves)

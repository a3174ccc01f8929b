"""The engine dies at every commit and around every act of a deployment; the end is as if it had not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crash.dying import Killed, survive
from tests.fakes.bluegreen import RULE, TEST
from tests.rooms.deploying import Deploying
from tests.rooms.test_codedeploy_alarms import put_alarm
from turnout.aws import Call
from turnout.errors import AwsError

SPAN_S = 900.0


def straight(shop: Deploying) -> str:
    shop.create_group(has_test=True, wait_minutes=1)
    return shop.deploy()


def linear(shop: Deploying) -> str:
    routing = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 40, "linearInterval": 2}}
    shop.client.create_deployment_config(
        deploymentConfigName="forty", computePlatform="ECS", trafficRoutingConfig=routing
    )
    shop.create_group(deploymentConfigName="forty")
    return shop.deploy()


def failing(shop: Deploying) -> str:
    shop.create_group(has_test=True)
    shop.ecs.fate = "crashing"
    return shop.deploy()


def failing_late(shop: Deploying) -> str:
    """The canary is stopped in the middle, and rolled back."""
    shop.create_group(has_test=True)
    deployment_id = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    shop.tick(60)
    shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    return deployment_id


def alarmed(shop: Deploying) -> str:
    """An alarm goes off in the middle of the canary."""
    put_alarm(shop, "errors")
    shop.create_group(
        alarmConfiguration={"enabled": True, "alarms": [{"name": "errors"}]},
        autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]},
    )
    deployment_id = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    shop.tick(60)
    datum = {"MetricName": "errors", "Value": 5.0}
    shop.run(shop.aws.call("cloudwatch", "PutMetricData", "us-east-1", Namespace="shop", MetricData=[datum]))
    return deployment_id


def announcing(shop: Deploying) -> str:
    """Something stays in flight on blue, and goodbyes are said while it drains."""
    shop.create_group()
    shop.balancer.policy = "announce"
    shop.balancer.is_drained = False
    return shop.deploy()


def not_continued(shop: Deploying) -> str:
    shop.create_group(has_test=True, ready_minutes=5)
    return shop.deploy()


def live(shop: Deploying, begin: Callable[[Deploying], str], fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a scenario in which the engine dies at the point `fatal`."""
    deployment_id = begin(shop)
    points = survive(shop, SPAN_S, fatal, shop.reboot)
    infos = [shop.info(deployment_id)]
    if "rollbackInfo" in infos[0]:
        infos.append(shop.info(infos[0]["rollbackInfo"]["rollbackDeploymentId"]))
    end = {
        "deployments": len(shop.client.list_deployments()["deployments"]),
        "statuses": [info["status"] for info in infos],
        "errors": [info.get("errorInformation", {}).get("code") for info in infos],
        "weights": [shop.balancer.weights(), shop.balancer.weights(RULE), shop.balancer.weights(TEST)],
        "sets": [(task_set["id"], task_set["status"]) for task_set in shop.ecs.alive()],
        "created": shop.ecs.calls.count("CreateTaskSet"),
        "states": sorted(state for _, state in shop.states()),
        "receipts": [shop.receipts.find("us-east-1", info["deploymentId"])["isFinal"] for info in infos],
    }
    return points, end


@pytest.mark.parametrize("begin", [straight, linear, failing, failing_late, alarmed, announcing, not_continued])
def test_a_deployment_ends_the_same_wherever_the_engine_is_killed(
    tmp_path: Path, begin: Callable[[Deploying], str]
) -> None:
    def lived(number: int | None) -> tuple[int, Any]:
        home = tmp_path / str(number)
        home.mkdir()
        shop = Deploying(home, is_direct=True)
        try:
            return live(shop, begin, number)
        finally:
            shop.close()

    points, expected = lived(None)
    assert points > 15
    assert all(expected["receipts"])
    for number in range(1, points + 1):
        assert lived(number)[1] == expected, f"killed at point {number}"


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "and_killed"])
def test_a_stop_is_heeded_whenever_it_comes(tmp_path: Path, is_killed: bool) -> None:
    """It comes at each point of a deployment, and the engine dies right behind it: nothing of it is slept through."""

    def stopped(number: int | None) -> tuple[int, Any]:
        home = tmp_path / str(number)
        home.mkdir()
        shop = Deploying(home, is_direct=True)
        deployment_id = linear(shop)
        points = 0

        def fuse(point: str) -> None:
            nonlocal points
            if point == "before commit":
                return
            points += 1
            if points == number:
                shop.fuse = lambda point: None
                with suppress(AwsError):  # it is over, or there is no way back
                    shop.room.stop_deployment(
                        Call(
                            "codedeploy",
                            "StopDeployment",
                            "us-east-1",
                            {"deploymentId": deployment_id, "autoRollbackEnabled": True},
                        )
                    )
                if is_killed:
                    raise Killed(point)

        shop.fuse = fuse
        try:
            # Less than an increment takes: a stop that is slept through is still slept through then.
            shop.tick(100)
        except Killed:
            shop.reboot()
            shop.tick(100)
        info = shop.info(deployment_id)
        statuses = [info["status"]]
        if "rollbackInfo" in info:
            statuses.append(shop.info(info["rollbackInfo"]["rollbackDeploymentId"])["status"])
        end = statuses, sorted(shop.balancer.weights().values()), len(shop.ecs.alive())
        shop.close()
        return points, end

    points, going = stopped(None)
    assert going == (["InProgress"], [40, 60], 2)
    ends = [stopped(number)[1] for number in range(1, points + 1)]
    # Nothing had been created yet, or it is rolled back.
    assert {tuple(statuses) for statuses, _, _ in ends} == {("Stopped",), ("Stopped", "Succeeded")}
    assert all(weights == [0, 100] and alive == 1 for _, weights, alive in ends)

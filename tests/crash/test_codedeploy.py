"""The engine dies at every commit and around every act of a deployment; the end is as if it had not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crash.dying import Killed, survive
from tests.fakes.bluegreen import RULE, TEST
from tests.rooms.deploying import Deploying, content, hooked, with_file
from tests.rooms.test_codedeploy_alarms import put_alarm
from turnout.aws import Call
from turnout.codedeploy.appspec import HOOKABLE
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


def hooked_everywhere(shop: Deploying) -> str:
    """A function at each event."""
    shop.create_group(has_test=True)
    return shop.deploy(revision=content(hooked(**dict.fromkeys(HOOKABLE, "check"))))


def failed_by_a_hook(shop: Deploying) -> str:
    """The function at the last event reports Failed, when all traffic is on green already."""
    shop.create_group(has_test=True)
    shop.functions.fate["last"] = "fail"
    return shop.deploy(revision=content(hooked(BeforeInstall="check", AfterAllowTraffic="last")))


def failed_by_its_invocation(shop: Deploying) -> str:
    shop.create_group()
    shop.functions.fate["check"] = "raise"
    return shop.deploy(revision=content(hooked(AfterInstall="check")))


def stopped_in_a_hook(shop: Deploying) -> str:
    shop.create_group(has_test=True)
    shop.functions.fate["check"] = "silent"
    deployment_id = shop.deploy(revision=content(hooked(AfterAllowTestTraffic="check")))
    shop.tick(60)
    shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    return deployment_id


def held_by_a_container(shop: Deploying) -> str:
    shop.create_group()
    text = "version: 1\nhooks: {migrate: {container: app, command: [migrate]}}\n"
    return shop.deploy(revision=with_file(shop, hooked(BeforeInstall="migrate"), text))


def held_by_a_script(shop: Deploying) -> str:
    """A real process; what it writes outside of its folder shows how often it ran."""
    shop.create_group()
    text = f"version: 1\nhooks: {{check: {{script: echo ran >> {shop.home}/ledger}}}}\n"
    return shop.deploy(revision=with_file(shop, hooked(AfterInstall="check"), text))


def failed_by_a_call(shop: Deploying) -> str:
    """Nobody listens at port 1."""
    shop.create_group(has_test=True)
    text = "version: 1\nhooks: {check: {http: 'http://127.0.0.1:1/', retries: 2}}\n"
    return shop.deploy(revision=with_file(shop, hooked(AfterInstall="check"), text))


def live(shop: Deploying, begin: Callable[[Deploying], str], fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a scenario in which the engine dies at the point `fatal`."""
    deployment_id = begin(shop)
    points = survive(shop, SPAN_S, fatal, shop.reboot, shop.rest)
    infos = [shop.info(deployment_id)]
    left = shop.receipts.find("us-east-1", deployment_id)
    assert left is not None
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
        "hooks": [(hook["event"], hook["status"], hook["message"], hook["output"]) for hook in left["hooks"]],
        "hooks that are open": len(shop.runs.of_kind("codedeploy.hook", is_open=True)),
        "invocations": len(shop.functions.invoked),
        "tasks of hooks": len(shop.ecs.hook_tasks),
        "scripts": ledger.read_text().count("ran") if (ledger := shop.home / "ledger").exists() else 0,
        "receipts": [shop.receipts.find("us-east-1", info["deploymentId"])["isFinal"] for info in infos],
    }
    return points, end


STORIES = [
    straight,
    linear,
    failing,
    failing_late,
    alarmed,
    announcing,
    not_continued,
    hooked_everywhere,
    failed_by_a_hook,
    failed_by_its_invocation,
    stopped_in_a_hook,
    held_by_a_container,
    held_by_a_script,
    failed_by_a_call,
]


@pytest.mark.parametrize("begin", STORIES)
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

"""A service goes from CodeDeploy to ECS itself, and back: nothing that serves is touched."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.test_codedeploy_together import Stack

WEB = {"cluster": "prod", "service": "web"}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def rule(stack: Stack, listener: str) -> str:
    return str(stack.elb.describe_rules(ListenerArn=listener)["Rules"][0]["RuleArn"])


def to_ecs(stack: Stack, **more: Any) -> dict[str, Any]:
    live, other = sorted(stack.groups, key=lambda name: -stack.weights()[name])
    advanced = {
        "alternateTargetGroupArn": stack.groups[other],
        "productionListenerRule": rule(stack, stack.listener),
        "testListenerRule": rule(stack, stack.test_listener),
        "roleArn": "arn:aws:iam::000000000000:role/ecs",
    }
    balancer = {"containerName": "app", "containerPort": 80, "advancedConfiguration": advanced}
    canary = {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}
    params: dict[str, Any] = {
        "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": {"strategy": "CANARY", "canaryConfiguration": canary, "lifecycleHooks": [PAUSE]},
        "loadBalancers": [{"targetGroupArn": stack.groups[live], **balancer}],
    }
    answer: dict[str, Any] = stack.ecs.update_service(**WEB, **{**params, **more})["service"]
    return answer


def service(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.ecs.describe_services(cluster="prod", services=["web"])["services"][0]
    return found


def runs(stack: Stack) -> list[str]:
    """The version of each task that runs."""
    definitions = [task["taskDefinitionArn"] for task in tasks(stack)]
    return sorted(definition.rpartition(":")[2] for definition in definitions)


def tasks(stack: Stack) -> list[dict[str, Any]]:
    arns = stack.ecs.list_tasks(cluster="prod")["taskArns"]
    found: list[dict[str, Any]] = stack.ecs.describe_tasks(cluster="prod", tasks=arns)["tasks"]
    return [task for task in found if task["lastStatus"] == "RUNNING"]


def deployments(stack: Stack) -> list[dict[str, Any]]:
    briefs = stack.ecs.list_service_deployments(**WEB)["serviceDeployments"]
    arns = [brief["serviceDeploymentArn"] for brief in briefs]
    answer = stack.ecs.describe_service_deployments(serviceDeploymentArns=arns)
    return list(answer["serviceDeployments"])


def test_the_change_moves_all_traffic_to_new_tasks_of_the_same_version_at_once_and_asks_no_hook(
    stack: Stack, world: World
) -> None:
    assert to_ecs(stack)["deploymentController"] == {"type": "ECS"}
    world.tick(120)
    (first,) = deployments(stack)
    assert first["status"] == "SUCCESSFUL"
    assert "lifecycleHookDetails" not in first or not first["lifecycleHookDetails"]
    assert stack.weights() == {"a": 0, "b": 100}
    found = service(stack)
    assert "taskSets" not in found
    assert [one["status"] for one in found["deployments"]] == ["PRIMARY"]
    assert found["runningCount"] == 2
    assert runs(stack) == ["1", "1"]


def test_the_next_deployment_goes_by_the_strategy(stack: Stack, world: World) -> None:
    to_ecs(stack)
    world.tick(120)
    stack.ecs.update_service(**WEB, taskDefinition=stack.define("2"))
    world.tick(60)
    newest = deployments(stack)[0]
    (hook,) = newest["lifecycleHookDetails"]
    assert hook["status"] == "AWAITING_ACTION"
    stack.ecs.continue_service_deployment(serviceDeploymentArn=newest["serviceDeploymentArn"], hookId=hook["hookId"])
    world.tick(60)
    assert stack.weights() == {"a": 10, "b": 90}
    world.tick(600)
    assert (stack.weights(), runs(stack)) == ({"a": 100, "b": 0}, ["2", "2"])


def test_a_version_that_does_not_become_healthy_leaves_the_tasks_of_codedeploy_serving(
    stack: Stack, world: World
) -> None:
    resolved = world.run(world.runtime.resolve("app:1", "us-east-1"))
    world.runtime.cannot_start[resolved] = "no such file"
    to_ecs(stack)
    world.tick(300)
    (first,) = deployments(stack)
    assert first["status"] == "ROLLBACK_SUCCESSFUL"
    assert stack.weights() == {"a": 100, "b": 0}
    assert [one["status"] for one in service(stack)["deployments"]] == ["PRIMARY"]
    revision = first["rollback"]["serviceRevisionArn"]
    known = stack.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    assert known[0]["taskDefinition"].endswith("web:1")


def test_the_way_back_starts_and_stops_nothing_and_codedeploy_goes_on_from_there(stack: Stack, world: World) -> None:
    to_ecs(stack)
    world.tick(120)
    before = {name for name, one in world.runtime.containers.items() if one.state.is_running}
    back = stack.ecs.update_service(**WEB, deploymentController={"type": "CODE_DEPLOY"})["service"]
    assert back["deploymentController"] == {"type": "CODE_DEPLOY"}
    assert back["deployments"] == []
    (primary,) = back["taskSets"]
    assert (primary["status"], primary["loadBalancers"][0]["targetGroupArn"]) == ("PRIMARY", stack.groups["b"])
    assert "strategy" not in back["deploymentConfiguration"]
    world.tick(60)
    assert {name for name, one in world.runtime.containers.items() if one.state.is_running} == before
    deployment = stack.deploy("2")
    world.tick(120)
    assert stack.info(deployment)["status"] == "Succeeded"
    assert (stack.weights(), runs(stack)) == ({"a": 100, "b": 0}, ["2", "2"])


def test_a_service_in_the_middle_of_a_deployment_keeps_its_controller(stack: Stack, world: World) -> None:
    world.proxy.health["b"] = ("initial", None, None)
    stack.deploy("2")
    world.tick(1)
    with pytest.raises(ClientError, match="cannot be changed while a deployment is in progress"):
        to_ecs(stack)
    assert service(stack)["deploymentController"] == {"type": "CODE_DEPLOY"}


def test_what_the_controller_does_not_take_is_refused_with_the_change(stack: Stack) -> None:
    with pytest.raises(ClientError, match="needs a load balancer"):
        to_ecs(stack, loadBalancers=[])
    with pytest.raises(ClientError, match="EXTERNAL"):
        to_ecs(stack, deploymentController={"type": "EXTERNAL"})


def test_a_deployment_of_codedeploy_says_that_the_service_has_left_it(stack: Stack, world: World) -> None:
    to_ecs(stack)
    world.tick(120)
    refused = stack.deploy("2")
    world.tick(60)
    info = stack.info(refused)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "INVALID_ECS_SERVICE")
    assert runs(stack) == ["1", "1"]

"""Blue/green deployments of the room codedeploy that go well."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.bluegreen import OTHER, PROD, RULE, TEST, A, B, forward
from tests.rooms.deploying import Deploying


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def test_a_deployment_moves_the_traffic_and_then_removes_blue(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy(description="the second")
    assert shop.info(deployment_id)["status"] == "Created"
    shop.tick(60)
    info = shop.info(deployment_id)
    assert info["status"] == "Succeeded"
    assert info["deploymentOverview"] == {
        "Pending": 0, "InProgress": 0, "Succeeded": 1, "Failed": 0, "Skipped": 0, "Ready": 0,
    }  # fmt: skip
    assert info["description"] == "the second"
    assert info["creator"] == "user"
    assert info["completeTime"] > info["startTime"]
    assert shop.balancer.weights() == {B: 100, A: 0}
    assert shop.balancer.weights(RULE) == {B: 100, A: 0}
    assert shop.ecs.calls == ["CreateTaskSet", "UpdateServicePrimaryTaskSet", "DeleteTaskSet ecs-svc/1"]
    (primary,) = shop.ecs.alive()
    assert primary["status"] == "PRIMARY"
    assert primary["externalId"] == deployment_id
    assert primary["launchType"] == "EC2"
    assert shop.states() == [(deployment_id, "START"), (deployment_id, "SUCCESS")]


def test_every_deployment_goes_to_the_other_target_group(shop: Deploying) -> None:
    shop.create_group()
    live = []
    for _ in range(3):
        deployment_id = shop.deploy()
        shop.tick(60)
        assert shop.info(deployment_id)["status"] == "Succeeded"
        live.append(next(arn for arn, weight in shop.balancer.weights().items() if weight))
    assert live == [B, A, B]


def test_creating_a_group_puts_both_target_groups_on_the_production_listener_alone(shop: Deploying) -> None:
    shop.create_group(has_test=True)
    (action,) = shop.balancer.listeners[PROD]
    assert action == {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": A, "Weight": 100}, {"TargetGroupArn": B, "Weight": 0}],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    assert shop.balancer.weights(RULE) == {A: 100, B: 0}
    assert shop.balancer.listeners[TEST] == forward(A)


def test_the_listener_is_written_in_exactly_codedeploys_form(shop: Deploying) -> None:
    shop.balancer.rules["stranger"] = forward(OTHER)
    shop.create_group()
    shop.deploy()
    shop.tick(60)
    (action,) = shop.balancer.listeners[PROD]
    assert action == {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": B, "Weight": 100}, {"TargetGroupArn": A, "Weight": 0}],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    assert shop.balancer.rules["stranger"] == forward(OTHER)


def test_an_action_before_the_forward_stays(shop: Deploying) -> None:
    login = {"Type": "authenticate-oidc", "Order": 1}
    shop.balancer.listeners[PROD] = [login, {**forward(A)[0], "Order": 2}]
    shop.create_group()
    shop.deploy()
    shop.tick(60)
    first, second = shop.balancer.listeners[PROD]
    assert first == login
    assert second["Order"] == 2
    assert shop.balancer.weights() == {B: 100, A: 0}


def test_without_a_test_listener_there_are_six_lifecycle_events(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.lifecycle(deployment_id) == dict.fromkeys(
        ["BeforeInstall", "Install", "AfterInstall", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"],
        "Succeeded",
    )


def test_with_a_test_listener_green_is_tested_before_production_moves(shop: Deploying) -> None:
    shop.create_group(has_test=True, ready_minutes=10)
    deployment_id = shop.deploy()
    shop.tick(30)
    assert shop.balancer.weights(TEST) == {B: 100, A: 0}
    assert shop.balancer.weights() == {A: 100, B: 0}
    shop.client.continue_deployment(deploymentId=deployment_id)
    shop.tick(60)
    assert [*shop.lifecycle(deployment_id)] == [
        "BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic",
        "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic",
    ]  # fmt: skip
    assert set(shop.lifecycle(deployment_id).values()) == {"Succeeded"}
    assert shop.balancer.weights(TEST) == {B: 100, A: 0}


def test_the_target_shows_both_task_sets_while_blue_is_kept(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(60)
    target = shop.target(deployment_id)
    assert target["targetId"] == "prod:web"
    assert target["targetArn"].endswith("service/prod/web")
    assert target["status"] == "InProgress"
    blue, green = target["taskSetsInfo"]
    assert blue == {
        "identifer": "ecs-svc/1", "desiredCount": 2, "pendingCount": 0, "runningCount": 2, "status": "ACTIVE",
        "trafficWeight": 0.0, "targetGroup": {"name": "a"}, "taskSetLabel": "Blue",
    }  # fmt: skip
    assert green["taskSetLabel"] == "Green"
    assert green["trafficWeight"] == 100.0
    assert green["status"] == "PRIMARY"
    assert shop.client.list_deployment_targets(deploymentId=deployment_id)["targetIds"] == ["prod:web"]
    shop.tick(600)
    (alone,) = shop.target(deployment_id)["taskSetsInfo"]
    assert alone["identifer"] == "ecs-svc/2"


def test_the_target_of_an_old_deployment_stays_as_it_was_when_it_ended(shop: Deploying) -> None:
    shop.create_group()
    first = shop.deploy()
    shop.tick(60)
    then = shop.target(first)
    shop.deploy()
    shop.tick(60)
    assert shop.target(first) == then


def test_the_previous_revision_is_that_of_the_last_success(shop: Deploying) -> None:
    shop.create_group()
    first = shop.deploy()
    shop.tick(60)
    second = shop.deploy()
    assert "previousRevision" not in shop.info(first)
    assert shop.info(second)["previousRevision"] == shop.info(first)["revision"]
    group = shop.client.get_deployment_group(applicationName="shop", deploymentGroupName="live")["deploymentGroupInfo"]
    assert group["lastSuccessfulDeployment"]["deploymentId"] == first
    assert group["lastAttemptedDeployment"] == {
        "deploymentId": second, "status": "Created", "createTime": shop.info(second)["createTime"],
    }  # fmt: skip
    assert group["targetRevision"] == shop.info(first)["revision"]


def test_a_canary_gives_green_a_share_first(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    shop.tick(30)
    assert shop.balancer.weights() == {B: 10, A: 90}
    assert [i["trafficWeight"] for i in shop.target(deployment_id)["taskSetsInfo"]] == [90.0, 10.0]
    shop.tick(270)
    assert shop.balancer.weights() == {B: 10, A: 90}
    shop.tick(60)
    assert shop.balancer.weights() == {B: 100, A: 0}
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_linear_shift_moves_in_equal_steps_and_a_restart_changes_none(shop: Deploying) -> None:
    shop.create_group()
    shop.client.create_deployment_config(
        deploymentConfigName="thirty",
        computePlatform="ECS",
        trafficRoutingConfig={
            "type": "TimeBasedLinear",
            "timeBasedLinear": {"linearPercentage": 30, "linearInterval": 2},
        },
    )
    shop.deploy(deploymentConfigName="thirty")
    shop.tick(60)
    shop.reboot()
    shop.tick(600)
    shares = [change["weights"][B] for change in shop.balancer.changes]
    assert shares == [0, 30, 60, 90, 100]
    starts = [change["at"] for change in shop.balancer.changes[1:]]
    assert [later - sooner for sooner, later in itertools.pairwise(starts)] == [120.0, 120.0, 120.0]


def test_the_speed_of_the_clock_scales_the_shift_and_the_waits(shop: Deploying) -> None:
    shop.clock.speed = 60
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSLinear10PercentEvery1Minutes")
    shop.tick(5 + 9)
    assert shop.balancer.weights() == {B: 100, A: 0}
    assert shop.info(deployment_id)["instanceTerminationWaitTimeStarted"] is True
    shop.tick(5 + 30)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    assert shop.receipts.find("us-east-1", deployment_id)["speed"] == 60


def test_with_keep_alive_blue_stays_and_the_next_deployment_replaces_it(shop: Deploying) -> None:
    keep = {
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "KEEP_ALIVE"},
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
    }
    shop.create_group(blueGreenDeploymentConfiguration=keep)
    first = shop.deploy()
    shop.tick(60)
    assert shop.info(first)["status"] == "Succeeded"
    assert [s["status"] for s in shop.ecs.alive()] == ["ACTIVE", "PRIMARY"]
    second = shop.deploy()
    shop.tick(60)
    assert shop.info(second)["status"] == "Succeeded"
    assert shop.ecs.calls[2:] == ["DeleteTaskSet ecs-svc/1", "CreateTaskSet", "UpdateServicePrimaryTaskSet"]


def test_what_a_deployment_was_given_is_frozen(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    shop.client.delete_application(applicationName="shop")
    shop.tick(400)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_listener_that_lost_the_idle_target_group_holds_it_again_before_green_is_made(shop: Deploying) -> None:
    """Else nobody would check green's health: a Terraform apply without ignore_changes does this."""
    shop.create_group()
    shop.balancer.listeners[PROD] = forward(A)
    shop.balancer.rules.clear()
    shop.ecs.fate = "starting"
    shop.deploy()
    shop.tick(10)
    assert shop.balancer.weights() == {A: 100, B: 0}


def test_a_receipt_tells_of_a_balancer_that_ended_meanwhile_and_of_no_other(shop: Deploying) -> None:
    shop.create_group()
    at = shop.clock.at
    lost = {"endedAt": at + 0.1, "servesAgainAt": at + 0.2, "why": "Envoy, pid 7, was ended by SIGKILL"}
    earlier = {"endedAt": at - 9, "servesAgainAt": at - 8}
    shop.balancer.interruptions += [earlier, lost, {"endedAt": at + 900, "servesAgainAt": at + 901}]
    deployment_id = shop.deploy()
    shop.tick(60)
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    assert receipt["interruptions"] == [lost]

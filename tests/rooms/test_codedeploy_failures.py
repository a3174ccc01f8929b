"""Deployments that fail, are rolled back, are stopped, or are refused before anything is created."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import OTHER, PROD, RULE, TEST, A, B, forward
from tests.rooms.deploying import APPSPEC, Deploying, content

NO_ROLLBACK = {"autoRollbackConfiguration": {"enabled": False, "events": []}}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def refused(act: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        act()
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def rollback_of(shop: Deploying, deployment_id: str) -> str:
    rollback_id: str = shop.info(deployment_id)["rollbackInfo"]["rollbackDeploymentId"]
    return rollback_id


def test_a_task_set_that_crashes_three_times_fails_the_deployment_and_leaves_traffic_alone(shop: Deploying) -> None:
    shop.create_group(**NO_ROLLBACK)
    changes = len(shop.balancer.changes)
    shop.ecs.fate = "crashing"
    deployment_id = shop.deploy()
    shop.tick(10)
    info = shop.info(deployment_id)
    assert info["status"] == "Failed"
    assert info["errorInformation"] == {
        "code": "HEALTH_CONSTRAINTS",
        "message": "The replacement task set cannot become healthy: 3 tasks failed to start; the last: Essential"
        " container in task exited; container app ended with exit code 3. Its last output:\n"
        "  last words in ecs/app/22",
    }
    assert info["deploymentOverview"]["Failed"] == 1
    assert shop.lifecycle(deployment_id) == {
        "BeforeInstall": "Succeeded", "Install": "Failed", "AfterInstall": "Skipped",
        "BeforeAllowTraffic": "Skipped", "AllowTraffic": "Skipped", "AfterAllowTraffic": "Skipped",
    }  # fmt: skip
    install = shop.target(deployment_id)["lifecycleEvents"][1]
    assert install["diagnostics"]["logTail"] == "last words in ecs/app/22"
    assert len(shop.balancer.changes) == changes
    assert shop.ecs.calls == ["CreateTaskSet"]
    assert "rollbackInfo" not in info
    assert shop.states() == [(deployment_id, "START"), (deployment_id, "FAILURE")]


def test_a_target_that_stays_unhealthy_after_the_grace_period_fails_the_deployment(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate, shop.ecs.grace_s = "unhealthy", 5
    deployment_id = shop.deploy()
    shop.tick(10)
    message = shop.info(deployment_id)["errorInformation"]["message"]
    assert "target 127.0.0.1:20 is unhealthy: Health checks failed with these codes: [500]" in message
    assert "grace period 5 s, unhealthy after 2 failed checks" in message


def test_an_unhealthy_target_is_waited_for_during_the_grace_period(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate, shop.ecs.grace_s = "unhealthy", 60
    deployment_id = shop.deploy()
    shop.tick(100)
    assert shop.info(deployment_id)["status"] == "InProgress"
    shop.ecs.fates["ecs-svc/2"] = "healthy"
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_after_an_hour_without_health_the_deployment_times_out_with_awss_words(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate = "starting"
    deployment_id = shop.deploy()
    shop.tick(3500)
    assert shop.info(deployment_id)["status"] == "InProgress"
    shop.tick(200)
    error = shop.info(deployment_id)["errorInformation"]
    assert error["code"] == "TIMEOUT"
    assert error["message"].startswith(
        "The deployment timed out while waiting for the replacement task set to become healthy."
        " This time out period is 60 minutes."
    )
    assert error["message"].endswith("Last seen: 0 of 2 tasks running, 0 of 2 targets healthy.")


def test_a_failure_is_rolled_back_by_a_second_deployment(shop: Deploying) -> None:
    shop.create_group(has_test=True)
    good = shop.deploy()
    shop.tick(60)
    shop.ecs.fate = "crashing"
    bad = shop.deploy()
    shop.tick(60)
    back = rollback_of(shop, bad)
    assert shop.info(bad)["rollbackInfo"] == {
        "rollbackDeploymentId": back,
        "rollbackMessage": f"Deployment {bad} terminated. Automatic rollback is triggered with a DeploymentId {back}.",
    }
    info = shop.info(back)
    assert info["status"] == "Succeeded"
    assert info["creator"] == "codeDeployRollback"
    assert info["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    assert info["revision"] == shop.info(good)["revision"]
    assert info["rollbackInfo"] == {
        "rollbackTriggeringDeploymentId": bad,
        "rollbackMessage": f"Deployment {back} is triggered to roll back deployment {bad}.",
    }
    assert shop.states()[2:] == [(bad, "START"), (back, "START"), (bad, "FAILURE"), (back, "SUCCESS")]
    assert [s["taskSetArn"][-1] for s in shop.ecs.alive()] == ["2"]
    assert shop.balancer.weights() == {B: 100, A: 0}
    assert shop.balancer.weights(TEST) == {B: 100, A: 0}
    assert shop.ecs.calls.count("CreateTaskSet") == 2


def test_a_rollback_in_the_middle_of_a_shift_returns_everyone_to_blue_in_one_move(shop: Deploying) -> None:
    shop.create_group(has_test=True)
    bad = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSLinear10PercentEvery1Minutes")
    shop.tick(130)
    assert shop.balancer.weights() == {B: 30, A: 70}
    answer = shop.client.stop_deployment(deploymentId=bad, autoRollbackEnabled=True)
    assert answer["status"] == "Pending"
    shop.tick(60)
    assert shop.info(bad)["status"] == "Stopped"
    assert shop.info(bad)["errorInformation"]["code"] == "MANUAL_STOP"
    assert shop.lifecycle(bad)["AllowTraffic"] == "Failed"
    assert shop.info(rollback_of(shop, bad))["status"] == "Succeeded"
    assert shop.balancer.weights() == shop.balancer.weights(RULE) == shop.balancer.weights(TEST) == {A: 100, B: 0}
    assert [change["weights"].get(B) for change in shop.balancer.changes] == [0, 10, 20, 30, 0]
    (blue,) = shop.ecs.alive()
    assert (blue["id"], blue["status"]) == ("ecs-svc/1", "PRIMARY")


def test_a_stop_during_the_termination_wait_goes_back_to_blue(shop: Deploying) -> None:
    shop.create_group(wait_minutes=60, autoRollbackConfiguration={
        "enabled": True, "events": ["DEPLOYMENT_STOP_ON_REQUEST"],
    })  # fmt: skip
    bad = shop.deploy()
    shop.tick(60)
    assert shop.balancer.weights() == {B: 100, A: 0}
    shop.client.stop_deployment(deploymentId=bad)
    shop.tick(60)
    assert shop.info(rollback_of(shop, bad))["status"] == "Succeeded"
    assert shop.balancer.weights() == {A: 100, B: 0}
    assert [s["id"] for s in shop.ecs.alive()] == ["ecs-svc/1"]
    again = shop.deploy()
    shop.tick(60)
    shop.client.continue_deployment(deploymentId=again, deploymentWaitType="TERMINATION_WAIT")
    shop.tick(60)
    assert shop.info(again)["status"] == "Succeeded"


def test_a_stop_without_rollback_leaves_everything_as_it_is(shop: Deploying) -> None:
    shop.create_group()
    bad = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    shop.tick(60)
    shop.client.stop_deployment(deploymentId=bad, autoRollbackEnabled=False)
    shop.tick(60)
    info = shop.info(bad)
    assert info["status"] == "Stopped"
    assert "rollbackInfo" not in info
    assert shop.balancer.weights() == {B: 10, A: 90}
    assert len(shop.ecs.alive()) == 2
    assert shop.states()[-1] == (bad, "STOP")


def test_a_stop_before_anything_was_created_rolls_nothing_back(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    shop.tick(60)
    info = shop.info(deployment_id)
    assert info["status"] == "Stopped"
    assert info["errorInformation"]["code"] == "MANUAL_STOP"
    assert "rollbackInfo" not in info
    assert shop.ecs.calls == []


def test_once_blue_is_being_terminated_there_is_no_way_back(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.tick(6)
    assert "DeleteTaskSet ecs-svc/1" in shop.ecs.calls
    code, message = refused(lambda: shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True))
    assert code == "DeploymentAlreadyCompletedException"
    assert "can no longer be stopped" in message


def test_a_completed_deployment_cannot_be_stopped_or_continued(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.tick(60)
    assert refused(lambda: shop.client.stop_deployment(deploymentId=deployment_id))[0] == (
        "DeploymentAlreadyCompletedException"
    )
    assert refused(lambda: shop.client.continue_deployment(deploymentId=deployment_id))[0] == (
        "DeploymentAlreadyCompletedException"
    )


def test_a_group_deploys_one_thing_at_a_time(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    first = shop.deploy()
    shop.tick(60)
    assert refused(shop.deploy) == (
        "DeploymentLimitExceededException",
        f"The Deployment Group 'live' already has an active Deployment '{first}'",
    )
    shop.tick(400)
    shop.deploy()


def test_what_a_failed_deployment_left_behind_is_removed_by_the_next(shop: Deploying) -> None:
    shop.create_group(**NO_ROLLBACK)
    shop.ecs.fate = "crashing"
    shop.deploy()
    shop.tick(60)
    assert len(shop.ecs.alive()) == 2
    shop.ecs.fate = "healthy"
    good = shop.deploy()
    shop.tick(60)
    assert shop.info(good)["status"] == "Succeeded"
    assert shop.ecs.calls[1:3] == ["DeleteTaskSet ecs-svc/2", "CreateTaskSet"]


def test_an_answer_of_ecs_that_refuses_is_quoted(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate = "refused"
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.info(deployment_id)["errorInformation"] == {
        "code": "ECS_UPDATE_ERROR",
        "message": "The ECS service cannot be updated due to an unexpected error: The container app does not exist in"
        " the task definition. (Service: AmazonECS; Status Code: 400; Error Code: InvalidParameterException)."
        " Check your ECS service status.",
    }


ELB = "The ELB could not be updated due to the following error: "


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (forward(OTHER), f"{ELB}Primary taskset target group must be behind listener {PROD}"),
        ([{"Type": "fixed-response"}], f"{ELB}Primary taskset target group must be behind listener {PROD}"),
        (
            forward(A, B),
            f"{ELB}Green taskset target group cannot have non-zero weight prior to traffic shifting",
        ),
        (
            forward(A, OTHER),
            f"{ELB}Only target group in ECS deployment group (a, b) can be set on listener {PROD}.",
        ),
    ],
)
def test_a_listener_that_is_not_as_it_must_be_fails_before_anything_is_created(
    shop: Deploying, actions: list[dict[str, Any]], message: str
) -> None:
    shop.create_group()
    shop.balancer.listeners[PROD] = actions
    shop.balancer.rules.clear()
    deployment_id = shop.deploy()
    shop.tick(60)
    info = shop.info(deployment_id)
    assert info["errorInformation"] == {"code": "ELASTIC_LOAD_BALANCING_INVALID", "message": message}
    assert set(shop.lifecycle(deployment_id).values()) == {"Skipped"}
    assert "rollbackInfo" not in info
    assert shop.ecs.calls == []


def test_a_service_without_a_primary_task_set_fails_with_the_reason(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.sets[0]["status"] = "ACTIVE"
    deployment_id = shop.deploy()
    shop.tick(60)
    error = shop.info(deployment_id)["errorInformation"]
    assert error["code"] == "INVALID_ECS_SERVICE"
    assert "has no PRIMARY task set" in error["message"]


def test_weight_that_came_back_to_blue_by_hand_saves_it(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5, **NO_ROLLBACK)
    deployment_id = shop.deploy()
    shop.tick(60)
    shop.balancer.listeners[PROD] = forward(A)
    shop.tick(600)
    error = shop.info(deployment_id)["errorInformation"]
    assert error["code"] == "ELASTIC_LOAD_BALANCING_INVALID"
    assert "has weight on listener" in error["message"]
    assert "DeleteTaskSet ecs-svc/1" not in shop.ecs.calls


def test_a_deployment_that_fails_after_the_shift_goes_back_to_blue(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(60)
    shop.balancer.rules[RULE] = forward(A)
    shop.tick(600)
    assert shop.info(deployment_id)["status"] == "Failed"
    assert shop.info(rollback_of(shop, deployment_id))["status"] == "Succeeded"
    assert shop.balancer.weights() == {A: 100, B: 0}
    assert [s["id"] for s in shop.ecs.alive()] == ["ecs-svc/1"]


def test_a_rollback_never_rolls_back(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate = "starting"
    bad = shop.deploy()
    shop.tick(0)
    shop.ecs.sets[0]["status"] = "DRAINING"
    shop.ecs.fates["ecs-svc/2"] = "crashing"
    shop.tick(60)
    back = shop.info(rollback_of(shop, bad))
    assert back["status"] == "Failed"
    assert "is gone: deploy the former revision again" in back["errorInformation"]["message"]
    assert "rollbackDeploymentId" not in back["rollbackInfo"]


def test_triggers_tell_their_topics_what_they_want_to_hear(shop: Deploying) -> None:
    events = ["DeploymentFailure", "DeploymentRollback"]
    trigger = {"triggerName": "red", "triggerTargetArn": "arn:aws:sns:us-east-1:0:red", "triggerEvents": events}
    shop.create_group(triggerConfigurations=[trigger])
    shop.deploy()
    shop.tick(60)
    assert shop.elsewhere.published == []
    shop.ecs.fate = "crashing"
    bad = shop.deploy()
    shop.tick(60)
    failed, started = sorted(shop.elsewhere.published, key=lambda message: message["Subject"], reverse=True)
    assert failed["Subject"] == f"FAILED: AWS CodeDeploy {bad} in us-east-1 to shop"
    assert json.loads(json.loads(failed["Message"])["errorInformation"])["code"] == "HEALTH_CONSTRAINTS"
    assert json.loads(started["Message"])["deploymentId"] == rollback_of(shop, bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("arn:td/web:2", "arn:td/gone"), "The task definition arn:td/gone cannot"),
        (('ContainerName: "app"', 'ContainerName: "api"'), "ContainerName api: arn:td/web:2 has only app."),
        (("ContainerPort: 80", "ContainerPort: 81"), "ContainerPort 81: container app of arn:td/web:2 maps 80."),
        (("Type: AWS::ECS::Service", "Type: AWS::Lambda::Function"), "line 4: Type must be AWS::ECS::Service"),
    ],
)
def test_an_appspec_is_checked_before_the_answer(shop: Deploying, change: tuple[str, str], message: str) -> None:
    shop.create_group()
    code, said = refused(lambda: shop.deploy(revision=content(APPSPEC.replace(*change))))
    assert code == "InvalidRevisionException"
    assert message in said


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("fileExistsBehavior", "OVERWRITE", "InvalidFileExistsBehaviorException"),
        ("targetInstances", {"autoScalingGroups": ["x"]}, "InvalidTargetInstancesException"),
        ("updateOutdatedInstancesOnly", True, "InvalidUpdateOutdatedInstancesOnlyValueException"),
        ("deploymentMode", "RESTART", "InvalidInputException"),
        ("deploymentConfigName", "CodeDeployDefault.OneAtATime", "DeploymentConfigDoesNotExistException"),
        ("autoRollbackConfiguration", {"enabled": True}, "InvalidAutoRollbackConfigException"),
        ("applicationName", "none", "ApplicationDoesNotExistException"),
        ("deploymentGroupName", "none", "DeploymentGroupDoesNotExistException"),
    ],
)
def test_options_of_servers_are_refused(shop: Deploying, member: str, value: Any, code: str) -> None:
    shop.create_group()
    assert refused(lambda: shop.deploy(**{member: value}))[0] == code


def test_the_words_for_file_exists_behavior_are_awss(shop: Deploying) -> None:
    shop.create_group()
    assert refused(lambda: shop.deploy(fileExistsBehavior="RETAIN"))[1] == (
        "For Lambda, ECS and Kubernetes deployment, fileExistsBehavior can not be specified"
    )


def test_a_deployment_does_not_fail_before_the_last_words_of_its_tasks_have_been_read(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate = "crashing"
    shop.ecs.last_status = "DEPROVISIONING"
    deployment_id = shop.deploy()
    shop.tick(3)
    assert shop.info(deployment_id)["status"] == "InProgress"
    shop.ecs.last_status = "STOPPED"
    shop.tick(3)
    assert "Its last output:\n  last words in" in shop.info(deployment_id)["errorInformation"]["message"]

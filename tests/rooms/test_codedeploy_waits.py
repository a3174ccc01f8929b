"""Where a deployment waits, the receipt that it leaves, and a restart of the engine in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import PROD, TEST, A, B
from tests.rooms.deploying import APPSPEC, Deploying, content
from turnout.runs import Status

REGION = "us-east-1"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def test_blue_is_kept_for_the_termination_wait(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    assert shop.info(deployment_id)["instanceTerminationWaitTimeStarted"] is False
    shop.tick(290)
    info = shop.info(deployment_id)
    assert info["status"] == "InProgress"
    assert info["instanceTerminationWaitTimeStarted"] is True
    assert "deploymentOverview" not in info
    assert set(shop.lifecycle(deployment_id).values()) == {"Succeeded"}
    assert len(shop.ecs.alive()) == 2
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_the_termination_wait_is_cut_short(shop: Deploying) -> None:
    shop.create_group(wait_minutes=2880)
    deployment_id = shop.deploy()
    with pytest.raises(ClientError, match="InvalidDeploymentStatusException"):
        shop.client.continue_deployment(deploymentId=deployment_id, deploymentWaitType="TERMINATION_WAIT")
    shop.tick(60)
    with pytest.raises(ClientError, match="DeploymentIsNotInReadyStateException"):
        shop.client.continue_deployment(deploymentId=deployment_id, deploymentWaitType="READY_WAIT")
    shop.client.continue_deployment(deploymentId=deployment_id, deploymentWaitType="TERMINATION_WAIT")
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_deployment_waits_ready_until_it_is_told_to_go_on(shop: Deploying) -> None:
    shop.create_group(ready_minutes=30)
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Ready"
    assert shop.target(deployment_id)["status"] == "Ready"
    assert shop.client.list_deployments(includeOnlyStatuses=["Ready"])["deployments"] == [deployment_id]
    assert shop.states()[-1] == (deployment_id, "READY")
    assert shop.balancer.weights() == {A: 100, B: 0}
    shop.reboot()
    shop.tick()
    assert shop.states()[-2:] == [(deployment_id, "START"), (deployment_id, "READY")]
    shop.client.continue_deployment(deploymentId=deployment_id, deploymentWaitType="READY_WAIT")
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_ready_wait_that_nobody_ends_stops_the_deployment_and_leaves_nothing(shop: Deploying) -> None:
    shop.create_group(ready_minutes=30, has_test=True)
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.balancer.weights(TEST) == {B: 100, A: 0}
    shop.tick(1900)
    info = shop.info(deployment_id)
    assert info["status"] == "Stopped"
    assert info["errorInformation"] == {
        "code": "TIMEOUT",
        "message": "The deployment timed out while waiting for a notification to continue."
        " This time out period is 30 minutes.",
    }
    assert "rollbackInfo" not in info
    assert shop.balancer.weights(TEST) == {A: 100, B: 0}
    assert [s["id"] for s in shop.ecs.alive()] == ["ecs-svc/1"]


def test_blue_is_not_stopped_while_new_requests_arrive_at_it(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.is_quiet = False
    deployment_id = shop.deploy()
    shop.tick(10)
    assert "DeleteTaskSet ecs-svc/1" not in shop.ecs.calls
    shop.balancer.is_quiet = True
    shop.tick(60)
    drained = shop.receipts.find(REGION, deployment_id)["drained"]
    assert drained["isProven"] is True
    assert drained["deadlineReached"] is False
    assert drained["reason"] == "no request in 260 ms, 0 in flight"


def test_requests_that_arrive_by_another_way_do_not_keep_blue_for_longer_than_the_delay(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.is_quiet = False
    shop.deploy()
    shop.tick(25)
    assert "DeleteTaskSet ecs-svc/1" in shop.ecs.calls


def test_what_is_in_flight_has_the_deregistration_delay_once_and_then_is_cut(shop: Deploying) -> None:
    """The delay is that of the tasks that are told to go: they are told as soon as nothing new arrives."""
    shop.create_group()
    shop.balancer.is_drained = False
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["drained"]["isProven"] is False
    assert receipt["drained"]["deadlineReached"] is True
    assert receipt["drained"]["reason"] == "3 requests in flight"
    steps = {step["name"]: step for step in receipt["steps"]}
    assert steps["ProveDrained"]["endedAt"] == steps["ProveDrained"]["startedAt"]
    assert receipt["drained"]["at"] - steps["TerminateBlue"]["startedAt"] == pytest.approx(15, abs=0.3)
    assert [wait["why"] for wait in steps["TerminateBlue"]["waits"]] == [
        "draining and stopping the original task set, tasks left: 2, 3 requests in flight"
    ]
    assert receipt["longConnections"] == {"policy": "cut", "moved": 7, "left": 3, "told": 0, "cut": 3}


def test_what_ends_within_the_deregistration_delay_is_not_counted_as_cut(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.is_drained = False
    deployment_id = shop.deploy()
    shop.tick(10)
    shop.balancer.is_drained = True
    shop.tick(50)
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["drained"]["isProven"] is True
    assert receipt["longConnections"] == {"policy": "cut", "moved": 7, "left": 3, "told": 0, "cut": 0}


def test_blue_is_left_until_its_last_connection_is_closed_where_the_listener_says_so(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.policy = "leave"
    shop.balancer.is_drained = False
    deployment_id = shop.deploy()
    shop.tick(20_000)
    assert shop.info(deployment_id)["status"] == "InProgress"
    assert len(shop.ecs.alive()) == 2
    shop.balancer.is_drained = True
    shop.reboot()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    counted = shop.receipts.find(REGION, deployment_id)["longConnections"]
    assert counted == {"policy": "leave", "moved": 7, "left": 3, "told": 0, "cut": 0}


def test_goodbyes_are_said_over_the_deregistration_delay_where_the_listener_says_so(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.policy = "announce"
    shop.balancer.is_drained = False
    deployment_id = shop.deploy()
    shop.tick(13)
    halfway = [share for _, share in shop.balancer.shares]
    assert halfway == sorted(halfway)
    assert 0.3 < halfway[-1] < 0.7
    shop.reboot()
    shop.tick(60)
    assert {cause for cause, _ in shop.balancer.shares} == {deployment_id}
    assert shop.balancer.shares[-1][1] == 1.0
    counted = shop.receipts.find(REGION, deployment_id)["longConnections"]
    assert counted["told"] == len(shop.balancer.shares)
    assert (counted["policy"], counted["cut"]) == ("announce", 3)


def test_everybody_has_been_told_goodbye_when_blue_is_gone_even_if_it_went_early(shop: Deploying) -> None:
    """Its tasks may all die in the middle of their delay."""
    shop.create_group()
    shop.balancer.policy = "announce"
    shop.balancer.is_drained = False
    shop.ecs.drain_s = 4.0
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    halfway, last = shop.balancer.shares[-2:]
    assert halfway[1] < 0.5
    assert last == (deployment_id, 1.0)


def test_a_rollback_says_goodbye_to_everybody_at_once(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.policy = "announce"
    deployment_id = shop.deploy(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    shop.tick(60)
    shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    shop.tick(60)
    rollback = shop.info(deployment_id)["rollbackInfo"]["rollbackDeploymentId"]
    assert shop.balancer.shares == [(rollback, 1.0)]


def test_a_deployment_begins_when_the_balancer_speaks(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.is_silent = True
    deployment_id = shop.deploy()
    shop.tick(10)
    assert shop.ecs.calls == []
    shop.balancer.is_silent = False
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    assert shop.receipts.find(REGION, deployment_id)["steps"][0]["waits"][0]["why"] == "Envoy does not answer"


def test_blue_is_not_stopped_while_a_silent_balancer_may_still_send_to_it(shop: Deploying) -> None:
    shop.create_group(ready_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(30)
    shop.balancer.is_silent = True
    shop.client.continue_deployment(deploymentId=deployment_id)
    shop.tick(90)
    assert shop.info(deployment_id)["status"] == "InProgress"
    assert not any(call.startswith("DeleteTaskSet") for call in shop.ecs.calls)
    shop.balancer.is_silent = False
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["switch"]["note"] == "Envoy does not answer"
    assert receipt["drained"]["isProven"] is True


def test_a_balancer_that_never_takes_on_the_weights_fails_the_deployment_and_keeps_blue(shop: Deploying) -> None:
    shop.create_group(ready_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(30)
    shop.balancer.is_silent = True
    shop.client.continue_deployment(deploymentId=deployment_id)
    shop.tick(900)
    info = shop.info(deployment_id)
    assert info["status"] == "Failed"
    assert "has not taken on the new weights: Envoy does not answer" in info["errorInformation"]["message"]
    assert "DeleteTaskSet ecs-svc/1" not in shop.ecs.calls


def test_a_receipt_tells_the_whole_story(shop: Deploying) -> None:
    shop.create_group()
    commit = "0123456789abcdef0123456789abcdef01234567"
    deployment_id = shop.deploy(description=f"commit {commit}")
    shop.tick(60)
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["isFinal"] is True
    assert receipt["status"] == "Succeeded"
    assert receipt["commitId"] == commit
    assert receipt["blue"]["taskDefinition"] == "arn:td/web:1"
    assert receipt["blue"]["images"] == [{"container": "app", "image": "app:latest", "digest": "sha256:1"}]
    assert receipt["green"]["images"] == [{"container": "app", "image": "app:latest", "digest": "sha256:2"}]
    assert [(w["blue"], w["green"]) for w in receipt["weights"]] == [(100, 0), (0, 100)]
    assert receipt["switch"]["ms"] == pytest.approx(4, abs=0.1)
    assert receipt["traffic"]["green"] == {
        "requests": 10, "failed": 0, "errors": 1, "p50Ms": 2.5, "p99Ms": 9.0, "isWhole": True,
    }  # fmt: skip
    assert receipt["traffic"]["unrouted"]["requests"] == 0
    assert receipt["endedAt"] == shop.info(deployment_id)["completeTime"].timestamp()
    (listed,) = shop.receipts.list(REGION)
    assert listed == {member: value for member, value in receipt.items() if member != "samples"}


def test_without_traffic_there_is_no_switch_time(shop: Deploying) -> None:
    shop.create_group()
    shop.balancer.has_traffic = False
    deployment_id = shop.deploy()
    shop.tick(60)
    switch = shop.receipts.find(REGION, deployment_id)["switch"]
    assert switch["ms"] is None
    assert switch["note"] == "no traffic"


def test_a_receipt_can_be_read_while_the_deployment_runs(shop: Deploying) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(60)
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["isFinal"] is False
    assert receipt["status"] == "InProgress"
    assert receipt["traffic"] is None
    assert shop.receipts.list(REGION)[0]["deploymentId"] == deployment_id
    assert shop.receipts.find(REGION, "d-NOTTHERE1") is None


def test_the_receipts_of_a_failure_and_of_its_rollback_point_to_each_other(shop: Deploying) -> None:
    shop.create_group()
    shop.ecs.fate = "crashing"
    bad = shop.deploy()
    shop.tick(60)
    failed = shop.receipts.find(REGION, bad)
    assert failed["error"]["code"] == "HEALTH_CONSTRAINTS"
    assert failed["steps"][2]["error"]["code"] == "HEALTH_CONSTRAINTS"
    assert failed["traffic"]["blue"]["requests"] == 10
    assert [(w["blue"], w["green"]) for w in failed["weights"]] == [(100, 0)]
    rollback = shop.receipts.find(REGION, failed["rollback"]["deploymentId"])
    assert rollback["rollback"]["triggeringDeploymentId"] == bad
    assert rollback["creator"] == "codeDeployRollback"
    assert rollback["blue"]["taskDefinition"] == "arn:td/web:1"


def test_receipts_outlive_the_engine(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    shop.tick(60)
    before = shop.receipts.find(REGION, deployment_id)
    shop.reboot()
    assert shop.receipts.find(REGION, deployment_id) == before


def test_an_appspec_in_s3_is_read_when_the_deployment_is_created(shop: Deploying) -> None:
    shop.create_group()
    shop.elsewhere.objects["appspec.yaml"] = APPSPEC.encode()
    place = {"bucket": "b", "key": "appspec.yaml", "bundleType": "YAML"}
    deployment_id = shop.deploy(revision={"revisionType": "S3", "s3Location": place})
    shop.elsewhere.objects.clear()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    with pytest.raises(ClientError, match="RevisionDoesNotExistException"):
        shop.deploy(revision={"revisionType": "S3", "s3Location": place})
    shop.elsewhere.objects["appspec.yaml"] = APPSPEC.encode()
    with pytest.raises(ClientError, match="eTag"):
        shop.deploy(revision={"revisionType": "S3", "s3Location": {**place, "eTag": "0"}})
    with pytest.raises(ClientError, match="bundleType must be YAML or JSON"):
        shop.deploy(revision={"revisionType": "S3", "s3Location": {**place, "bundleType": "zip"}})


def test_the_same_cause_creates_the_same_deployment(shop: Deploying) -> None:
    shop.create_group()
    params = {"applicationName": "shop", "deploymentGroupName": "live", "revision": content(APPSPEC)}
    first = shop.run(shop.aws.call("codedeploy", "CreateDeployment", REGION, cause="step:7", **params))
    again = shop.run(shop.aws.call("codedeploy", "CreateDeployment", REGION, cause="step:7", **params))
    assert first == again
    shop.tick(60)
    assert shop.run(shop.aws.call("codedeploy", "CreateDeployment", REGION, cause="step:7", **params)) == first


@pytest.mark.parametrize("moment", [0, 4, 6, 310, 320])
def test_a_restart_at_any_moment_of_waiting_changes_nothing(shop: Deploying, moment: int) -> None:
    shop.create_group(wait_minutes=5)
    deployment_id = shop.deploy()
    shop.tick(moment)
    shop.reboot()
    shop.tick(400 - moment)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    assert shop.ecs.calls == ["CreateTaskSet", "UpdateServicePrimaryTaskSet", "DeleteTaskSet ecs-svc/1"]
    run = shop.runs.find("codedeploy", REGION, deployment_id)
    assert {step.status for step in shop.runs.steps(run.id)} == {Status.SUCCEEDED}
    assert shop.balancer.listeners[PROD][0]["ForwardConfig"]["TargetGroups"][0]["Weight"] == 100

"""Hooks that are Lambda functions: called with the ids, judged by the status that they report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import PROD, TEST, A, B
from tests.rooms.deploying import Deploying, content, hooked
from turnout.codedeploy.appspec import HOOKABLE

ARN = "arn:aws:lambda:us-east-1:000000000000:function:check"
FAILED = "The deployment failed because one or more of the lifecycle event validation functions failed."
TIMED_OUT = (
    "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within one"
    " hour after a deployment hook is invoked."
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def begin(shop: Deploying, *, until_s: float = 60, **hooks: str) -> str:
    shop.create_group(has_test=True)
    deployment_id = shop.deploy(revision=content(hooked(**hooks)))
    shop.tick(until_s)
    return deployment_id


def execution_id(shop: Deploying) -> str:
    """Of the function that was invoked last."""
    return str(list(shop.functions.invoked.values())[-1]["LifecycleEventHookExecutionId"])


def put(shop: Deploying, deployment_id: str, **more: Any) -> Any:
    params = {"deploymentId": deployment_id, "status": "Succeeded", **more}
    params.setdefault("lifecycleEventHookExecutionId", execution_id(shop))
    return shop.client.put_lifecycle_event_hook_execution_status(**params)


def test_every_hookable_event_calls_its_function_once_and_the_deployment_succeeds(shop: Deploying) -> None:
    deployment_id = begin(shop, until_s=120, **dict.fromkeys(HOOKABLE, "check"))
    assert shop.info(deployment_id)["status"] == "Succeeded"
    told = list(shop.functions.invoked.values())
    assert [event["DeploymentId"] for event in told] == [deployment_id] * 5
    assert len({event["LifecycleEventHookExecutionId"] for event in told}) == 5
    event = shop.event(deployment_id, "AfterInstall")
    assert event["diagnostics"] == {
        "errorCode": "Success",
        "scriptName": "check",
        "message": "Succeeded",
        "logTail": "checking\n1 page is wrong",
    }
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    assert [(hook["event"], hook["name"], hook["status"]) for hook in receipt["hooks"]] == [
        (event, "check", "Succeeded") for event in HOOKABLE
    ]


def test_a_function_may_be_named_by_its_arn(shop: Deploying) -> None:
    deployment_id = begin(shop, AfterInstall=ARN)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["scriptName"] == "check"


@pytest.mark.parametrize("event", HOOKABLE)
def test_a_hook_that_fails_fails_the_deployment_and_everything_is_as_it_was(shop: Deploying, event: str) -> None:
    shop.functions.fate["check"] = "fail"
    deployment_id = begin(shop, until_s=120, **{event: "check"})
    info = shop.info(deployment_id)
    assert info["status"] == "Failed"
    assert info["errorInformation"] == {
        "code": "HOOK_EXECUTION_FAILURE",
        "message": f"{FAILED} {event}: the function check has reported Failed",
    }
    events = shop.lifecycle(deployment_id)
    names = list(events)
    before, after = names[: names.index(event)], names[names.index(event) + 1 :]
    assert [events[name] for name in before] == ["Succeeded"] * len(before)
    assert events[event] == "Failed"
    assert [events[name] for name in after] == ["Skipped"] * len(after)
    failed = shop.event(deployment_id, event)["diagnostics"]
    assert (failed["errorCode"], failed["scriptName"], failed["logTail"]) == (
        "ScriptFailed",
        "check",
        "checking\n1 page is wrong",
    )
    for listener in (PROD, TEST):
        assert [arn for arn, weight in shop.balancer.weights(listener).items() if weight] == [A]
    assert [(s["id"], s["status"]) for s in shop.ecs.alive()] == [("ecs-svc/1", "PRIMARY")]
    if event == "BeforeInstall":
        assert "rollbackInfo" not in info, "there is nothing to roll back"
        return
    rollback = shop.info(info["rollbackInfo"]["rollbackDeploymentId"])
    assert (rollback["status"], rollback["creator"]) == ("Succeeded", "codeDeployRollback")
    assert len(shop.functions.invoked) == 1, "a rollback runs no hooks"


def test_without_rollback_a_hook_that_fails_late_leaves_the_weights_where_they_are(shop: Deploying) -> None:
    shop.functions.fate["check"] = "fail"
    shop.create_group(autoRollbackConfiguration={"enabled": False})
    deployment_id = shop.deploy(revision=content(hooked(AfterAllowTraffic="check")))
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Failed"
    assert shop.balancer.weights() == {B: 100, A: 0}


@pytest.mark.parametrize(
    ("fate", "code", "message"),
    [
        ("raise", "ScriptFailed", "the function check failed: ValueError: not today"),
        ("missing", "ScriptMissing", "could not be invoked: Function not found: check check is in no turnout.yml"),
    ],
)
def test_an_invocation_that_fails_fails_the_hook_at_once(shop: Deploying, fate: str, code: str, message: str) -> None:
    shop.functions.fate["check"] = fate
    deployment_id = begin(shop, until_s=5, BeforeInstall="check")
    assert shop.info(deployment_id)["status"] == "Failed"
    diagnostics = shop.event(deployment_id, "BeforeInstall")["diagnostics"]
    assert (diagnostics["errorCode"], message in diagnostics["message"]) == (code, True)


def test_a_function_may_report_long_after_it_has_returned(shop: Deploying) -> None:
    shop.functions.fate["check"] = "silent"
    deployment_id = begin(shop, BeforeAllowTraffic="check")
    assert shop.lifecycle(deployment_id)["BeforeAllowTraffic"] == "InProgress"
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    why = [wait["why"] for step in receipt["steps"] if step["name"] == "BeforeAllowTraffic" for wait in step["waits"]]
    assert "waiting for check to call PutLifecycleEventHookExecutionStatus" in why[-1]
    shop.tick(3000)
    assert put(shop, deployment_id)["lifecycleEventHookExecutionId"] == execution_id(shop)
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_function_that_never_reports_times_out_after_an_hour(shop: Deploying) -> None:
    shop.functions.fate["check"] = "silent"
    deployment_id = begin(shop, until_s=3590, AfterInstall="check")
    assert shop.info(deployment_id)["status"] == "InProgress"
    shop.tick(60)
    error = shop.info(deployment_id)["errorInformation"]
    assert error["code"] == "HOOK_EXECUTION_FAILURE"
    assert error["message"].startswith(f"{TIMED_OUT} AfterInstall: ")
    assert shop.event(deployment_id, "AfterInstall")["diagnostics"]["errorCode"] == "ScriptTimedOut"
    assert shop.balancer.weights()[B] == 0


def test_a_deployment_that_is_stopped_in_a_hook_is_rolled_back_and_hears_the_hook_no_more(shop: Deploying) -> None:
    shop.functions.fate["check"] = "silent"
    deployment_id = begin(shop, AfterAllowTraffic="check")
    shop.client.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    shop.tick(60)
    info = shop.info(deployment_id)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    assert shop.lifecycle(deployment_id)["AfterAllowTraffic"] == "Failed"
    assert shop.info(info["rollbackInfo"]["rollbackDeploymentId"])["status"] == "Succeeded"
    assert shop.balancer.weights() == {A: 100, B: 0}
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        put(shop, deployment_id)
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    assert [hook["status"] for hook in receipt["hooks"]] == ["Stopped"]
    assert shop.runs.of_kind("codedeploy.hook", is_open=True) == []


def test_a_second_verdict_is_refused(shop: Deploying) -> None:
    deployment_id = begin(shop, AfterInstall="check")
    with pytest.raises(ClientError, match="LifecycleEventAlreadyCompletedException"):
        put(shop, deployment_id, status="Failed")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"lifecycleEventHookExecutionId": "none"}, "InvalidLifecycleEventHookExecutionIdException"),
        ({"status": "Skipped"}, "InvalidLifecycleEventHookExecutionStatusException"),
        ({"deploymentId": "d-NONE00000"}, "DeploymentDoesNotExistException"),
        ({"deploymentId": "none"}, "InvalidDeploymentIdException"),
    ],
)
def test_a_verdict_that_fits_nothing_is_refused(shop: Deploying, params: dict[str, str], code: str) -> None:
    shop.functions.fate["check"] = "silent"
    deployment_id = begin(shop, BeforeInstall="check")
    with pytest.raises(ClientError, match=code):
        put(shop, deployment_id, **params)
    with pytest.raises(ClientError, match="DeploymentIdRequiredException"):
        shop.client.put_lifecycle_event_hook_execution_status(status="Succeeded")
    assert shop.lifecycle(deployment_id)["BeforeInstall"] == "InProgress"


def test_a_rollback_takes_no_verdict(shop: Deploying) -> None:
    shop.functions.fate["check"] = "fail"
    deployment_id = begin(shop, until_s=120, AfterInstall="check")
    rollback = shop.info(deployment_id)["rollbackInfo"]["rollbackDeploymentId"]
    with pytest.raises(ClientError, match="UnsupportedActionForDeploymentTypeException"):
        put(shop, rollback)


def test_a_hook_that_could_never_run_is_refused(shop: Deploying) -> None:
    shop.create_group()
    with pytest.raises(ClientError, match="AfterAllowTestTraffic has the hook check, which would never run"):
        shop.deploy(revision=content(hooked(AfterAllowTestTraffic="check")))

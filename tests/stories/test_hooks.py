"""A hook fails at each of the five events, under load: whatever was moved goes back, and nothing is lost.

Each of the five is an HTTP call of a turnout.yml; all five stand in the AppSpec, and one of them asks what is refused.
"""

from __future__ import annotations

import json

import pytest

from tests.stories.bluegreen import BlueGreen, appspec
from tests.stories.stage import CLUSTER, Stage, until

EVENTS = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic")
ORDER = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
]
BUCKET = "hooks"
ASKED = {
    "BeforeInstall": "${PRODUCTION_URL}",
    "AfterInstall": "${GREEN_URL}",
    "AfterAllowTestTraffic": "${TEST_URL}",
    "BeforeAllowTraffic": "${TEST_URL}",
    "AfterAllowTraffic": "${PRODUCTION_URL}",
}


@pytest.fixture(scope="module")
def service(stage: Stage) -> BlueGreen:
    """Serves `v1`."""
    stage.clients("s3").create_bucket(Bucket=BUCKET)
    return BlueGreen(stage, "v1").ready()


def release(service: BlueGreen, version: str, failing: str | None = None) -> str:
    """A deployment with a hook at each event, of which that at `failing` gets a 500. It has its own hook file."""
    hooks = {
        event.lower(): {"http": f"{ASKED[event]}/{'error' if event == failing else ''}", "method": "GET"}
        for event in EVENTS
    }
    key = f"{version}.yml"
    body = json.dumps({"version": 1, "hooks": hooks})
    service.stage.clients("s3").put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    revision = appspec(service.stage.register(service.name, version))
    content = json.loads(revision["appSpecContent"]["content"])
    content["Hooks"] = [{event: event.lower()} for event in EVENTS]
    revision["appSpecContent"]["content"] = f"{json.dumps(content)}\n# turnout.yml: s3://{BUCKET}/{key}\n"
    made = service.codedeploy.create_deployment(**service.names, revision=revision)
    return str(made["deploymentId"])


def statuses(service: BlueGreen, deployment: str) -> dict[str, str]:
    return {name: one["status"] for name, one in service.events(deployment).items()}


@pytest.mark.parametrize("event", EVENTS)
def test_a_hook_that_fails_at_an_event_leaves_the_old_serving(service: BlueGreen, event: str) -> None:
    with service.load() as load:
        deployment = release(service, f"bad-{event.lower()}", event)
        info = service.wait(deployment, "Failed")
        assert info["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE"
        assert event in info["errorInformation"]["message"]
        if event == "BeforeInstall":
            assert "rollbackInfo" not in info, "there is nothing to put back yet"
        else:
            rollback = service.wait(info["rollbackInfo"]["rollbackDeploymentId"])
            assert rollback["creator"] == "codeDeployRollback"
            assert rollback["rollbackInfo"]["rollbackTriggeringDeploymentId"] == deployment
            told = service.events(rollback["deploymentId"]).values()
            assert not [one for one in told if "diagnostics" in one], "a rollback runs no hooks"
        service.until_all_is(load, "v1")
        if event != "AfterAllowTraffic":
            assert set(load.tally().answers) == {"v1"}, "nobody was led to green before"
    for listener in (service.listener, service.test_listener):
        assert [name for name, weight in service.weights(listener).items() if weight] == ["a"]
    until(lambda: service.task_sets() == [("PRIMARY", "a")], "green is gone")
    running = service.ecs.list_tasks(cluster=CLUSTER, serviceName=service.name)["taskArns"]
    assert len(running) == 1, "the task of green has ended, too"
    assert statuses(service, deployment) == {
        name: "Failed" if name == event else "Skipped" if ORDER.index(name) > ORDER.index(event) else "Succeeded"
        for name in ORDER
    }
    diagnostics = service.events(deployment)[event]["diagnostics"]
    assert (diagnostics["errorCode"], diagnostics["scriptName"]) == ("ScriptFailed", event.lower())
    assert "500" in diagnostics["message"]
    assert info["errorInformation"]["message"].endswith(f"{event}: {diagnostics['message']}")
    hooks = service.receipt(deployment)["hooks"]
    ran = EVENTS[: EVENTS.index(event) + 1]
    assert [(hook["event"], hook["kind"]) for hook in hooks] == [(name, "http") for name in ran]
    assert [hook["status"] for hook in hooks] == ["Succeeded"] * (len(ran) - 1) + ["Failed"]


def test_hooks_that_succeed_at_every_event_let_green_serve(service: BlueGreen) -> None:
    with service.load() as load:
        deployment = release(service, "v2")
        service.wait(deployment)
        service.until_all_is(load, "v2")
    assert [hook["status"] for hook in service.receipt(deployment)["hooks"]] == ["Succeeded"] * len(EVENTS)
    assert statuses(service, deployment) == dict.fromkeys(ORDER, "Succeeded")

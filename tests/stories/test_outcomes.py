"""What becomes of good and bad versions, one after the other: who serves is never in doubt, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal

import pytest
from botocore.exceptions import ClientError

from tests.stories.bluegreen import BlueGreen, appspec, waits
from tests.stories.stage import Stage, until

CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"


@pytest.fixture(scope="module")
def service(stage: Stage) -> BlueGreen:
    """Serves `good-1`."""
    return BlueGreen(stage, "good-1").ready()


def test_good_to_bad_to_bad_to_good(service: BlueGreen) -> None:
    """One that crashes, then one that is never healthy; the former version serves all the while."""
    with service.load() as load:
        crashed = service.wait_for_rollback(service.deploy("bad-1", crashes=True))
        assert "it was made to crash" in crashed["errorInformation"]["message"]
        sick = service.wait_for_rollback(service.deploy("bad-2", code=500))
        assert "Health checks failed with these codes: [500]" in sick["errorInformation"]["message"]
        assert {info["errorInformation"]["code"] for info in (crashed, sick)} == {"HEALTH_CONSTRAINTS"}
        assert set(load.tally().answers) == {"good-1"}
        assert service.weights() == {"a": 100, "b": 0}
        service.wait(service.deploy("good-2"))
        service.until_all_is(load, "good-2")
    assert service.task_sets() == [("PRIMARY", "b")]


def test_abort_retry_promote(service: BlueGreen) -> None:
    """A canary is stopped and rolled back; the same version is tried again, looked at, and promoted."""
    with service.load() as load:
        before = service.weights()
        aborted = service.deploy("good-3", CANARY)
        service.until_green_has(10)
        until(lambda: "good-3" in load.tally().answers, "the canary answers")
        service.codedeploy.stop_deployment(deploymentId=aborted, autoRollbackEnabled=True)
        service.wait_for_rollback(aborted, "Stopped")
        assert service.weights() == before
        service.until_all_is(load, "good-2")
        service.change(blueGreenDeploymentConfiguration=waits(ready=60))
        retried = service.deploy("good-3")
        service.wait(retried, "Ready")
        assert service.weights() == before
        service.codedeploy.continue_deployment(deploymentId=retried, deploymentWaitType="READY_WAIT")
        service.wait(retried)
        service.until_all_is(load, "good-3")
        service.change(blueGreenDeploymentConfiguration=waits())


def test_a_deployment_that_cannot_begin_keeps_the_old(service: BlueGreen) -> None:
    """What is wrong is said by CreateDeployment, and nothing was touched."""
    with service.load() as load:
        before = service.weights(), service.task_sets()
        revision = appspec("app:nothing")
        with pytest.raises(ClientError, match="InvalidRevisionException"):
            service.codedeploy.create_deployment(**service.names, revision=revision)
        content = json.loads(appspec(service.stage.register(service.name, "good-3"))["appSpecContent"]["content"])
        content["Resources"][0]["TargetService"]["Properties"]["LoadBalancerInfo"]["ContainerPort"] = 81
        revision["appSpecContent"]["content"] = json.dumps(content)
        with pytest.raises(ClientError, match="ContainerPort 81"):
            service.codedeploy.create_deployment(**service.names, revision=revision)
        assert (service.weights(), service.task_sets()) == before
        assert set(load.tally().answers) == {"good-3"}


def test_one_deployment_at_a_time_and_the_next_begins_where_the_last_ended(service: BlueGreen) -> None:
    with service.load() as load:
        first = service.deploy("good-4", CANARY)
        service.until_green_has(10)
        with pytest.raises(ClientError, match="DeploymentLimitExceededException") as refused:
            service.deploy("good-5")
        assert first in str(refused.value)
        service.wait(first)
        service.wait(service.deploy("good-5"))
        service.until_all_is(load, "good-5")


def test_an_engine_that_is_killed_in_mid_canary_keeps_the_weights_and_goes_on(service: BlueGreen) -> None:
    """While it is gone, and after it has come back, a tenth goes to green: until the canary's time is over."""
    stage = service.stage
    with service.load() as load:
        deployment = service.deploy("good-6", CANARY)
        service.until_green_has(10)
        before = load.tally()
        stage.kill_engine(lambda: os.kill(stage.running.pid, signal.SIGKILL))
        during = load.tally().since(before).answers
        assert during["good-5"] > during.get("good-6", 0)
        service.wait(deployment)
        service.until_all_is(load, "good-6")
    receipt = service.receipt(deployment)
    began = next(step["startedAt"] for step in receipt["steps"] if step["name"] == "AllowTraffic")
    assert [(shift["green"], round(shift["at"] - began)) for shift in receipt["weights"][1:]] == [(10, 0), (100, 5)]

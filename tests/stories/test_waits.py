"""The test listener, the places where a deployment waits, and every rule of a listener: seen from its clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.real.client import get
from tests.stories.bluegreen import BlueGreen, waits
from tests.stories.stage import Stage, until

MINUTE_S = 60


@pytest.fixture(scope="module")
def service(stage: Stage) -> BlueGreen:
    return BlueGreen(stage).ready()


def asked(service: BlueGreen, path: str = "/", *, host: str = "localhost", listener: str | None = None) -> str:
    """Who answers."""
    code, text = asyncio.run(get(service.port(listener), path, host))
    assert code == 200
    return text


def test_green_is_held_on_the_test_listener_until_it_is_stopped_or_promoted(service: BlueGreen) -> None:
    service.change(blueGreenDeploymentConfiguration=waits(ready=MINUTE_S))
    with service.load() as load:
        looked_at = service.deploy("v2")
        service.wait(looked_at, "Ready")
        assert asked(service, listener=service.test_listener) == "v2"
        assert set(load.tally().answers) == {"v1"}
        service.codedeploy.stop_deployment(deploymentId=looked_at, autoRollbackEnabled=True)
        service.wait_for_rollback(looked_at, "Stopped")
        assert asked(service, listener=service.test_listener) == "v1"
        promoted = service.deploy("v2")
        service.wait(promoted, "Ready")
        assert set(load.tally().answers) == {"v1"}
        service.codedeploy.continue_deployment(deploymentId=promoted, deploymentWaitType="READY_WAIT")
        service.wait(promoted)
        service.until_all_is(load, "v2")
    assert asked(service, listener=service.test_listener) == "v2"


def test_a_green_that_nobody_promotes_in_time_is_given_up(service: BlueGreen) -> None:
    service.change(blueGreenDeploymentConfiguration=waits(ready=1))
    with service.load() as load:
        before = service.weights(), service.task_sets()
        expired = service.deploy("v3")
        assert service.wait(expired, "Stopped")["errorInformation"]["code"] == "TIMEOUT"
        until(lambda: (service.weights(), service.task_sets()) == before, "nothing is left of green")
        assert set(load.tally().answers) == {"v2"}


def test_blue_is_kept_through_the_termination_wait_and_for_good_with_keep_alive(service: BlueGreen) -> None:
    service.change(blueGreenDeploymentConfiguration=waits(kept=MINUTE_S))
    with service.load() as load:
        waiting = service.deploy("v3")
        service.until_all_is(load, "v3")
        until(lambda: service.info(waiting)["instanceTerminationWaitTimeStarted"], "the termination wait")
        assert len(service.task_sets()) == 2
        service.codedeploy.continue_deployment(deploymentId=waiting, deploymentWaitType="TERMINATION_WAIT")
        service.wait(waiting)
        assert len(service.task_sets()) == 1
        service.change(blueGreenDeploymentConfiguration=waits(kept=None))
        service.wait(service.deploy("v4"))
        service.until_all_is(load, "v4")
        assert sorted(status for status, _ in service.task_sets()) == ["ACTIVE", "PRIMARY"]
        service.change(blueGreenDeploymentConfiguration=waits())
        service.wait(service.deploy("v5"))
        service.until_all_is(load, "v5")
    assert [status for status, _ in service.task_sets()] == ["PRIMARY"]


def test_every_rule_that_leads_to_the_live_group_is_moved_and_others_are_left_alone(stage: Stage) -> None:
    """Rules by path and by host, a weighted one, and one that answers by itself; all in AWS's exact shape."""
    service = BlueGreen(stage)
    until(service._is_healthy, "it serves")
    live = {"Type": "forward", "TargetGroupArn": service.a}
    weighted = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": service.a, "Weight": 7}]}}
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "fixed"}}
    by_path: dict[str, Any] = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/slow*"]}}
    by_host: dict[str, Any] = {"Field": "host-header", "HostHeaderConfig": {"Values": ["api.*"]}}
    by_both = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/fixed"]}}
    for priority, conditions, action in ((1, [by_path], live), (2, [by_host], weighted), (3, [by_both], fixed)):
        service.elb.create_rule(
            ListenerArn=service.listener, Priority=priority, Conditions=conditions, Actions=[action]
        )

    def shapes() -> list[Any]:
        """The forwards of the rules in their order, as AWS describes them."""
        return [rule["Actions"][0].get("ForwardConfig") for rule in service.rules()]

    def shape(a: int, b: int) -> dict[str, Any]:
        groups = [{"TargetGroupArn": service.a, "Weight": a}, {"TargetGroupArn": service.b, "Weight": b}]
        groups.sort(key=lambda group: -group["Weight"])
        return {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}

    service.make_group()
    before = [shape(100, 0), shape(100, 0), None, shape(100, 0)]
    assert shapes() == before, "CreateDeploymentGroup normalises"
    with service.load():
        for version, after in (("v2", shape(0, 100)), ("v3", shape(100, 0))):
            service.wait(service.deploy(version))
            assert shapes() == [after, after, None, after]
            answers = {
                asked(service),
                asked(service, "/slow?seconds=0"),
                asked(service, host="api.example.com"),
            }
            assert answers == {version}
            assert asked(service, "/fixed") == "fixed"


def test_weights_that_are_not_as_they_should_be_are_seen_before_anything_is_created(service: BlueGreen) -> None:
    before = service.task_sets()
    live = service.weights()
    names = {"a": service.a, "b": service.b}
    groups = [{"TargetGroupArn": names[name], "Weight": weight or 1} for name, weight in live.items()]
    with service.load() as load:
        # The idle group is empty: a hundredth is lost to nobody as long as nobody asks, so put it on a rule of its own.
        rule = service.elb.create_rule(
            ListenerArn=service.listener,
            Priority=9,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/nobody"]}}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        )["Rules"][0]["RuleArn"]
        refused = service.wait(service.deploy("v6"), "Failed")["errorInformation"]
        assert refused["code"] == "ELASTIC_LOAD_BALANCING_INVALID"
        assert "Green taskset target group cannot have non-zero weight prior to traffic shifting" in refused["message"]
        assert service.task_sets() == before
        service.elb.delete_rule(RuleArn=rule)
        service.wait(service.deploy("v6"))
        service.until_all_is(load, "v6")

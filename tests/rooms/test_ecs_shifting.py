"""Deployments that ECS shifts by itself: BLUE_GREEN, CANARY, LINEAR, their hooks, and the way back."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.shifting import HOOK, ROLE, WEB, Shop
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import GroupCounters


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def pause(*stages: str, **more: Any) -> dict[str, Any]:
    return {"targetType": "PAUSE", "lifecycleStages": list(stages), **more}


def lambda_at(*stages: str, **more: Any) -> dict[str, Any]:
    return {"hookTargetArn": HOOK, "roleArn": ROLE, "lifecycleStages": list(stages), **more}


def test_a_blue_green_deployment_shifts_at_once_bakes_and_stops_blue(shop: Shop) -> None:
    shop.create()
    arn = shop.deploy()
    assert len(shop.service()["deployments"]) == 2
    shop.world.tick(1)
    told = shop.told(arn)
    assert (told["status"], told["lifecycleStage"]) == ("IN_PROGRESS", "BAKE_TIME")
    assert shop.weights() == {"green": 100, "blue": 0}
    assert told["targetServiceRevision"]["requestedProductionTrafficWeight"] == 100.0
    assert told["sourceServiceRevisions"][0]["runningTaskCount"] == 2
    primary, former = shop.service()["deployments"]
    assert (primary["status"], primary["rolloutState"], former["status"]) == ("PRIMARY", "IN_PROGRESS", "ACTIVE")
    shop.world.tick(299)
    assert shop.told(arn)["lifecycleStage"] == "CLEAN_UP"
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "SUCCESSFUL"
    (only,) = shop.service()["deployments"]
    assert (only["rolloutState"], only["runningCount"]) == ("COMPLETED", 2)
    shop.ecs.get_waiter("services_stable").wait(cluster="shop", services=["web"])
    assert shop.images() == {"shop"}


def test_every_deployment_alternates(shop: Shop) -> None:
    shop.create()
    for number, live in enumerate(["green", "blue", "green"]):
        shop.deploy(f"shop:{number + 2}")
        shop.world.tick(400)
        assert {group for group, weight in shop.weights().items() if weight} == {live}
        assert {group for group, weight in shop.weights(shop.test_rule).items() if weight} == {live}
        assert len(shop.service()["deployments"]) == 1
    statuses = [one["status"] for one in shop.ecs.list_service_deployments(**WEB)["serviceDeployments"]]
    assert statuses == ["SUCCESSFUL"] * 4


def test_a_canary_of_a_fraction_of_a_percent_is_exact(shop: Shop) -> None:
    shop.create("CANARY", canaryConfiguration={"canaryPercent": 0.5, "canaryBakeTimeInMinutes": 10})
    arn = shop.deploy()
    shop.world.tick(1)
    assert shop.weights() == {"green": 5, "blue": 995}
    assert shop.told(arn)["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.5
    shop.world.tick(600)
    assert shop.weights() == {"green": 100, "blue": 0}
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "SUCCESSFUL"


def test_a_linear_deployment_takes_equal_steps(shop: Shop) -> None:
    shop.create("LINEAR", linearConfiguration={"stepPercent": 30, "stepBakeTimeInMinutes": 2})
    shop.deploy()
    seen = []
    for _ in range(4):
        shop.world.tick(1)
        seen.append(shop.weights()["green"])
        shop.world.tick(119)
    assert seen == [30, 60, 90, 100]


def test_an_unhealthy_revision_gets_no_traffic_and_is_rolled_back(shop: Shop) -> None:
    shop.create()
    before = shop.service()["taskDefinition"]
    shop.sick(shop.green)
    arn = shop.deploy()
    shop.world.tick(200)
    told = shop.told(arn)
    assert told["status"] == "ROLLBACK_SUCCESSFUL"
    assert "health checks" in told["statusReason"]
    assert shop.weights() == {"green": 0, "blue": 100}
    assert [one["status"] for one in shop.service()["deployments"]] == ["PRIMARY"]
    assert shop.service()["taskDefinition"] == before
    shop.ecs.get_waiter("services_stable").wait(cluster="shop", services=["web"])


def test_a_hook_is_asked_again_until_it_has_succeeded(shop: Shop) -> None:
    shop.create(lifecycleHooks=[lambda_at("POST_TEST_TRAFFIC_SHIFT", hookDetails={"who": "me"})])
    shop.functions.answers = [{"hookStatus": "IN_PROGRESS", "callBackDelay": 20}, {"hookStatus": "SUCCEEDED"}]
    arn = shop.deploy()
    shop.world.tick(1)
    assert shop.told(arn)["lifecycleStage"] == "POST_TEST_TRAFFIC_SHIFT"
    assert shop.told(arn)["lifecycleHookDetails"][0]["status"] == "IN_PROGRESS"
    assert shop.weights(shop.test_rule) == {"green": 100, "blue": 0}
    assert shop.weights() == {"green": 0, "blue": 100}
    shop.world.tick(20)
    assert shop.weights() == {"green": 100, "blue": 0}
    first, _ = shop.functions.asked
    assert (first["lifecycleStage"], first["hookDetails"], first["resourceArn"]) == (
        "POST_TEST_TRAFFIC_SHIFT",
        {"who": "me"},
        arn,
    )


def test_a_port_that_never_opens_ends_a_deployment_with_its_reason_and_keeps_blue(shop: Shop) -> None:
    """Whether anybody is led to green cannot be known: blue is not stopped, and nobody waits for ever."""
    reason = "port 18080 is taken by another process"
    shop.create()
    shop.world.proxy.errors[80] = reason
    arn = shop.deploy()
    shop.world.tick(400)
    deployment_id = arn.rsplit("/", 1)[1]
    receipt = shop.world.engine.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    waits = next(step["waits"] for step in receipt["steps"] if step["name"] == "CLEAN_UP proof")
    assert reason in waits[-1]["why"]
    shop.world.tick(2000)
    told = shop.told(arn)
    assert told["status"] == "STOPPED"
    assert f"has not taken on the new weights: {reason}" in told["statusReason"]
    receipt = shop.world.engine.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    assert (receipt["isFinal"], reason in receipt["error"]["message"]) == (True, True)
    running = [one for one in shop.world.runtime.containers.values() if one.state.is_running]
    assert len(running) == 4, "what may be serving is left"


@pytest.mark.parametrize("stage", ["PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"])
@pytest.mark.parametrize("answer", [{"hookStatus": "FAILED"}, {"status": "fine"}])
def test_a_hook_that_does_not_succeed_rolls_back(shop: Shop, stage: str, answer: Any) -> None:
    shop.create(lifecycleHooks=[lambda_at(stage)])
    shop.functions.answers = [answer]
    arn = shop.deploy()
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert shop.weights() == {"green": 0, "blue": 100}
    assert shop.weights(shop.test_rule).get("green", 0) == 0


def test_a_pause_waits_for_a_person(shop: Shop) -> None:
    shop.create(lifecycleHooks=[pause("PRE_PRODUCTION_TRAFFIC_SHIFT")])
    arn = shop.deploy()
    shop.world.tick(3600)
    (hook,) = shop.told(arn)["lifecycleHookDetails"]
    assert (hook["targetType"], hook["status"], hook["timeoutAction"]) == ("PAUSE", "AWAITING_ACTION", "ROLLBACK")
    shop.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"])
    shop.world.tick(400)
    assert shop.told(arn)["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(("action", "status"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("CONTINUE", "SUCCESSFUL")])
def test_a_pause_that_times_out_does_what_it_says(shop: Shop, action: str, status: str) -> None:
    timeout = {"timeoutInMinutes": 30, "action": action}
    shop.create(lifecycleHooks=[pause("POST_SCALE_UP", timeoutConfiguration=timeout)])
    arn = shop.deploy()
    shop.world.tick(2400)
    assert shop.told(arn)["status"] == status
    assert shop.told(arn)["lifecycleHookDetails"][0]["status"] == "TIMED_OUT"


def test_a_stopped_canary_sends_everyone_back_to_blue(shop: Shop) -> None:
    shop.create("CANARY")
    arn = shop.deploy()
    shop.world.tick(60)
    assert shop.weights() == {"green": 5, "blue": 95}
    shop.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    assert shop.told(arn)["status"] == "ROLLBACK_REQUESTED"
    shop.world.tick()
    assert shop.weights() == {"green": 0, "blue": 100}
    shop.world.tick(60)
    told = shop.told(arn)
    assert (told["status"], told["targetServiceRevision"]["runningTaskCount"]) == ("ROLLBACK_SUCCESSFUL", 0)
    with pytest.raises(ClientError, match="ConflictException"):
        shop.ecs.stop_service_deployment(serviceDeploymentArn=arn)


def test_a_new_revision_in_mid_rollout_takes_over_from_what_serves(shop: Shop) -> None:
    shop.create("CANARY")
    first = shop.deploy("shop:2")
    shop.world.tick(60)
    second = shop.deploy("shop:3")
    shop.world.tick(1)
    assert shop.told(first)["status"] == "STOPPED"
    assert shop.weights()["blue"] >= 95
    shop.world.tick(1200)
    assert shop.told(second)["status"] == "SUCCESSFUL"
    assert shop.weights() == {"green": 100, "blue": 0}
    (only,) = shop.service()["deployments"]
    assert only["runningCount"] == 2


def test_a_revision_is_told_as_it_was_deployed(shop: Shop) -> None:
    shop.create()
    revision = shop.told(shop.deploy())["targetServiceRevision"]["arn"]
    (told,) = shop.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    assert told["containerImages"][0]["image"] == "shop:2"
    assert told["containerImages"][0]["imageDigest"].startswith("sha256:")
    assert told["loadBalancers"] == shop.balancers()
    assert told["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"] == shop.green


def test_what_is_not_a_strategy_is_refused(shop: Shop) -> None:
    for strategy, configuration, words in (
        ("CANARY", {"canaryConfiguration": {"canaryPercent": 0.05}}, "canaryPercent"),
        ("LINEAR", {"linearConfiguration": {"stepPercent": 2.0}}, "stepPercent"),
        ("BLUE_GREEN", {"bakeTimeInMinutes": 1441}, "bakeTimeInMinutes"),
        ("BLUE_GREEN", {"lifecycleHooks": [{"lifecycleStages": ["POST_SCALE_UP"]}]}, "hookTargetArn"),
    ):
        with pytest.raises(ClientError, match=words):
            shop.create(strategy, **configuration)


def running(shop: Shop) -> int:
    return sum(container.state.is_running for container in shop.world.runtime.containers.values())


def in_flight(shop: Shop, count: int) -> None:
    """So many requests go on at blue."""
    shop.world.proxy.counted[group_name(shop.blue)] = GroupCounters(sent=9, completed=9 - count, in_flight=count)


def test_what_is_in_flight_has_the_deregistration_delay_once_and_then_is_cut(shop: Shop) -> None:
    shop.create(bakeTimeInMinutes=0)
    in_flight(shop, 2)
    arn = shop.deploy()
    shop.world.tick(1)
    assert shop.told(arn)["lifecycleStage"] == "CLEAN_UP"
    began = shop.world.clock.now()
    assert running(shop) == 4
    shop.world.tick(8)
    assert running(shop) == 4
    shop.world.tick(12)
    assert shop.told(arn)["status"] == "SUCCESSFUL"
    assert shop.told(arn)["finishedAt"].timestamp() - began < 12
    (known,) = shop.world.runs.of_kind("ecs.deployment", "us-east-1", is_open=False)[0].facts["leaving"].values()
    assert (known["policy"], known["left"], known["cut"]) == ("cut", 2, 2)


def test_a_revision_is_left_until_its_last_request_has_ended_where_the_listener_says_so(shop: Shop) -> None:
    shop.create(bakeTimeInMinutes=0)
    listener = shop.rule.rsplit("/", 1)[0].replace(":listener-rule/", ":listener/")
    shop.elb.add_tags(ResourceArns=[listener], Tags=[{"Key": "turnout:long-connections", "Value": "leave"}])
    in_flight(shop, 1)
    arn = shop.deploy()
    shop.world.tick(10_000)
    assert shop.told(arn)["lifecycleStage"] == "CLEAN_UP"
    assert running(shop) == 4
    in_flight(shop, 0)
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "SUCCESSFUL"


def test_goodbyes_are_said_while_the_former_revision_drains_where_the_listener_says_so(shop: Shop) -> None:
    shop.create(bakeTimeInMinutes=0)
    listener = shop.rule.rsplit("/", 1)[0].replace(":listener-rule/", ":listener/")
    shop.elb.add_tags(ResourceArns=[listener], Tags=[{"Key": "turnout:long-connections", "Value": "announce"}])
    arn = shop.deploy()
    shop.world.tick(1)
    assert sum(shop.world.proxy.picture.ports[80][0].marks) < 5
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "SUCCESSFUL"
    assert shop.world.proxy.picture.ports[80][0].marks == (1,) * 10

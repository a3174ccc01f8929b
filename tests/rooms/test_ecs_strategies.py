"""Deployments that ECS shifts by itself, where they meet others: alarms, several groups, other strategies, ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.shifting import ROLE, WEB, Shop
from turnout.runtimes import Ran

ALARMS = {"enable": True, "rollback": True, "alarmNames": ["errors"]}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def put_alarm(shop: Shop) -> None:
    shop.world.boto("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace="shop",
        MetricName="errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def go_off(shop: Shop) -> None:
    datum = [{"MetricName": "errors", "Value": 5.0}]
    shop.world.boto("cloudwatch").put_metric_data(Namespace="shop", MetricData=datum)


def live(shop: Shop) -> set[str]:
    return {group for group, weight in shop.weights().items() if weight}


def is_over(shop: Shop) -> bool:
    kinds = ("ecs.deployment", "ecs.rollback", "ecs.alarms")
    return not any(shop.world.runs.of_kind(kind, is_open=True) for kind in kinds)


@pytest.mark.parametrize("strategy", ["BLUE_GREEN", "CANARY"])
def test_an_alarm_in_the_bake_time_brings_blue_back_at_once(shop: Shop, strategy: str) -> None:
    put_alarm(shop)
    shop.create(strategy, alarms=ALARMS)
    arn = shop.deploy()
    shop.world.tick(60)
    assert shop.told(arn)["alarms"]["status"] == "MONITORING"
    assert shop.weights()["green"] == {"BLUE_GREEN": 100, "CANARY": 5}[strategy]
    go_off(shop)
    shop.world.tick(1)
    assert shop.weights() == {"green": 0, "blue": 100}
    shop.world.tick(60)
    told = shop.told(arn)
    assert (told["status"], told["alarms"]) == (
        "ROLLBACK_SUCCESSFUL",
        {"status": "TRIGGERED", "alarmNames": ["errors"], "triggeredAlarmNames": ["errors"]},
    )
    assert len(shop.service()["deployments"]) == 1
    assert is_over(shop)


def test_an_alarm_without_rollback_ends_the_deployment_where_it_is(shop: Shop) -> None:
    put_alarm(shop)
    shop.create("CANARY", alarms={**ALARMS, "rollback": False})
    arn = shop.deploy()
    shop.world.tick(60)
    go_off(shop)
    shop.world.tick(3600)
    assert shop.told(arn)["status"] == "STOPPED"
    assert shop.weights() == {"green": 5, "blue": 95}
    primary, former = shop.service()["deployments"]
    assert (primary["rolloutState"], primary["runningCount"], former["runningCount"]) == ("FAILED", 2, 2)
    assert is_over(shop)
    shop.world.boto("cloudwatch").set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="calm again")
    again = shop.deploy("shop:3")
    shop.world.tick(1200)
    assert shop.told(again)["status"] == "SUCCESSFUL"
    assert len(shop.service()["deployments"]) == 1


def test_a_breaker_that_trips_in_the_bake_time_without_rollback_stops_nothing_that_serves(shop: Shop) -> None:
    shop.create(deploymentCircuitBreaker={"enable": True, "rollback": False})
    arn = shop.deploy()
    shop.world.tick(60)
    assert live(shop) == {"green"}
    image = shop.world.run(shop.world.runtime.resolve("shop:2", "us-east-1"))
    dying = next(name for name, one in shop.world.runtime.containers.items() if one.workload.image == image)
    shop.world.runtime.cannot_start[image] = "no space left on device"
    shop.world.runtime.end(dying, 1)
    shop.world.tick(60)
    told = shop.told(arn)
    assert (told["status"], told["deploymentCircuitBreaker"]["status"]) == ("STOPPED", "TRIGGERED")
    assert [one["runningCount"] for one in shop.service()["deployments"]] == [1, 2]
    assert live(shop) == {"green"}


def test_an_unhealthy_container_of_the_new_revision_is_certain_before_its_task_is_stopped(shop: Shop) -> None:
    shop.create()
    image = shop.world.run(shop.world.runtime.resolve("shop:2", "us-east-1"))
    shop.world.runtime.ran[image] = Ran(1, "connection refused")
    check = {"command": ["CMD", "true"], "interval": 5, "retries": 2}
    arn = shop.deploy(container={"healthCheck": check})
    shop.world.tick(9)
    assert shop.told(arn)["status"] == "IN_PROGRESS"
    shop.world.tick(1)
    assert "exit code 1: connection refused" in shop.told(arn)["statusReason"]
    shop.world.tick(60)
    assert shop.told(arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert live(shop) == {"blue"}


def test_every_pair_of_several_target_groups_is_shifted_and_comes_back(shop: Shop) -> None:
    pair = [shop.group(name) for name in ("admin-blue", "admin-green")]
    rule = shop.listen(81, pair[0])
    advanced = {"alternateTargetGroupArn": pair[1], "productionListenerRule": rule, "roleArn": ROLE}
    second = {"targetGroupArn": pair[0], "containerName": "app", "containerPort": 80, "advancedConfiguration": advanced}

    def weights() -> list[dict[str, int]]:
        action = shop.elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"]
        return [shop.weights(), {one["TargetGroupArn"].split("/")[1]: one["Weight"] for one in action}]

    shop.create(balancers=[*shop.balancers(), second])
    arn = shop.deploy()
    shop.world.tick(60)
    assert weights() == [{"green": 100, "blue": 0}, {"admin-green": 100, "admin-blue": 0}]
    shop.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    shop.world.tick(60)
    assert weights() == [{"green": 0, "blue": 100}, {"admin-green": 0, "admin-blue": 100}]
    arn = shop.deploy("shop:3")
    shop.world.tick(400)
    assert shop.told(arn)["status"] == "SUCCESSFUL"
    assert weights() == [{"green": 100, "blue": 0}, {"admin-green": 100, "admin-blue": 0}]
    for group in (shop.green, pair[1]):
        health = shop.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        assert [one["TargetHealth"]["State"] for one in health] == ["healthy", "healthy"]


def test_a_service_may_change_its_strategy_with_each_deployment(shop: Shop) -> None:
    plain = [{m: v for m, v in one.items() if m != "advancedConfiguration"} for one in shop.balancers()]
    shop.create("ROLLING", balancers=plain)
    for strategy, more, group in (
        ("BLUE_GREEN", {"bakeTimeInMinutes": 1}, "green"),
        ("CANARY", {"bakeTimeInMinutes": 0}, "blue"),
        ("LINEAR", {"linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": 1}}, "green"),
    ):
        configuration = {"strategy": strategy, **more}
        image = f"shop:{strategy.lower()}"
        arn = shop.deploy(image, loadBalancers=shop.balancers(), deploymentConfiguration=configuration)
        shop.world.tick(1200)
        assert (shop.told(arn)["status"], live(shop)) == ("SUCCESSFUL", {group})
    rolling = [{**plain[0], "targetGroupArn": shop.green}]
    arn = shop.deploy("shop:9", loadBalancers=rolling, deploymentConfiguration={"strategy": "ROLLING"})
    shop.world.tick(60)
    assert (shop.told(arn)["status"], live(shop)) == ("SUCCESSFUL", {"green"})
    (only,) = shop.service()["deployments"]
    assert (only["runningCount"], only["rolloutState"]) == (2, "COMPLETED")


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_deleting_the_service_ends_its_deployment_and_every_task(shop: Shop, seconds: float) -> None:
    put_alarm(shop)
    shop.create("CANARY", alarms=ALARMS)
    arn = shop.deploy()
    shop.world.tick(seconds)
    shop.ecs.delete_service(**WEB, force=True)
    shop.world.tick(120)
    assert shop.service()["status"] == "INACTIVE"
    assert shop.told(arn)["status"] == "STOPPED"
    assert not any(container.state.is_running for container in shop.world.runtime.containers.values())
    assert is_over(shop)


@pytest.mark.parametrize(("hooks", "serves"), [([], "green"), ([PAUSE], "blue")])
def test_a_new_revision_takes_over_from_a_bake_and_from_a_pause(shop: Shop, hooks: list[Any], serves: str) -> None:
    shop.create(lifecycleHooks=hooks)
    first = shop.deploy("shop:2")
    shop.world.tick(60)
    assert live(shop) == {serves}
    configuration = {"lifecycleHooks": [], "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}
    second = shop.deploy("shop:3", deploymentConfiguration=configuration)
    shop.world.tick(30)
    assert shop.told(first)["status"] == "STOPPED"
    shop.world.tick(600)
    assert shop.told(second)["status"] == "SUCCESSFUL"
    (only,) = shop.service()["deployments"]
    assert only["runningCount"] == 2
    assert len(live(shop)) == 1
    assert is_over(shop)

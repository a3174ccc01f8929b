"""Alarms on what real clients got: the deployment stops, and everybody is back on blue; no request is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.real.alarming import ERROR, SLOW, Shop
from tests.real.alarming import shop as opened
from turnout.cli.demo.scene import load_on
from turnout.cli.load import Load
from turnout.cli.running import ask
from turnout.runtimes.references import registry_of

pytestmark = pytest.mark.real

BACK_WITHIN_S = 2.0
"""What is promised, on a machine that has nothing else to do."""
CANARY = ("--config", "CodeDeployDefault.ECSCanary10Percent15Minutes")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened(speed=20) as made:
        made.alarm("errors", "HTTPCode_Target_5XX_Count", 5, Statistic="Sum")
        made.alarm("slow", "TargetResponseTime", 0.3, ExtendedStatistic="p99")
        yield made


def check_stopped(shop: Shop, alarm: str) -> dict[str, Any]:
    """The last deployment was stopped by an alarm and rolled back; its receipt."""
    rollback, stopped = shop.deployments()[:2]
    assert (stopped["status"], stopped["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert stopped["rollbackInfo"]["rollbackDeploymentId"] == rollback["deploymentId"]
    assert (rollback["creator"], rollback["status"]) == ("codeDeployRollback", "Succeeded")
    receipt = shop.receipt(stopped["deploymentId"])
    ((told),) = receipt["alarms"]
    assert told["name"] == alarm
    changes: list[dict[str, Any]] = shop.clients.told(f"weights/{receipt['listener']['arn']}")
    green = receipt["green"]["targetGroup"]["arn"]
    last = changes[-1]
    assert last["weights"][green] == 0
    assert changes[-2]["weights"][green] > 0
    assert last["at"] >= told["at"] > changes[-2]["at"], "first the weights, then the alarm, then back"
    took_s = last["at"] - told["at"]
    print(f"{alarm}: weights back {took_s * 1000:.0f} ms after the alarm (promised: {BACK_WITHIN_S:g} s)")
    assert took_s < 30
    return receipt


def test_a_version_that_answers_errors_is_stopped_in_its_canary(shop: Shop) -> None:
    with load_on(shop.made, kept=8, fresh=2) as load:
        shop.watch("errors")
        code, said = shop.deploy("good", "self.send(200, f'hello {release.version}')")
        assert code == 0, said
        code, said = shop.deploy("bad", ERROR, *CANARY)
        assert code == 1, said
        receipt = check_stopped(shop, "errors")
        steps = {step["name"]: step["status"] for step in receipt["steps"]}
        assert steps["AllowTraffic"] == "Failed"
        assert receipt["traffic"]["green"]["errors"] >= 5
        assert receipt["traffic"]["blue"]["errors"] == 0
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert set(tally.errors) == {"bad 500"}
    assert tally.version == "good"
    assert tally.answers["good"] > tally.answers["bad"]


def test_a_version_that_is_slow_is_stopped_while_blue_is_kept(shop: Shop) -> None:
    """A bake: all of the traffic goes to green, and the alarm on p99 is waited for."""
    with load_on(shop.made, kept=8, fresh=2) as load:
        shop.watch("slow", kept_minutes=60)
        code, said = shop.deploy("slow", SLOW)
        assert code == 1, said
        receipt = check_stopped(shop, "slow")
        assert {"blue": 0, "green": 100}.items() <= receipt["weights"][-1].items()
        assert receipt["alarms"][0]["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [0.")
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert dict(tally.errors) == {}
    assert set(tally.answers) >= {"slow"}
    assert tally.version != "slow"


class Native:
    """A service that ECS shifts by itself, behind the same load balancer: with its own groups and listener."""

    def __init__(self, shop: Shop, image: str, alarm: str) -> None:
        self._shop = shop
        self._ecs, self._elb = shop.clients("ecs"), shop.clients("elbv2")
        (balancer,) = self._elb.describe_load_balancers()["LoadBalancers"]
        self.blue, self.green = (self._group(name, balancer["VpcId"]) for name in ("native-blue", "native-green"))
        actions = [{"Type": "forward", "TargetGroupArn": self.blue}]
        (listener,) = self._elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=9100, DefaultActions=actions
        )["Listeners"]
        self.listener = listener["ListenerArn"]
        (rule,) = self._elb.describe_rules(ListenerArn=self.listener)["Rules"]
        advanced = {
            "alternateTargetGroupArn": self.green,
            "productionListenerRule": rule["RuleArn"],
            "roleArn": "arn:aws:iam::000000000000:role/ecs",
        }
        self._ecs.create_service(
            cluster="hello",
            serviceName="native",
            taskDefinition=self.definition(image),
            desiredCount=1,
            loadBalancers=[
                {
                    "targetGroupArn": self.blue,
                    "containerName": "hello",
                    "containerPort": 8000,
                    "advancedConfiguration": advanced,
                }
            ],
            deploymentConfiguration={
                "strategy": "CANARY",
                "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 20},
                "bakeTimeInMinutes": 5,
                "alarms": {"alarmNames": [alarm], "enable": True, "rollback": True},
            },
        )

    def definition(self, image: str) -> str:
        (live,) = self._ecs.describe_services(cluster="hello", services=["hello"])["services"]
        found = self._ecs.describe_task_definition(taskDefinition=live["taskDefinition"])["taskDefinition"]
        (container,) = found["containerDefinitions"]
        made = self._ecs.register_task_definition(
            family="native",
            networkMode=found["networkMode"],
            containerDefinitions=[{**container, "image": f"{registry_of('us-east-1')}/hello:{image}"}],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def deploy(self, image: str) -> None:
        self._ecs.update_service(cluster="hello", service="native", taskDefinition=self.definition(image))

    def newest(self) -> dict[str, Any]:
        """The newest service deployment."""
        briefs = self._ecs.list_service_deployments(cluster="hello", service="native")["serviceDeployments"]
        arns = [max(briefs, key=lambda brief: brief["createdAt"])["serviceDeploymentArn"]]
        told: dict[str, Any] = self._ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"][
            0
        ]
        return told

    def load(self) -> Load:
        url = urlsplit(ask(self._shop.running, "health")["listeners"][self.listener])
        return Load("127.0.0.1", url.port or 80, kept=8, fresh=2)

    def _group(self, name: str, vpc: str) -> str:
        (group,) = self._elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=80,
            VpcId=vpc,
            TargetType="instance",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2,
        )["TargetGroups"]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
        self._elb.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=delay)
        return str(group["TargetGroupArn"])


def test_a_deployment_of_ecs_itself_is_stopped_by_its_alarm_and_goes_back(shop: Shop) -> None:
    shop.pack("fine")
    shop.pack("buggy", ERROR)
    alarms = shop.clients("cloudwatch")
    # What went wrong before is over: an alarm that is active when a deployment begins is not watched.
    shop.until(lambda: alarms.describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]["StateValue"] == "OK")
    native = Native(shop, "fine", "errors")
    shop.until(lambda: native.newest()["status"] == "SUCCESSFUL")
    with native.load() as load:
        shop.until(lambda: load.tally().requests > 50)
        native.deploy("buggy")
        shop.until(lambda: native.newest()["status"] == "ROLLBACK_SUCCESSFUL")
        told = native.newest()
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert set(tally.errors) == {"buggy 500"}
    assert tally.version == "fine"
    assert told["alarms"]["status"] == "TRIGGERED"
    assert told["alarms"]["triggeredAlarmNames"] == ["errors"]
    changes = shop.clients.told(f"weights/{native.listener}")
    history = alarms.describe_alarm_history(AlarmName="errors", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    at = next(item["Timestamp"].timestamp() for item in history if item["HistorySummary"].endswith("to ALARM"))
    back = next(change for change in changes if change["at"] >= at)
    assert changes[changes.index(back) - 1]["weights"][native.green] > 0
    assert back["weights"][native.green] == 0
    print(f"ECS: weights back {(back['at'] - at) * 1000:.0f} ms after the alarm (promised: {BACK_WITHIN_S:g} s)")
    assert back["at"] - at < 30

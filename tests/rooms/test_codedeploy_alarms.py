"""A deployment stops when one of its alarms goes off, for as long as there is a way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.bluegreen import A, B
from tests.rooms.deploying import Deploying

CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"
ALARMS = {"enabled": True, "alarms": [{"name": "errors"}, {"name": "slow"}]}
BACK = {"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]}
MESSAGE = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected"
    " deployments have been stopped. Activated alarms: errors"
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    for name in ("errors", "slow"):
        put_alarm(shop, name)
    yield shop
    shop.close()


def put_alarm(shop: Deploying, name: str) -> None:
    call(
        shop,
        "PutMetricAlarm",
        AlarmName=name,
        Namespace="shop",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def call(shop: Deploying, operation: str, **params: Any) -> Any:
    return shop.run(shop.aws.call("cloudwatch", operation, "us-east-1", **params))


def go_off(shop: Deploying, name: str = "errors") -> None:
    """A datapoint above the threshold of an alarm."""
    call(shop, "PutMetricData", Namespace="shop", MetricData=[{"MetricName": name, "Value": 5.0}])
    shop.tick()


def test_an_alarm_in_a_canary_stops_the_deployment_and_brings_blue_back_at_once(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK)
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    assert shop.balancer.weights() == {B: 10, A: 90}
    at = shop.clock.now()
    go_off(shop)
    assert shop.balancer.weights() == {A: 100, B: 0}
    info = shop.info(deployment_id)
    assert (info["status"], info["errorInformation"]) == ("Stopped", {"code": "ALARM_ACTIVE", "message": MESSAGE})
    events = shop.lifecycle(deployment_id)
    assert (events["BeforeAllowTraffic"], events["AllowTraffic"], events["AfterAllowTraffic"]) == (
        "Succeeded",
        "Failed",
        "Skipped",
    )
    rollback = shop.info(info["rollbackInfo"]["rollbackDeploymentId"])
    assert rollback["creator"] == "codeDeployRollback"
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    ((alarm),) = receipt["alarms"]
    assert (alarm["name"], alarm["at"]) == ("errors", at)
    assert alarm["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [5.0")
    shop.tick(600)
    assert shop.info(rollback["deploymentId"])["status"] == "Succeeded"
    assert shop.runs.of_kind("codedeploy.alarms") == []


def test_without_rollback_the_weights_stay_where_they_are(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS)
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    go_off(shop)
    assert shop.info(deployment_id)["status"] == "Stopped"
    assert "rollbackInfo" not in shop.info(deployment_id)
    assert shop.balancer.weights() == {B: 10, A: 90}


def test_a_deployment_that_begins_under_an_alarm_creates_nothing(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK)
    go_off(shop)
    deployment_id = shop.deploy()
    shop.tick(5)
    info = shop.info(deployment_id)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert "rollbackInfo" not in info
    assert shop.ecs.calls.count("CreateTaskSet") == 0
    assert set(shop.lifecycle(deployment_id).values()) == {"Skipped"}


def test_an_alarm_counts_while_a_deployment_is_ready(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK, ready_minutes=30)
    deployment_id = shop.deploy()
    shop.tick(60)
    assert shop.info(deployment_id)["status"] == "Ready"
    go_off(shop)
    assert shop.info(deployment_id)["errorInformation"]["code"] == "ALARM_ACTIVE"


def test_an_alarm_counts_in_the_termination_wait(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK, wait_minutes=30)
    deployment_id = shop.deploy()
    shop.tick(120)
    assert shop.balancer.weights() == {B: 100, A: 0}
    go_off(shop)
    assert shop.balancer.weights() == {A: 100, B: 0}
    assert shop.info(deployment_id)["status"] == "Stopped"


def test_an_alarm_no_longer_counts_once_blue_is_gone(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK)
    deployment_id = shop.deploy()
    shop.tick(120)
    go_off(shop)
    assert shop.info(deployment_id)["status"] == "Succeeded"
    assert shop.balancer.weights() == {B: 100, A: 0}


def test_the_alarms_of_the_deployment_override_those_of_the_group(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS, autoRollbackConfiguration=BACK)
    go_off(shop)
    none = shop.deploy(overrideAlarmConfiguration={"enabled": False})
    shop.tick(120)
    assert shop.info(none)["status"] == "Succeeded"
    slow = {"enabled": True, "alarms": [{"name": "slow"}]}
    other = shop.deploy(deploymentConfigName=CANARY, overrideAlarmConfiguration=slow)
    shop.tick(90)
    assert shop.info(other)["status"] == "InProgress"
    go_off(shop, "slow")
    assert shop.info(other)["status"] == "Stopped"


@pytest.mark.parametrize(("is_ignored", "status"), [(True, "Succeeded"), (False, "Stopped")])
def test_an_alarm_that_there_is_not(shop: Deploying, is_ignored: bool, status: str) -> None:
    alarms = {"enabled": True, "alarms": [{"name": "none"}], "ignorePollAlarmFailure": is_ignored}
    shop.create_group(alarmConfiguration=alarms)
    deployment_id = shop.deploy()
    shop.tick(120)
    assert shop.info(deployment_id)["status"] == status
    if not is_ignored:
        assert "Missing alarms: none" in shop.info(deployment_id)["errorInformation"]["message"]


def test_an_alarm_that_is_deleted_meanwhile_stops_the_deployment(shop: Deploying) -> None:
    shop.create_group(alarmConfiguration=ALARMS)
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    call(shop, "DeleteAlarms", AlarmNames=["slow"])
    shop.tick()
    assert shop.info(deployment_id)["status"] == "Stopped"


@pytest.mark.parametrize(
    ("alarms", "code"),
    [
        ({"enabled": True, "alarms": []}, "InvalidAlarmConfigException"),
        ({"enabled": True, "alarms": [{"name": "a"}, {"name": "a"}]}, "InvalidAlarmConfigException"),
        ({"enabled": True, "alarms": [{"name": f"a{i}"} for i in range(11)]}, "AlarmsLimitExceededException"),
    ],
)
def test_a_group_with_alarms_that_make_no_sense_is_refused(shop: Deploying, alarms: Any, code: str) -> None:
    with pytest.raises(ClientError, match=code):
        shop.create_group(alarmConfiguration=alarms)

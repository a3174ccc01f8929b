"""An alarm goes off while green bakes: everything is back on blue before anybody has to look."""

from __future__ import annotations

import time

from tests.stories.bluegreen import BlueGreen, waits
from tests.stories.stage import Stage, until

CANARY = "CodeDeployDefault.ECSCanary10Percent15Minutes"


def test_an_alarm_in_mid_canary_and_in_the_bake_brings_blue_back_at_once(stage: Stage) -> None:
    alarm = "stories-errors"
    cloudwatch = stage.clients("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm, Namespace="stories", MetricName="errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    configuration = {"enabled": True, "alarms": [{"name": alarm}]}
    service = BlueGreen(
        stage, alarmConfiguration=configuration, blueGreenDeploymentConfiguration=waits(kept=60)
    ).ready()

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"])

    def go_off() -> float:
        cloudwatch.put_metric_data(Namespace="stories", MetricData=[{"MetricName": "errors", "Value": 1}])
        return time.monotonic()

    with service.load() as load:
        before = service.weights()
        for config, percent in ((CANARY, 10), ("CodeDeployDefault.ECSAllAtOnce", 100)):
            until(lambda: state() != "ALARM", "the alarm is quiet")
            deployment = service.deploy("v2", config)
            service.until_green_has(percent) if percent < 100 else service.until_all_is(load, "v2")
            went_off_at = go_off()
            until(lambda: service.weights() == before, "everything is on blue")
            assert time.monotonic() - went_off_at < 2
            stopped = service.wait_for_rollback(deployment, "Stopped")
            assert stopped["errorInformation"]["code"] == "ALARM_ACTIVE"
            service.until_all_is(load, "v1")
            assert [found["name"] for found in service.receipt(deployment)["alarms"]] == [alarm]

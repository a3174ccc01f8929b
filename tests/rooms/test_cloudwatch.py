"""Metrics and alarms: what is put is read, and an alarm's state follows its datapoints."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from turnout.aws import Event
from turnout.cloudwatch.rules import checked
from turnout.errors import AwsError

ALARM: dict[str, Any] = {
    "AlarmName": "errors",
    "Namespace": "shop",
    "MetricName": "Errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 3,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}


def put(world: World, value: float, name: str = "Errors", **more: Any) -> None:
    datum = {"MetricName": name, "Value": value, "Timestamp": datetime.fromtimestamp(world.clock.at, UTC), **more}
    world.boto("cloudwatch").put_metric_data(Namespace="shop", MetricData=[datum])
    world.tick()


def state(world: World, name: str = "errors") -> dict[str, Any]:
    (alarm,) = world.boto("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    found: dict[str, Any] = alarm
    return found


def minutes(world: World) -> None:
    """To the beginning of the next minute."""
    world.tick(60 - world.clock.at % 60)


def span(world: World, seconds: float) -> dict[str, Any]:
    return {
        "StartTime": datetime.fromtimestamp(world.clock.at - seconds, UTC),
        "EndTime": datetime.fromtimestamp(world.clock.at + 60, UTC),
    }


def test_many_metrics_are_put_at_once_in_a_body_that_the_sdk_compresses(world: World) -> None:
    cloudwatch, encodings = world.boto("cloudwatch"), []
    data = [{"MetricName": "Errors", "Value": 1, "Unit": "Count"} for _ in range(500)]

    def keep(request: Any, **_: Any) -> None:
        encodings.append(request.headers.get("Content-Encoding"))

    cloudwatch.meta.events.register_first("before-send", keep)
    try:
        cloudwatch.put_metric_data(Namespace="shop", MetricData=data)
    finally:
        cloudwatch.meta.events.unregister("before-send", keep)
    assert encodings in ([b"gzip"], ["gzip"])
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="shop", MetricName="Errors", Period=60, Statistics=["Sum"], **span(world, 60)
    )["Datapoints"]
    assert point["Sum"] == 500


def test_statistics_are_of_what_was_put(world: World) -> None:
    minutes(world)
    for value in (1, 2, 3, 10):
        put(world, value, StorageResolution=1)
    client = world.boto("cloudwatch")
    (point,) = client.get_metric_statistics(
        Namespace="shop",
        MetricName="Errors",
        Period=60,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
        **span(world, 60),
    )["Datapoints"]
    found = (point["SampleCount"], point["Average"], point["Sum"], point["Minimum"], point["Maximum"])
    assert found == (4, 4, 16, 1, 10)
    (point,) = client.get_metric_statistics(
        Namespace="shop", MetricName="Errors", Period=60, ExtendedStatistics=["p50", "p99.9"], **span(world, 60)
    )["Datapoints"]
    assert point["ExtendedStatistics"] == {"p50": 2, "p99.9": 10}
    metric = {"Namespace": "shop", "MetricName": "Errors"}
    query = {"Id": "e", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    (result,) = client.get_metric_data(MetricDataQueries=[query], **span(world, 60))["MetricDataResults"]
    assert result["Values"] == [16]
    assert client.list_metrics(Namespace="shop")["Metrics"] == [{**metric, "Dimensions": []}]


def test_metrics_survive_a_restart_and_are_kept_by_longer_spans_as_they_grow_old(world: World) -> None:
    minutes(world)
    began = world.clock.at
    for _ in range(3):
        put(world, 1, StorageResolution=1)
        world.tick(1)
    world.reboot()
    world.tick(4 * 3600)
    put(world, 1)
    rows = world.store.all("SELECT at, resolution, sum FROM cloudwatch_points ORDER BY at")
    assert next(tuple(row) for row in rows) == (began, 60, 3)
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({"MetricName": "x"}, "InvalidParameterCombination"),
        ({"MetricName": "x", "Value": 1, "Timestamp": datetime(2020, 1, 1, tzinfo=UTC)}, "InvalidParameterValue"),
        ({"MetricName": "x", "Value": 1, "StorageResolution": 5}, "InvalidParameterValue"),
        ({"MetricName": "x", "Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue"),
    ],
)
def test_a_datapoint_that_says_nothing_sensible_is_refused(world: World, datum: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        world.boto("cloudwatch").put_metric_data(Namespace="shop", MetricData=[datum])


def test_the_namespaces_of_aws_are_not_for_users(world: World) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        world.boto("cloudwatch").put_metric_data(Namespace="AWS/ECS", MetricData=[{"MetricName": "x", "Value": 1}])


def test_an_alarm_fires_as_soon_as_its_sum_crosses_the_threshold(world: World) -> None:
    minutes(world)
    world.boto("cloudwatch").put_metric_alarm(**ALARM)
    assert state(world)["StateValue"] == "INSUFFICIENT_DATA"
    put(world, 2)
    assert state(world)["StateValue"] == "INSUFFICIENT_DATA", "a minute that has not ended is not yet good"
    put(world, 1)
    alarm = state(world)
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [3.0 (")
    assert alarm["StateReason"].endswith(
        "was greater than or equal to the threshold (3.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [3.0]


def test_an_alarm_on_an_average_waits_for_the_end_of_its_period_and_recovers(world: World) -> None:
    minutes(world)
    world.boto("cloudwatch").put_metric_alarm(**{**ALARM, "Statistic": "Average"})
    put(world, 5)
    assert state(world)["StateValue"] == "INSUFFICIENT_DATA"
    minutes(world)
    assert state(world)["StateValue"] == "ALARM"
    put(world, 1)
    minutes(world)
    assert state(world)["StateValue"] == "OK"


def test_an_alarm_needs_its_datapoints(world: World) -> None:
    minutes(world)
    world.boto("cloudwatch").put_metric_alarm(**{**ALARM, "EvaluationPeriods": 3, "DatapointsToAlarm": 2})
    states = []
    for value in (0, 9, 0, 9):
        put(world, value)
        states.append(state(world)["StateValue"])
        minutes(world)
    assert states == ["INSUFFICIENT_DATA", "OK", "OK", "ALARM"]


@pytest.mark.parametrize(
    ("treat", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "OK")],
)
def test_missing_data_is_treated_as_the_alarm_says(world: World, treat: str, expected: str) -> None:
    minutes(world)
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**{**ALARM, "TreatMissingData": treat})
    put(world, 0)
    minutes(world)
    world.tick(600)
    assert state(world)["StateValue"] == expected


def test_a_percentile_of_few_samples_can_be_ignored(world: World) -> None:
    minutes(world)
    by_p99 = {name: value for name, value in ALARM.items() if name != "Statistic"} | {"ExtendedStatistic": "p99"}
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**{**by_p99, "AlarmName": "strict"})
    client.put_metric_alarm(**{**by_p99, "AlarmName": "lax", "EvaluateLowSampleCountPercentile": "ignore"})
    put(world, 9)
    minutes(world)
    assert (state(world, "strict")["StateValue"], state(world, "lax")["StateValue"]) == ("ALARM", "INSUFFICIENT_DATA")


def test_an_alarm_tells_its_topic_and_eventbridge_and_remembers(world: World) -> None:
    minutes(world)
    heard: list[Event] = []
    world.aws.listen(lambda tx, event: heard.append(event))
    topic = world.boto("sns").create_topic(Name="pager")["TopicArn"]
    queue = world.boto("sqs").create_queue(QueueName="pager")["QueueUrl"]
    world.boto("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:pager")
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**ALARM, AlarmActions=[topic, "arn:aws:automate:us-east-1:ec2:stop"])
    put(world, 5)
    (message,) = world.boto("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["AlarmName"], told["OldStateValue"], told["NewStateValue"]) == ("errors", "INSUFFICIENT_DATA", "ALARM")
    assert told["Trigger"]["Statistic"] == "SUM"
    (event,) = (event for event in heard if event.source == "aws.cloudwatch")
    assert event.detail_type == "CloudWatch Alarm State Change"
    assert event.detail["state"]["value"] == "ALARM"
    items = client.describe_alarm_history(AlarmName="errors", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [item["HistoryItemType"] for item in items] == ["ConfigurationUpdate", "StateUpdate", "Action", "Action"]
    assert [item["HistorySummary"].partition(" action")[0] for item in items[2:]] == [
        "Successfully executed",
        "Failed to execute",
    ]
    assert items[1]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"


def test_a_state_that_is_set_holds_until_the_next_evaluation(world: World) -> None:
    minutes(world)
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**ALARM)
    world.tick()
    client.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="rehearsal")
    assert state(world)["StateReason"] == "rehearsal"
    minutes(world)
    assert state(world)["StateValue"] == "INSUFFICIENT_DATA"
    with pytest.raises(client.exceptions.ResourceNotFound):
        client.set_alarm_state(AlarmName="none", StateValue="ALARM", StateReason="x")


def test_alarms_go_on_after_a_restart_and_end_when_they_are_deleted(world: World) -> None:
    minutes(world)
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**ALARM, Tags=[{"Key": "team", "Value": "shop"}])
    world.tick()
    world.reboot()
    put(world, 3)
    assert state(world)["StateValue"] == "ALARM"
    assert client.list_tags_for_resource(ResourceARN=state(world)["AlarmArn"])["Tags"] == [
        {"Key": "team", "Value": "shop"}
    ]
    client.delete_alarms(AlarmNames=["errors"])
    world.tick(600)
    assert client.describe_alarms()["MetricAlarms"] == []
    assert world.runs.of_kind("cloudwatch.evaluation") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Period": 45}, "ValidationError"),
        ({"ExtendedStatistic": "p90"}, "InvalidParameterCombination"),
        ({"DatapointsToAlarm": 2}, "ValidationError"),
        ({"TreatMissingData": "good"}, "ValidationError"),
        ({"EvaluationPeriods": 2000}, "ValidationError"),
        ({"Threshold": float("nan")}, "ValidationError"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "NotImplementedException"),
    ],
)
def test_an_alarm_that_could_not_be_evaluated_is_refused(world: World, change: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        world.boto("cloudwatch").put_metric_alarm(**{**ALARM, **change})


@pytest.mark.parametrize("member", ["ComparisonOperator", "EvaluationPeriods", "MetricName", "Threshold"])
def test_an_alarm_without_what_it_needs_is_refused(member: str) -> None:
    given = {name: value for name, value in ALARM.items() if name != member}
    with pytest.raises(AwsError, match=member) as refused:
        checked(given)
    assert refused.value.code == "MissingParameter"


def test_a_composite_alarm_is_not_kept_without_being_evaluated(world: World) -> None:
    with pytest.raises(ClientError, match="not implemented by turnout"):
        world.boto("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule="ALARM(errors)")

"""A change of an alarm's state: the document, its history, its event, its actions and whoever waits, at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from turnout.aws import Aws, Event
from turnout.clock import Clock
from turnout.cloudwatch.tables import Tables
from turnout.cloudwatch.words import long_time
from turnout.names import ACCOUNT, new_uuid
from turnout.runs import Runs, StepSpec
from turnout.store import Shelf, Transaction

ACTION = "cloudwatch.action"
ACTIONS_OF = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}

Document = dict[str, Any]


def alarm_topic(region: str, name: str) -> str:
    """Woken in the transaction that changes the state of an alarm, makes it or deletes it."""
    return f"cloudwatch.alarm/{region}/{name}"


class States:
    """The one place where the state of an alarm is written."""

    def __init__(self, alarms: Shelf, tables: Tables, runs: Runs, aws: Aws, clock: Clock) -> None:
        self._alarms = alarms
        self._tables = tables
        self._runs = runs
        self._aws = aws
        self._clock = clock

    def change(
        self, tx: Transaction, region: str, alarm: Document, state: str, reason: str, reason_data: str | None
    ) -> None:
        """Write the state; what follows a change follows only if it is another state than before."""
        now, name = self._clock.now(), alarm["AlarmName"]
        became = alarm | {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": now}
        became.pop("StateReasonData", None)
        if reason_data is not None:
            became["StateReasonData"] = reason_data
        is_change = state != alarm["StateValue"]
        if is_change:
            became["StateTransitionedTimestamp"] = now
        self._alarms.put(tx, region, name, became)
        if not is_change:
            return
        data = {"version": "1.0", "oldState": _state(alarm), "newState": _state(became)}
        summary = f"Alarm updated from {alarm['StateValue']} to {state}"
        self._tables.record(tx, region, name, now, "StateUpdate", summary, data)
        self._aws.announce(tx, _event(region, alarm, became, now))
        self._runs.wake(tx, alarm_topic(region, name))
        if became["ActionsEnabled"]:
            for action in became[ACTIONS_OF[state]]:
                spec = {"alarm": name, "action": action, "state": state, "message": _message(region, alarm, became)}
                self._runs.insert(tx, ACTION, region, new_uuid(), spec, [StepSpec("Act", 0)], lane=name)


def _state(alarm: Mapping[str, Any]) -> Document:
    state = {"stateValue": alarm["StateValue"], "stateReason": alarm["StateReason"]}
    if "StateReasonData" in alarm:
        state["stateReasonData"] = json.loads(alarm["StateReasonData"])
    return state


def _event(region: str, was: Mapping[str, Any], became: Mapping[str, Any], at: float) -> Event:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html"""

    def state(alarm: Mapping[str, Any]) -> Document:
        told = {
            "value": alarm["StateValue"],
            "reason": alarm["StateReason"],
            "timestamp": long_time(alarm["StateUpdatedTimestamp"]),
        }
        return told | ({"reasonData": alarm["StateReasonData"]} if "StateReasonData" in alarm else {})

    metric = {
        "namespace": became["Namespace"],
        "name": became["MetricName"],
        "dimensions": {d["Name"]: d["Value"] for d in became["Dimensions"]},
    }
    stat = {"metric": metric, "period": became["Period"], "stat": statistic_of(became)}
    configuration: Document = {"metrics": [{"id": became["MetricName"], "metricStat": stat, "returnData": True}]}
    if "AlarmDescription" in became:
        configuration["description"] = became["AlarmDescription"]
    return Event(
        source="aws.cloudwatch",
        detail_type="CloudWatch Alarm State Change",
        region=region,
        resources=(became["AlarmArn"],),
        detail={
            "alarmName": became["AlarmName"],
            "state": state(became),
            "previousState": state(was),
            "configuration": configuration,
        },
        at=at,
    )


def _message(region: str, was: Mapping[str, Any], became: Mapping[str, Any]) -> Document:
    """What SNS subscribers read."""
    has_statistic = "Statistic" in became
    return {
        "AlarmName": became["AlarmName"],
        "AlarmDescription": became.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": long_time(became["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": became["StateValue"],
        "NewStateReason": became["StateReason"],
        "StateChangeTime": long_time(became["StateUpdatedTimestamp"]),
        "Region": region,
        "AlarmArn": became["AlarmArn"],
        "OldStateValue": was["StateValue"],
        "OKActions": became["OKActions"],
        "AlarmActions": became["AlarmActions"],
        "InsufficientDataActions": became["InsufficientDataActions"],
        "Trigger": {
            "MetricName": became["MetricName"],
            "Namespace": became["Namespace"],
            "StatisticType": "Statistic" if has_statistic else "ExtendedStatistic",
            **(
                {"Statistic": became["Statistic"].upper()}
                if has_statistic
                else {"ExtendedStatistic": became["ExtendedStatistic"]}
            ),
            "Unit": became.get("Unit"),
            "Dimensions": [{"value": d["Value"], "name": d["Name"]} for d in became["Dimensions"]],
            "Period": became["Period"],
            "EvaluationPeriods": became["EvaluationPeriods"],
            "DatapointsToAlarm": became.get("DatapointsToAlarm") or became["EvaluationPeriods"],
            "ComparisonOperator": became["ComparisonOperator"],
            "Threshold": became["Threshold"],
            "TreatMissingData": became.get("TreatMissingData", ""),
            "EvaluateLowSampleCountPercentile": became.get("EvaluateLowSampleCountPercentile", ""),
        },
    }


def statistic_of(alarm: Mapping[str, Any]) -> str:
    return str(alarm.get("Statistic") or alarm["ExtendedStatistic"])

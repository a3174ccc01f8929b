"""Alarms: put, read, set, switched, deleted, tagged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Call, Others
from turnout.clock import Clock
from turnout.cloudwatch.judging import UNKNOWN
from turnout.cloudwatch.metrics import evaluate_topic, paged
from turnout.cloudwatch.plans import EVALUATION
from turnout.cloudwatch.rules import checked
from turnout.cloudwatch.states import Document, States, alarm_topic
from turnout.cloudwatch.tables import Tables, dimensions_key
from turnout.errors import AwsError, NotOwned
from turnout.names import arn, new_uuid, resource_of
from turnout.runs import Runs, StepSpec
from turnout.store import Shelf, Store, Transaction

MOST = 100
INITIAL = "Unchecked: Initial alarm creation"


class Alarms:
    _store: Store
    _runs: Runs
    _clock: Clock
    _others: Others
    _tables: Tables
    _shelf: Shelf
    _states: States

    def put_metric_alarm(self, call: Call) -> Answer:
        """A new alarm begins in INSUFFICIENT_DATA; one that is changed keeps its state until it is evaluated."""
        given, now = checked(call.input), self._clock.now()
        name = given["AlarmName"]
        was = self._shelf.find(call.region, name)
        alarm = given | {
            "AlarmArn": arn("cloudwatch", call.region, f"alarm:{name}"),
            "AlarmConfigurationUpdatedTimestamp": now,
        }
        if was is None:
            alarm |= {"StateValue": UNKNOWN, "StateReason": INITIAL, "StateUpdatedTimestamp": now}
            alarm |= {"StateTransitionedTimestamp": now, "tags": {t["Key"]: t["Value"] for t in call.get("Tags") or ()}}
        else:
            alarm |= {member: value for member, value in was.items() if member.startswith("State") or member == "tags"}
        key = (call.region, alarm["Namespace"], alarm["MetricName"], dimensions_key(alarm["Dimensions"]))
        with self._store.transaction() as tx:
            self._shelf.put(tx, call.region, name, alarm)
            self._tables.watch(tx, key, name)
            self._record(tx, call.region, name, "Create" if was is None else "Update", alarm)
            self._runs.wake(tx, evaluate_topic(call.region, name))
            self._runs.wake(tx, alarm_topic(call.region, name))
            if not self._runs.of_lane(EVALUATION, call.region, name, is_open=True):
                steps = [StepSpec("Evaluate", 0)]
                self._runs.insert(tx, EVALUATION, call.region, new_uuid(), {"alarm": name}, steps, lane=name)
        return {}

    def put_composite_alarm(self, call: Call) -> Answer:
        """Refused: an alarm that nobody evaluates would be worse than none."""
        raise NotOwned("cloudwatch", "PutCompositeAlarm")

    def describe_alarms(self, call: Call) -> Answer:
        if call.get("AlarmNames") and call.get("AlarmNamePrefix"):
            message = "AlarmNames and AlarmNamePrefix cannot be specified together."
            raise AwsError("InvalidParameterCombination", message)
        if "MetricAlarm" not in (call.get("AlarmTypes") or ["MetricAlarm"]):
            return {"MetricAlarms": [], "CompositeAlarms": []}
        if call.get("ChildrenOfAlarmName") or call.get("ParentsOfAlarmName"):
            return {"MetricAlarms": [], "CompositeAlarms": []}  # only composite alarms have children
        if names := call.get("AlarmNames"):
            found = [alarm for name in sorted(set(names)) if (alarm := self._shelf.find(call.region, name))]
        else:
            found = self._shelf.list(call.region, call.get("AlarmNamePrefix") or "")
        state, prefix = call.get("StateValue"), call.get("ActionPrefix")
        found = [
            alarm
            for alarm in found
            if state in (None, alarm["StateValue"]) and (prefix is None or _has_action(alarm, prefix))
        ]
        page, token = paged(found, call.get("NextToken"), call.get("MaxRecords") or 50)
        return {"MetricAlarms": [_described(alarm) for alarm in page], "CompositeAlarms": [], "NextToken": token}

    def describe_alarms_for_metric(self, call: Call) -> Answer:
        key = (call.region, call["Namespace"], call["MetricName"], dimensions_key(call.get("Dimensions")))
        found = (self._shelf.find(call.region, name) for name in sorted(self._tables.watchers(key)))
        filters = [m for m in ("Statistic", "ExtendedStatistic", "Period", "Unit") if call.get(m) is not None]
        return {
            "MetricAlarms": [
                _described(alarm) for alarm in found if alarm and all(alarm.get(m) == call[m] for m in filters)
            ]
        }

    def describe_alarm_history(self, call: Call) -> Answer:
        """Newest first, unless ScanBy is TimestampAscending."""
        rows = self._tables.history(
            call.region,
            call.get("AlarmName"),
            call.get("HistoryItemType"),
            call.get("StartDate", 0.0),
            call.get("EndDate", self._clock.now()),
        )
        if call.get("ScanBy") != "TimestampAscending":
            rows.reverse()
        page, token = paged(rows, call.get("NextToken"), call.get("MaxRecords") or MOST)
        items = [
            {
                "AlarmName": row["alarm"],
                "AlarmType": "MetricAlarm",
                "Timestamp": row["at"],
                "HistoryItemType": row["type"],
                "HistorySummary": row["summary"],
                "HistoryData": row["data"],
            }
            for row in page
        ]
        return {"AlarmHistoryItems": items, "NextToken": token}

    def set_alarm_state(self, call: Call) -> Answer:
        """As on AWS, until the next evaluation finds another state."""
        alarm = self._get(call.region, call["AlarmName"])
        data = call.get("StateReasonData")
        if data is not None:
            try:
                json.loads(data)
            except ValueError as error:
                raise AwsError("InvalidFormat", f"StateReasonData is not JSON: {error}") from error
        with self._store.transaction() as tx:
            self._states.change(tx, call.region, alarm, call["StateValue"], call["StateReason"], data)
        return {}

    def enable_alarm_actions(self, call: Call) -> Answer:
        return self._switch(call, is_enabled=True)

    def disable_alarm_actions(self, call: Call) -> Answer:
        return self._switch(call, is_enabled=False)

    def delete_alarms(self, call: Call) -> Answer:
        """All of them, or none if one does not exist."""
        alarms = [self._get(call.region, name) for name in call["AlarmNames"]]
        with self._store.transaction() as tx:
            for alarm in alarms:
                name = alarm["AlarmName"]
                self._shelf.delete(tx, call.region, name)
                self._tables.unwatch(tx, call.region, name)
                self._record(tx, call.region, name, "Delete", alarm)
                self._runs.wake(tx, evaluate_topic(call.region, name))
                self._runs.wake(tx, alarm_topic(call.region, name))
        return {}

    def tag_resource(self, call: Call) -> Answer:
        if (alarm := self._tagged(call)) is None:
            return self._others.call("cloudwatch", "TagResource", call.region, call.input)
        alarm["tags"] |= {tag["Key"]: tag["Value"] for tag in call["Tags"]}
        with self._store.transaction() as tx:
            self._shelf.put(tx, call.region, alarm["AlarmName"], alarm)
        return {}

    def untag_resource(self, call: Call) -> Answer:
        if (alarm := self._tagged(call)) is None:
            return self._others.call("cloudwatch", "UntagResource", call.region, call.input)
        alarm["tags"] = {key: value for key, value in alarm["tags"].items() if key not in call["TagKeys"]}
        with self._store.transaction() as tx:
            self._shelf.put(tx, call.region, alarm["AlarmName"], alarm)
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        if (alarm := self._tagged(call)) is None:
            return self._others.call("cloudwatch", "ListTagsForResource", call.region, call.input)
        return {"Tags": [{"Key": key, "Value": value} for key, value in alarm["tags"].items()]}

    def _tagged(self, call: Call) -> Document | None:
        """The alarm of an ARN; None if the ARN is of something else, which is moto's."""
        resource_arn = call["ResourceARN"]
        resource = resource_of(resource_arn) if resource_arn.count(":") >= 5 else ""
        if not resource.startswith("alarm:"):
            return None
        alarm = self._shelf.find(call.region, resource.removeprefix("alarm:"))
        if alarm is None:
            raise AwsError("ResourceNotFoundException", f"There is no alarm {resource_arn}", 404)
        return alarm

    def _switch(self, call: Call, *, is_enabled: bool) -> Answer:
        with self._store.transaction() as tx:
            for name in call["AlarmNames"]:
                alarm = self._shelf.find(call.region, name)
                if alarm is not None and alarm["ActionsEnabled"] != is_enabled:
                    alarm["ActionsEnabled"] = is_enabled
                    self._shelf.put(tx, call.region, name, alarm)
                    self._record(tx, call.region, name, "Update", alarm)
        return {}

    def _get(self, region: str, name: str) -> Document:
        alarm = self._shelf.find(region, name)
        if alarm is None:
            raise AwsError("ResourceNotFound", f"There is no alarm {name} in {region}.", 404)
        return alarm

    def _record(self, tx: Transaction, region: str, name: str, kind: str, alarm: Mapping[str, Any]) -> None:
        summary = {"Create": "created", "Update": "updated", "Delete": "deleted"}[kind]
        data = {"version": "1.0", "type": kind, f"{summary}Alarm": _described(alarm)}
        self._tables.record(
            tx, region, name, self._clock.now(), "ConfigurationUpdate", f'Alarm "{name}" {summary}', data
        )


def _has_action(alarm: Mapping[str, Any], prefix: str) -> bool:
    actions = (*alarm["OKActions"], *alarm["AlarmActions"], *alarm["InsufficientDataActions"])
    return any(action.startswith(prefix) for action in actions)


def _described(alarm: Mapping[str, Any]) -> Document:
    return {member: value for member, value in alarm.items() if member != "tags"}

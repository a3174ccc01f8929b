"""What alarms do by themselves, as runs: each is evaluated for as long as there is it, and each action is done once.

After a crash the evaluation looks at the rows again: a state that was not written is found anew. An action that was
done but not recorded is done a second time: SNS promises no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.cloudwatch.judging import EXTRA_PERIODS, Seen, breaches, can_only_grow, has_few_samples, judge
from turnout.cloudwatch.metrics import evaluate_topic
from turnout.cloudwatch.points import Point, merge, percent_of, statistic
from turnout.cloudwatch.states import ACTION, States, statistic_of
from turnout.cloudwatch.tables import Tables, dimensions_key
from turnout.cloudwatch.words import long_time
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Step
from turnout.store import Shelf, Transaction

EVALUATION = "cloudwatch.evaluation"
_SCALING = re.compile(
    r"arn:aws:autoscaling:[^:]*:[^:]*:scalingPolicy:[^:]+:resource/ecs/(?P<resource>[^:]+):policyName/(?P<policy>.+)"
)


class EvaluationPlan(StraightPlan):
    """Step Evaluate: looks whenever a datapoint arrives and at the end of each period, until the alarm is deleted."""

    kind = EVALUATION

    def __init__(self, alarms: Shelf, tables: Tables, states: States, runs: Runs, clock: Clock) -> None:
        self._alarms = alarms
        self._tables = tables
        self._states = states
        self._runs = runs
        self._clock = clock

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        alarm = self._alarms.find(run.region, run.spec["alarm"])
        if alarm is None:
            return Done()
        now, period_s = self._clock.now(), self._clock.scaled_s(alarm["Period"])
        begun_at = now // period_s * period_s
        window = self._window(run.region, alarm, begun_at, period_s)
        if window is not None:
            verdict = judge(alarm, window)
            if verdict.state is not None and verdict.state != alarm["StateValue"]:
                data = _reason_data(alarm, verdict.evaluated, now)
                with self._runs.store.transaction() as tx:
                    self._states.change(tx, run.region, alarm, verdict.state, verdict.reason, data)
        topic = evaluate_topic(run.region, alarm["AlarmName"])
        return Wait(max(0.001, begun_at + period_s - now), "for the next datapoint or period", on=topic)

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._runs.forget(tx, run.id)

    def _window(
        self, region: str, alarm: Mapping[str, Any], begun_at: float, period_s: float
    ) -> list[Seen | None] | None:
        """The periods that have ended, and the one that has not if it can only become worse; None: too few samples."""
        count = alarm["EvaluationPeriods"] + EXTRA_PERIODS
        start = begun_at - count * period_s
        key = (region, alarm["Namespace"], alarm["MetricName"], dimensions_key(alarm["Dimensions"]))
        by_period: list[list[Point]] = [[] for _ in range(count + 1)]
        for at, _, point in self._tables.points(key, start, begun_at + period_s, alarm.get("Unit")):
            by_period[min(count, int((at - start) / period_s + 1e-6))].append(point)
        name = statistic_of(alarm)
        window: list[Seen | None] = []
        for number, points in enumerate(by_period):
            whole = merge(points)
            value = None if whole is None else statistic(whole, name)
            seen = None
            if whole is not None and value is not None:
                seen = Seen(start + number * period_s, value, whole.count)
                is_ignoring = alarm.get("EvaluateLowSampleCountPercentile") == "ignore"
                if is_ignoring and "ExtendedStatistic" in alarm and has_few_samples(percent_of(name), whole.count):
                    return None
            window.append(seen)
        last = window.pop()
        if last is not None and can_only_grow(alarm) and breaches(alarm, last.value):
            return [*window[1:], last]
        return window


class ActionPlan(StraightPlan):
    """Step Act: tells an SNS topic or a scaling policy of a change. What became of it is in the alarm's history."""

    kind = ACTION

    def __init__(self, tables: Tables, runs: Runs, aws: Aws, clock: Clock) -> None:
        self._tables = tables
        self._runs = runs
        self._aws = aws
        self._clock = clock

    async def ensure(self, run: Run, step: Step) -> Done:
        action = run.spec["action"]
        if (policy := _SCALING.fullmatch(action)) is not None:
            await self._invoke(run.region, action, policy["resource"], policy["policy"])
            return Done()
        if action.split(":")[2:3] != ["sns"]:
            raise StepFailed(
                "NotImplemented",
                "turnout performs alarm actions on SNS topics and scaling policies of ECS services only",
            )
        try:
            await self._aws.call(
                "sns",
                "Publish",
                action.split(":")[3],
                cause=f"step:{step.id}",
                TopicArn=action,
                Subject=f'{run.spec["state"]}: "{run.spec["alarm"]}" in {run.region}'[:100],
                Message=json.dumps(run.spec["message"]),
            )
        except AwsError as error:
            raise StepFailed(error.code, error.message) from error
        return Done()

    async def _invoke(self, region: str, policy_arn: str, resource: str, policy_name: str) -> None:
        """The target of a scaling policy looks at its alarms."""
        answer = await self._aws.call(
            "application-autoscaling",
            "DescribeScalingPolicies",
            region,
            ServiceNamespace="ecs",
            ResourceId=resource,
            PolicyNames=[policy_name],
            ScalableDimension="ecs:service:DesiredCount",
        )
        if all(policy["PolicyARN"] != policy_arn for policy in answer["ScalingPolicies"]):
            raise StepFailed("ObjectNotFoundException", f"There is no scaling policy {policy_arn}")
        with self._runs.store.transaction() as tx:
            self._runs.wake(tx, f"autoscaling.target/{region}/{resource}")

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        action, state = run.spec["action"], run.spec["state"]
        data = {"actionState": "Succeeded", "stateUpdateTimestamp": run.created_at, "notificationResource": action}
        summary = f"Successfully executed action {action}"
        if run.message is not None:
            data |= {"actionState": "Failed", "error": run.message}
            summary = f'Failed to execute action {action}. Received error: "{run.message}"'
        data["state"] = state
        self._tables.record(tx, run.region, run.spec["alarm"], self._clock.now(), "Action", summary, data)
        self._runs.forget(tx, run.id)


def _reason_data(alarm: Mapping[str, Any], evaluated: Sequence[Seen], now: float) -> str:
    """StateReasonData of an evaluation."""
    newest_first = [
        {"timestamp": long_time(seen.at), "sampleCount": seen.count, "value": seen.value}
        for seen in reversed(evaluated)
    ]
    data: dict[str, Any] = {"version": "1.0", "queryDate": long_time(now)}
    if evaluated:
        data["startDate"] = long_time(evaluated[0].at)
    data |= {
        "statistic": statistic_of(alarm),
        "period": alarm["Period"],
        "recentDatapoints": [seen.value for seen in evaluated],
        "threshold": alarm["Threshold"],
        "evaluatedDatapoints": newest_first,
    }
    return json.dumps(data)

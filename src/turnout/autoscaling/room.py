"""What the parts of the room share: the documents, and how they are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.autoscaling.live import live_service, with_live_group
from turnout.autoscaling.tracking import is_alarm_of, tracking_alarms
from turnout.aws import Aws, Call, Others
from turnout.clock import Clock
from turnout.errors import AwsError, NotOwned
from turnout.runs import Runs
from turnout.store import Shelf, Store, Transaction

Document = dict[str, Any]

NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"
TARGET = "autoscaling.target"
SAME = (
    "MetricName",
    "Namespace",
    "Dimensions",
    "Statistic",
    "Period",
    "EvaluationPeriods",
    "Threshold",
    "AlarmActions",
)
"""What of an alarm is looked at to see whether it is still the policy's."""


class Room:
    """The operations inherit it, the plan is handed it."""

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, others: Others) -> None:
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.others = others
        self.targets = Shelf(store, "autoscaling.target")
        """By resource id."""
        self.policies = Shelf(store, "autoscaling.policy")
        """By resource id and name, with a tab between."""
        self.activities = Shelf(store, "autoscaling.activity")
        """By resource id, start and id, with tabs between."""

    def policies_of(self, region: str, resource: str) -> list[Document]:
        return self.policies.list(region, f"{resource}\t")

    def target(self, call: Call) -> Document:
        """The target that a call is about. Raises ObjectNotFoundException."""
        found = self.targets.find(call.region, call["ResourceId"])
        if found is None:
            raise AwsError("ObjectNotFoundException", f"No scalable target found for {named(call)}")
        return found

    def wake(self, tx: Transaction, region: str, resource: str) -> None:
        self.runs.wake(tx, target_topic(region, resource))

    async def service(self, region: str, resource: str) -> Document | None:
        """The ECS service of a resource; None if there is none that is ACTIVE."""
        return await live_service(self.aws, region, resource)

    async def ensure_alarms(self, region: str, resource: str, service: Document | None) -> None:
        """The alarms of the target's policies are as they should be, and there are no others of that kind."""
        wanted: dict[str, Document] = {}
        for policy in self.policies_of(region, resource):
            tracked = await with_live_group(self.aws, region, policy, service) if service else policy
            wanted |= {alarm["AlarmName"]: alarm for alarm in tracking_alarms(tracked)}
        prefix = f"TargetTracking-{resource}-Alarm"
        found = await self.aws.call("cloudwatch", "DescribeAlarms", region, AlarmNamePrefix=prefix, MaxRecords=100)
        existing = {a["AlarmName"]: a for a in found["MetricAlarms"] if is_alarm_of(resource, a["AlarmName"])}
        for name, alarm in wanted.items():
            was = existing.get(name, {})
            if any(was.get(member) != alarm.get(member) for member in SAME):
                await self.aws.call("cloudwatch", "PutMetricAlarm", region, **alarm)
        if gone := sorted(existing.keys() - wanted.keys()):
            await self.aws.call("cloudwatch", "DeleteAlarms", region, AlarmNames=gone)


def target_topic(region: str, resource: str) -> str:
    return f"{TARGET}/{region}/{resource}"


def is_ours(call: Call) -> bool:
    """Whether a call is about an ECS service: the rest is moto's."""
    return bool(call["ServiceNamespace"] == NAMESPACE)


def named(call: Call, *, policy: str | None = None) -> str:
    """As AWS's messages name a target or a policy."""
    text = (
        f"service namespace: {call['ServiceNamespace']}, resource ID: {call['ResourceId']},"
        f" scalable dimension: {call['ScalableDimension']}"
    )
    return f"{text}, policy name: {policy}" if policy else text


def page(call: Call, member: str, items: Sequence[Document]) -> Document:
    """One page of an answer, and the token of the next. Raises InvalidNextTokenException."""
    token = call.get("NextToken") or "0"
    if not token.isdecimal():
        raise AwsError("InvalidNextTokenException", f"The next token is not valid: {token}")
    start, size = int(token), call.get("MaxResults") or 50
    answer: Document = {member: list(items[start : start + size])}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


def refuse_scheduled_actions(call: Call) -> None:
    """A scheduled action of a service that is kept and never done would be worse than none."""
    if is_ours(call):
        raise NotOwned("application-autoscaling", call.operation)

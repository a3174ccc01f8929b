"""Triggers: what a deployment group tells SNS topics. Each message is a run of its own, so none is lost or delays.

https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-sns-event-notifications-json-format.html
After a crash between the publication and its commit a message is published a second time: SNS promises no more.
"""

from __future__ import annotations

import json
from typing import Any

from turnout.aws import Aws
from turnout.clock import iso8601
from turnout.codedeploy.describing import describe_deployment
from turnout.errors import AwsError, StepFailed
from turnout.names import ACCOUNT
from turnout.runner import Done, StraightPlan
from turnout.runs import Run, Runs, Step, StepSpec
from turnout.store import Transaction

EVENTS = {
    "START": ("DeploymentStart", "CREATED"),
    "SUCCESS": ("DeploymentSuccess", "SUCCEEDED"),
    "FAILURE": ("DeploymentFailure", "FAILED"),
    "STOP": ("DeploymentStop", "STOPPED"),
    "READY": ("DeploymentReady", "READY"),
}
"""The state of a notification → AWS's trigger event, and the status of its message."""


class TriggerPlan(StraightPlan):
    kind = "codedeploy.trigger"

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def ensure(self, run: Run, step: Step) -> Done:
        try:
            answer = await self._aws.call("sns", "Publish", run.region, **run.spec)
        except AwsError as error:
            raise StepFailed(error.code, f"{run.spec['TopicArn']}: {error.message}") from error
        return Done({"messageId": answer["MessageId"]})


def pull_triggers(tx: Transaction, runs: Runs, run: Run, state: str) -> None:
    """Leave a message for every topic that wants to hear of this change of a deployment."""
    event, status = EVENTS[state]
    wanted = {event, "DeploymentRollback"} if state == "START" and run.spec["rolls_back"] else {event}
    for trigger in run.spec["triggers"]:
        if not wanted & set(trigger["triggerEvents"]):
            continue
        message = {
            "TopicArn": trigger["triggerTargetArn"],
            "Subject": f"{status}: AWS CodeDeploy {run.name} in {run.region} to {run.spec['application']}"[:100],
            "Message": json.dumps(_message(runs, run, trigger["triggerName"], status)),
        }
        name = f"{run.name}/{state}/{trigger['triggerName']}"
        runs.insert(tx, TriggerPlan.kind, run.region, name, message, [StepSpec("Publish", 0)])


def _message(runs: Runs, run: Run, trigger_name: str, status: str) -> dict[str, Any]:
    described = describe_deployment(run, runs.steps(run.id))
    message = {
        "region": run.region,
        "accountId": ACCOUNT,
        "eventTriggerName": trigger_name,
        "applicationName": run.spec["application"],
        "deploymentId": run.name,
        "deploymentGroupName": run.spec["deployment_group"],
        "createTime": iso8601(run.created_at),
        "completeTime": None if run.ended_at is None else iso8601(run.ended_at),
        "status": status,
    }
    parts = {
        "deploymentOverview": "deploymentOverview",
        "errorInformation": "errorInformation",
        "rollbackInformation": "rollbackInfo",
    }
    message |= {name: json.dumps(described[member]) for name, member in parts.items() if member in described}
    return {name: value for name, value in message.items() if value is not None}

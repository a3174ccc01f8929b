"""Manual approval: waits for PutApprovalResult, and tells a topic that somebody is needed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline.actions.job import DAY_S, Job, Provider
from turnout.errors import AwsError, StepFailed
from turnout.names import new_uuid
from turnout.runner import Done, Wait

log = logging.getLogger(__name__)


class ManualApproval:
    provider = Provider(
        "Manual",
        ("Approval",),
        optional=("NotificationArn", "ExternalEntityLink", "CustomData"),
        timeout_s=7 * DAY_S,
    )

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        topic = configuration.get("NotificationArn")
        if topic is not None and not topic.startswith("arn:") and "#{" not in topic:
            yield f"NotificationArn {topic} is not the ARN of an SNS topic"

    async def ensure(self, job: Job) -> Done | Wait:
        if "token" not in job.facts:
            job.learn(token=new_uuid())
        if job.answer is not None:
            summary = job.answer.get("summary") or job.answer["status"]
            job.learn(lastUpdatedBy=job.answer["by"], summary=summary)
            if job.answer["status"] == "Rejected":
                raise StepFailed("JobFailed", summary)
            return Done()
        topic = job.configuration.get("NotificationArn")
        if topic and "notified" not in job.facts:
            job.learn(notified=await self._notify(job, topic))
        return Wait(DAY_S, "waiting for an approval")

    async def _notify(self, job: Job, topic: str) -> bool:
        """Best effort: an approval is asked for whether or not the message gets through."""
        try:
            await self._aws.call(
                "sns",
                "Publish",
                topic.split(":")[3],
                TopicArn=topic,
                Subject=f"APPROVAL NEEDED: AWS CodePipeline {job.pipeline} for action {job.action}"[:100],
                Message=json.dumps(approval_message(job)),
            )
        except AwsError as error:
            log.warning(
                "the approval %s of %s could not be announced to %s: %s", job.action, job.pipeline, topic, error
            )
            return False
        return True


def approval_message(job: Job) -> dict[str, Any]:
    """What AWS publishes when an approval is needed."""
    console = f"https://console.aws.amazon.com/codepipeline/home?region={job.region}#/view/{job.pipeline}"
    expires = datetime.fromtimestamp(job.deadline_at or 0, UTC).strftime("%Y-%m-%dT%H:%MZ")
    approval = {
        "pipelineName": job.pipeline,
        "stageName": job.stage,
        "actionName": job.action,
        "token": job.facts["token"],
        "expires": expires,
        "externalEntityLink": job.configuration.get("ExternalEntityLink"),
        "approvalReviewLink": f"{console}/{job.stage}/{job.action}/approve/{job.facts['token']}",
        "customData": job.configuration.get("CustomData"),
    }
    return {"region": job.region, "consoleLink": console, "approval": approval}

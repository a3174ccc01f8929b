"""Watching S3 sources: once a minute, the object of every source that has PollForSourceChanges.

A run of kind "codepipeline.poll" per watched pipeline, with one step that never ends by itself: it parks, looks, and
starts an execution in the transaction in which it notes what it saw. CodeCommit sources need no polling: a push is
heard as it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.pipelines import Pipeline, Pipelines, pipeline_arn
from turnout.codepipeline.starting import Starting
from turnout.errors import AwsError
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Step, StepSpec
from turnout.store import Transaction

PERIOD_S = 60.0


class PollPlan(StraightPlan):
    kind = "codepipeline.poll"

    def __init__(self, runs: Runs, aws: Aws, pipelines: Pipelines, starting: Starting) -> None:
        self._runs = runs
        self._aws = aws
        self._pipelines = pipelines
        self._starting = starting

    def ensure_watched(self, tx: Transaction, region: str, pipeline: Pipeline) -> None:
        """Begin to watch a pipeline that has something to watch; look anew if its definition has changed."""
        self.end_watch(tx, region, pipeline)
        declaration = pipeline["declaration"]
        if any(watched_objects(declaration)):
            name = f"{pipeline['uid']}/{declaration['version']}"
            step = StepSpec("look", 0)
            self._runs.insert(tx, self.kind, region, name, {"uid": pipeline["uid"]}, [step], lane=declaration["name"])

    def end_watch(self, tx: Transaction, region: str, pipeline: Pipeline) -> None:
        for run in self._runs.of_lane(self.kind, region, pipeline["declaration"]["name"], is_open=True):
            self._runs.request_stop(tx, run.id, message="The definition has changed.")

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        pipeline = self._pipelines.find(run.region, run.lane or "")
        if pipeline is None or pipeline["uid"] != run.spec["uid"]:
            return Done()
        seen: dict[str, str | None] = {}
        for action, bucket, key in watched_objects(pipeline["declaration"]):
            seen[action] = await self._revision(run.region, bucket, key)
        before = run.facts.get("seen")
        with self._runs.store.transaction() as tx:
            current = self._runs.get(run.id)
            if current.stop is None and seen != before:
                self._runs.remember(tx, run.id, seen=seen)
                changed = before is not None and any(now and now != before.get(name) for name, now in seen.items())
                if changed:
                    trigger = ("PollForSourceChanges", pipeline_arn(run.region, pipeline["declaration"]["name"]))
                    self._starting.start(tx, run.region, pipeline, trigger)
        return Wait(PERIOD_S, "watching the S3 sources")

    async def _revision(self, region: str, bucket: str, key: str) -> str | None:
        """The object's version and hash; None while there is none, or while it cannot be read."""
        try:
            head = await self._aws.call("s3", "HeadObject", region, Bucket=bucket, Key=key)
        except AwsError:
            return None
        return f"{head.get('VersionId')} {head.get('ETag')}"


def watched_objects(declaration: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(action, bucket, key) of the S3 sources that are polled. On AWS that is the default."""
    for action in declaration["stages"][0]["actions"]:
        configuration = action.get("configuration", {})
        if action["actionTypeId"]["provider"] == "S3" and polls(configuration):
            yield action["name"], configuration["S3Bucket"], configuration["S3ObjectKey"]


def polls(configuration: Mapping[str, str]) -> bool:
    """PollForSourceChanges, which is true if it is left out."""
    return configuration.get("PollForSourceChanges", "true").lower() != "false"

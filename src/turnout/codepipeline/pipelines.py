"""The definitions: pipelines with all their versions, and the transitions between their stages.

A pipeline has a uid besides its name: what a deleted pipeline left running does not touch a new one of that name.
"""

from __future__ import annotations

from typing import Any

from turnout.errors import AwsError
from turnout.names import ACCOUNT, arn, new_uuid
from turnout.store import Shelf, Store, Transaction

Pipeline = dict[str, Any]
"""{uid, declaration (AWS's PipelineDeclaration with its version), created, updated, tags}"""


class Pipelines:
    def __init__(self, store: Store) -> None:
        self._pipelines = Shelf(store, "codepipeline.pipeline")
        self._versions = Shelf(store, "codepipeline.version")
        self._transitions = Shelf(store, "codepipeline.transition")

    def find(self, region: str, name: str) -> Pipeline | None:
        return self._pipelines.find(region, name)

    def get(self, region: str, name: str) -> Pipeline:
        """Raises PipelineNotFoundException."""
        pipeline = self.find(region, name)
        if pipeline is None:
            raise AwsError(
                "PipelineNotFoundException", f"Account '{ACCOUNT}' does not have a pipeline with name '{name}'"
            )
        return pipeline

    def get_by_arn(self, resource_arn: str) -> tuple[str, Pipeline]:
        """(region, pipeline). Raises InvalidArnException and ResourceNotFoundException."""
        parts = resource_arn.split(":")
        if len(parts) != 6 or parts[2] != "codepipeline" or "/" in parts[5]:
            raise AwsError("InvalidArnException", f"{resource_arn} is not the ARN of a pipeline")
        pipeline = self.find(parts[3], parts[5])
        if pipeline is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"The account with id '{ACCOUNT}' does not include a pipeline with the name '{parts[5]}'",
            )
        return parts[3], pipeline

    def in_region(self, region: str) -> list[Pipeline]:
        """By name."""
        return self._pipelines.list(region)

    def create(
        self, tx: Transaction, region: str, declaration: dict[str, Any], tags: dict[str, str], now: float
    ) -> Pipeline:
        declaration = {**declaration, "version": 1}
        pipeline = {"uid": new_uuid(), "declaration": declaration, "created": now, "updated": now, "tags": tags}
        self._keep(tx, region, pipeline)
        return pipeline

    def update(
        self, tx: Transaction, region: str, pipeline: Pipeline, declaration: dict[str, Any], now: float
    ) -> Pipeline:
        """A further version."""
        declaration = {**declaration, "version": pipeline["declaration"]["version"] + 1}
        pipeline = {**pipeline, "declaration": declaration, "updated": now}
        self._keep(tx, region, pipeline)
        return pipeline

    def put_tags(self, tx: Transaction, region: str, pipeline: Pipeline, tags: dict[str, str]) -> None:
        self._pipelines.put(tx, region, pipeline["declaration"]["name"], {**pipeline, "tags": tags})

    def delete(self, tx: Transaction, region: str, name: str) -> None:
        self._pipelines.delete(tx, region, name)

    def find_version(self, region: str, pipeline: Pipeline, version: int) -> dict[str, Any] | None:
        return self._versions.find(region, f"{pipeline['uid']}/{version}")

    def _keep(self, tx: Transaction, region: str, pipeline: Pipeline) -> None:
        declaration = pipeline["declaration"]
        self._pipelines.put(tx, region, declaration["name"], pipeline)
        self._versions.put(tx, region, f"{pipeline['uid']}/{declaration['version']}", declaration)

    def transition(self, region: str, uid: str, stage: str) -> dict[str, Any]:
        """AWS's TransitionState of the way into a stage."""
        return self._transitions.find(region, f"{uid}/{stage}") or {"enabled": True}

    def put_transition(self, tx: Transaction, region: str, uid: str, stage: str, state: dict[str, Any]) -> None:
        self._transitions.put(tx, region, f"{uid}/{stage}", state)


def pipeline_arn(region: str, name: str) -> str:
    return arn("codepipeline", region, name)


def stage_names(pipeline: Pipeline) -> list[str]:
    return [stage["name"] for stage in pipeline["declaration"]["stages"]]


def index_of_stage(pipeline: Pipeline, stage: str) -> int:
    """Raises StageNotFoundException."""
    names = stage_names(pipeline)
    if stage not in names:
        name = pipeline["declaration"]["name"]
        raise AwsError(
            "StageNotFoundException", f"Pipeline '{name}' does not have a stage with name '{stage}': {', '.join(names)}"
        )
    return names.index(stage)

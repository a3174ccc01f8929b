"""The operations on definitions: create, read, update, delete, list, and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codepipeline.actions.job import Action
from turnout.codepipeline.pages import page
from turnout.codepipeline.pipelines import Pipeline, Pipelines, pipeline_arn
from turnout.codepipeline.plan import ExecutionPlan
from turnout.codepipeline.poll import PollPlan
from turnout.codepipeline.starting import Starting
from turnout.codepipeline.statuses import CANCELLED
from turnout.codepipeline.structure import check
from turnout.errors import AwsError
from turnout.names import ACCOUNT
from turnout.runs import Runs
from turnout.store import Store, Transaction

MOST_TAGS = 50


class Definitions:
    store: Store
    runs: Runs
    clock: Clock
    actions: Mapping[tuple[str, str], Action]
    pipelines: Pipelines
    starting: Starting
    polling: PollPlan

    def create_pipeline(self, call: Call) -> Answer:
        declaration, region = call["pipeline"], call.region
        check(declaration, region, self.actions)
        tags = _tags(call.get("tags", []))
        if self.pipelines.find(region, declaration["name"]) is not None:
            raise AwsError(
                "PipelineNameInUseException",
                f"A pipeline with the name '{declaration['name']}' already exists in account '{ACCOUNT}'",
            )
        with self.store.transaction() as tx:
            pipeline = self.pipelines.create(tx, region, _complete(declaration), tags, self.clock.now())
            self.starting.start(tx, region, pipeline, ("CreatePipeline", call.principal))
            self.polling.ensure_watched(tx, region, pipeline)
        return {"pipeline": pipeline["declaration"], "tags": _wire_tags(pipeline) or None}

    def get_pipeline(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["name"])
        declaration = pipeline["declaration"]
        if (version := call.get("version")) is not None:
            found = self.pipelines.find_version(call.region, pipeline, version)
            if found is None:
                raise AwsError(
                    "PipelineVersionNotFoundException", f"Pipeline '{call['name']}' does not have a version {version}"
                )
            declaration = found
        metadata = {
            "pipelineArn": pipeline_arn(call.region, call["name"]),
            "created": pipeline["created"],
            "updated": pipeline["updated"],
        }
        return {"pipeline": declaration, "metadata": metadata}

    def update_pipeline(self, call: Call) -> Answer:
        """Executions in progress are Cancelled if the structure changed: what AWS calls "definition updated"."""
        declaration, region = call["pipeline"], call.region
        was = self.pipelines.get(region, declaration["name"])
        check(declaration, region, self.actions)
        declaration = _complete(declaration)
        with self.store.transaction() as tx:
            pipeline = self.pipelines.update(tx, region, was, declaration, self.clock.now())
            if _structure(was["declaration"]) != _structure(declaration):
                self._cancel_executions(tx, region, was, "The definition of the pipeline was updated.")
            self.polling.ensure_watched(tx, region, pipeline)
        return {"pipeline": pipeline["declaration"]}

    def delete_pipeline(self, call: Call) -> Answer:
        """Nothing if there is none, as on AWS. Builds and deployments that its actions began go on."""
        pipeline = self.pipelines.find(call.region, call["name"])
        if pipeline is not None:
            with self.store.transaction() as tx:
                self._cancel_executions(tx, call.region, pipeline, "The pipeline was deleted.")
                self.pipelines.delete(tx, call.region, call["name"])
                self.polling.end_watch(tx, call.region, pipeline)
        return {}

    def list_pipelines(self, call: Call) -> Answer:
        pipelines, token = page(
            self.pipelines.in_region(call.region),
            lambda pipeline: pipeline["declaration"]["name"],
            call.get("nextToken"),
            call.get("maxResults", 1000),
        )
        return {"pipelines": [_summary(pipeline) for pipeline in pipelines], "nextToken": token}

    def list_action_types(self, call: Call) -> Answer:
        """The action types that there are: those that turnout runs."""
        if call.get("actionOwnerFilter", "AWS") != "AWS":
            return {"actionTypes": []}
        return {"actionTypes": [_action_type(category, action) for (category, _), action in self.actions.items()]}

    def tag_resource(self, call: Call) -> Answer:
        region, pipeline = self.pipelines.get_by_arn(call["resourceArn"])
        self._put_tags(region, pipeline, {**pipeline["tags"], **_tags(call["tags"])})
        return {}

    def untag_resource(self, call: Call) -> Answer:
        region, pipeline = self.pipelines.get_by_arn(call["resourceArn"])
        self._put_tags(region, pipeline, {k: v for k, v in pipeline["tags"].items() if k not in call["tagKeys"]})
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        _, pipeline = self.pipelines.get_by_arn(call["resourceArn"])
        tags, token = page(
            _wire_tags(pipeline), lambda tag: tag["key"], call.get("nextToken"), call.get("maxResults", 100)
        )
        return {"tags": list(tags), "nextToken": token}

    def _put_tags(self, region: str, pipeline: Pipeline, tags: dict[str, str]) -> None:
        if len(tags) > MOST_TAGS:
            arn = pipeline_arn(region, pipeline["declaration"]["name"])
            raise AwsError("TooManyTagsException", f"Tag limit exceeded for resource [{arn}].")
        with self.store.transaction() as tx:
            self.pipelines.put_tags(tx, region, pipeline, tags)

    def _cancel_executions(self, tx: Transaction, region: str, pipeline: Pipeline, message: str) -> None:
        name = pipeline["declaration"]["name"]
        for run in self.runs.of_lane(ExecutionPlan.kind, region, name, is_open=True):
            if run.spec["uid"] == pipeline["uid"]:
                self.runs.remember(tx, run.id, abandon=True)
                self.runs.request_stop(tx, run.id, code=CANCELLED, message=message)


def _complete(declaration: dict[str, Any]) -> dict[str, Any]:
    """With the members that AWS always answers."""
    stages = [
        {
            **stage,
            "actions": [
                {
                    **action,
                    "runOrder": action.get("runOrder", 1),
                    "configuration": action.get("configuration", {}),
                    "inputArtifacts": action.get("inputArtifacts", []),
                    "outputArtifacts": action.get("outputArtifacts", []),
                }
                for action in stage["actions"]
            ],
        }
        for stage in declaration["stages"]
    ]
    return {
        **declaration,
        "stages": stages,
        "pipelineType": declaration.get("pipelineType", "V1"),
        "executionMode": declaration.get("executionMode", "SUPERSEDED"),
    }


def _structure(declaration: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in declaration.items() if member != "version"}


def _summary(pipeline: Pipeline) -> dict[str, Any]:
    members = ("name", "version", "pipelineType", "executionMode")
    return {
        **{member: pipeline["declaration"][member] for member in members},
        "created": pipeline["created"],
        "updated": pipeline["updated"],
    }


def _action_type(category: str, action: Action) -> dict[str, Any]:
    provider = action.provider
    required, optional = ((provider.required, True), (provider.optional, False))
    return {
        "id": {"category": category, "owner": "AWS", "provider": provider.name, "version": "1"},
        "actionConfigurationProperties": [
            {"name": name, "required": is_required, "key": is_required, "secret": False}
            for names, is_required in (required, optional)
            for name in names
        ],
        "inputArtifactDetails": {"minimumCount": provider.inputs[0], "maximumCount": provider.inputs[1]},
        "outputArtifactDetails": {"minimumCount": provider.outputs[0], "maximumCount": provider.outputs[1]},
    }


def _tags(wire: list[dict[str, str]]) -> dict[str, str]:
    for tag in wire:
        if tag["key"].lower().startswith("aws:"):
            raise AwsError("InvalidTagsException", "Not allowed to modify system tags. System tags start with 'aws:'.")
    return {tag["key"]: tag["value"] for tag in wire}


def _wire_tags(pipeline: Pipeline) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(pipeline["tags"].items())]

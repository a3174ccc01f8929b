"""GetPipelineState: what is where, now."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.codepipeline.book import Book
from turnout.codepipeline.describe import describe_action
from turnout.codepipeline.pipelines import Pipeline, Pipelines
from turnout.codepipeline.plan import ExecutionPlan, gate_name
from turnout.codepipeline.statuses import stage_status
from turnout.runs import Runs


class State:
    runs: Runs
    book: Book
    pipelines: Pipelines
    plan: ExecutionPlan

    def get_pipeline_state(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["name"])
        declaration = pipeline["declaration"]
        return {
            "pipelineName": declaration["name"],
            "pipelineVersion": declaration["version"],
            "stageStates": [self._stage(call.region, pipeline, stage) for stage in declaration["stages"]],
            "created": pipeline["created"],
            "updated": pipeline["updated"],
        }

    def _stage(self, region: str, pipeline: Pipeline, stage: dict[str, Any]) -> dict[str, Any]:
        uid, name = pipeline["uid"], stage["name"]
        state: dict[str, Any] = {
            "stageName": name,
            "inboundTransitionState": self.pipelines.transition(region, uid, name),
            "actionStates": [self._action(uid, name, action) for action in stage["actions"]],
        }
        inbound = [
            {"pipelineExecutionId": execution_id, "status": "InProgress", "type": "STANDARD"}
            for _, execution_id, _ in self.book.in_front_of(uid, gate_name(name))
        ]
        if inbound:
            state |= {"inboundExecution": inbound[0], "inboundExecutions": inbound}
        if (stay := self.book.latest_stay(uid, name)) is not None:
            run = self.runs.get(stay.run_id)
            state["latestExecution"] = {
                "pipelineExecutionId": stay.execution_id,
                "status": stage_status(run, self.plan.steps_in(run, name)),
                "type": "STANDARD",
            }
        return state

    def _action(self, uid: str, stage: str, action: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = {"actionName": action["name"]}
        row = self.book.latest_action(uid, stage, action["name"])
        if row is None:
            return state
        if (revision := row.facts.get("revision")) is not None:
            state["currentRevision"] = {
                "revisionId": revision["id"],
                "revisionChangeId": revision["id"][:100],
                "created": revision.get("created"),
            }
            state["revisionUrl"] = revision.get("url")
            state["entityUrl"] = revision.get("entity")
        state["latestExecution"] = describe_action(row, self.runs.step(row.step_id))
        return state

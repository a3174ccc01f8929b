"""The operations that read executions and their actions."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.codepipeline.book import Book
from turnout.codepipeline.describe import (
    describe_action_detail,
    describe_artifact_revision,
    describe_source_revision,
    describe_trigger,
)
from turnout.codepipeline.pages import page, wrong_token
from turnout.codepipeline.pipelines import Pipeline, Pipelines, index_of_stage
from turnout.codepipeline.plan import ExecutionPlan
from turnout.codepipeline.records import Action, Execution
from turnout.codepipeline.statuses import execution_status, stage_status
from turnout.errors import AwsError
from turnout.runs import Run, Runs, Step


class History:
    runs: Runs
    book: Book
    pipelines: Pipelines
    plan: ExecutionPlan

    def get_pipeline_execution(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        execution = self._get_execution(pipeline, call["pipelineExecutionId"])
        run = self.runs.get(execution.run_id)
        declared = {item["name"] for item in pipeline["declaration"].get("variables", [])}
        return {
            "pipelineExecution": {
                "pipelineName": call["pipelineName"],
                "pipelineVersion": execution.version,
                "pipelineExecutionId": execution.id,
                "status": execution_status(run),
                "statusSummary": run.message,
                "artifactRevisions": [describe_artifact_revision(action) for action in self._sources(execution)],
                "variables": [
                    {"name": name, "resolvedValue": value}
                    for name, value in execution.variables.items()
                    if name in declared
                ]
                or None,
                "trigger": describe_trigger(execution),
                "executionMode": "SUPERSEDED",
                "executionType": "STANDARD",
            }
        }

    def list_pipeline_executions(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        token, limit = call.get("nextToken"), call.get("maxResults", 100)
        stage = call.get("filter", {}).get("succeededInStage", {}).get("stageName")
        if stage is None:
            before = None if token is None else self._executions_token(pipeline, token)
            executions, token = self.book.executions(pipeline["uid"], before, limit + 1), None
        else:
            executions = self._succeeded_in(pipeline, stage)
        given, following = page(executions, lambda execution: execution.id, token, limit)
        return {"pipelineExecutionSummaries": [self._summary(each) for each in given], "nextToken": following}

    def list_action_executions(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        token, limit = call.get("nextToken"), call.get("maxResults", 100)
        wanted = call.get("filter", {})
        latest = wanted.get("latestInPipelineExecution", {})
        execution_id = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId")
        if execution_id is None:
            before = None if token is None else self._actions_token(pipeline, token)
            found, token = self.book.actions_of(pipeline["uid"], before, limit + 1), None
        else:
            execution = self._get_execution(pipeline, execution_id)
            found = self.book.actions_in(execution_id)[::-1]
            if latest:
                newest = {(row.stage, row.name): row.id for row, _ in reversed(found)}
                is_last_run = latest["startTimeRange"] == "Latest"
                found = [
                    (row, step)
                    for row, step in found
                    if newest[row.stage, row.name] == row.id and (not is_last_run or row.run_id == execution.run_id)
                ]
        given, following = page(found, lambda each: each[0].id, token, limit)
        return {"actionExecutionDetails": [self._detail(row, step) for row, step in given], "nextToken": following}

    def _executions_token(self, pipeline: Pipeline, token: str) -> int:
        """Where the list of executions goes on: it is never read as a whole."""
        execution = self.book.find_execution(pipeline["uid"], token)
        if execution is None:
            raise wrong_token(token)
        return execution.number

    def _actions_token(self, pipeline: Pipeline, token: str) -> int:
        action = self.book.find_action_by_id(pipeline["uid"], token)
        if action is None:
            raise wrong_token(token)
        return action.step_id

    def _succeeded_in(self, pipeline: Pipeline, stage: str) -> list[Execution]:
        index_of_stage(pipeline, stage)
        stays = self.book.stays_in(pipeline["uid"], stage)
        succeeded = {stay.execution_id for stay in stays if self._has_succeeded(stay.run_id, stage)}
        return [each for each in self.book.executions(pipeline["uid"], None, -1) if each.id in succeeded]

    def _get_execution(self, pipeline: Pipeline, execution_id: str) -> Execution:
        """Raises PipelineExecutionNotFoundException."""
        execution = self.book.find_execution(pipeline["uid"], execution_id)
        if execution is None:
            name = pipeline["declaration"]["name"]
            raise AwsError(
                "PipelineExecutionNotFoundException",
                f"Pipeline '{name}' does not have an execution with id '{execution_id}'",
            )
        return execution

    def _has_succeeded(self, run_id: int, stage: str) -> bool:
        run = self.runs.get(run_id)
        return stage_status(run, self.plan.steps_in(run, stage)) == "Succeeded"

    def _sources(self, execution: Execution) -> list[Action]:
        """The newest execution of each source action that has found its revision."""
        rows = [row for row, _ in self.book.actions_in(execution.id) if row.facts.get("revision")]
        return list({row.name: row for row in rows}.values())

    def _summary(self, execution: Execution) -> dict[str, Any]:
        first, run = self.runs.get(execution.first_run_id), self.runs.get(execution.run_id)
        reason = (run.stop or {}).get("reason")
        return {
            "pipelineExecutionId": execution.id,
            "status": execution_status(run),
            "statusSummary": run.message,
            "startTime": first.created_at,
            "lastUpdateTime": self._changed_at(run),
            "sourceRevisions": [describe_source_revision(row) for row in self._sources(execution)],
            "trigger": describe_trigger(execution),
            "stopTrigger": {"reason": reason} if reason else None,
            "executionMode": "SUPERSEDED",
            "executionType": "STANDARD",
        }

    def _changed_at(self, run: Run) -> float:
        if run.ended_at is not None:
            return run.ended_at
        times = [at for step in self.runs.steps(run.id) for at in (step.started_at, step.ended_at) if at is not None]
        return max(times, default=run.created_at)

    def _detail(self, row: Action, step: Step) -> dict[str, Any]:
        return describe_action_detail(row, step, self.runs.get(row.run_id).spec["pipeline"]["version"])

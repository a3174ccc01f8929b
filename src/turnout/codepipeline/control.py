"""The operations by which people steer: retry a stage, answer an approval, hold and release a transition."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codepipeline.book import Book
from turnout.codepipeline.pipelines import Pipeline, Pipelines, index_of_stage, stage_names
from turnout.codepipeline.plan import ExecutionPlan, stage_topic
from turnout.codepipeline.starting import Starting
from turnout.codepipeline.statuses import stage_status
from turnout.errors import AwsError
from turnout.runs import Runs, Status
from turnout.store import Store

RETRYABLE = ("Failed", "Stopped")


class Control:
    store: Store
    runs: Runs
    clock: Clock
    book: Book
    pipelines: Pipelines
    starting: Starting
    plan: ExecutionPlan

    def retry_stage_execution(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        stage, execution_id = call["stageName"], call["pipelineExecutionId"]
        index = index_of_stage(pipeline, stage)
        execution = self.book.find_execution(pipeline["uid"], execution_id)
        stay = self.book.latest_stay(pipeline["uid"], stage)
        if execution is None or stay is None or stay.execution_id != execution_id:
            newer = "no execution" if stay is None else f"execution {stay.execution_id}"
            raise AwsError(
                "NotLatestPipelineExecutionException",
                f"Execution {execution_id} is not the latest in stage {stage}: that is {newer}",
            )
        run = self.runs.get(execution.run_id)
        steps = self.plan.steps_in(run, stage)
        status = stage_status(run, steps) if stay.run_id == run.id else "Succeeded"
        if not run.status.is_over or status not in RETRYABLE:
            raise _not_retryable(f"stage {stage} of execution {execution_id} is {status}")
        declared = run.spec["pipeline"]["stages"]
        if pipeline["declaration"]["stages"] != declared:
            raise _not_retryable("the structure of the pipeline has changed since")
        is_all = call["retryMode"] == "ALL_ACTIONS"
        failed = {step.spec["action"]["name"] for step in steps if step.status is not Status.SUCCEEDED}
        again = [action for action in declared[index]["actions"] if is_all or action["name"] in failed]
        with self.store.transaction() as tx:
            self.starting.resume(tx, execution, run, index, again)
        return {"pipelineExecutionId": execution_id}

    def put_approval_result(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        index = index_of_stage(pipeline, call["stageName"])
        names = {action["name"] for action in pipeline["declaration"]["stages"][index]["actions"]}
        if call["actionName"] not in names:
            raise AwsError(
                "ActionNotFoundException", f"Stage '{call['stageName']}' does not have an action '{call['actionName']}'"
            )
        row = self.book.latest_action(pipeline["uid"], call["stageName"], call["actionName"])
        if row is None or row.facts.get("token") != call["token"]:
            raise AwsError("InvalidApprovalTokenException", "The token is not that of the approval that is waiting")
        now = self.clock.now()
        with self.store.transaction() as tx:
            step = self.runs.step(row.step_id)
            if step.status.is_over or step.answer is not None:
                raise AwsError("ApprovalAlreadyCompletedException", "The approval has already been completed")
            self.runs.signal(tx, step.id, {**call["result"], "by": call.principal})
        return {"approvedAt": now}

    def disable_stage_transition(self, call: Call) -> Answer:
        state = {"enabled": False, "disabledReason": call["reason"]}
        return self._put_transition(call, state)

    def enable_stage_transition(self, call: Call) -> Answer:
        return self._put_transition(call, {"enabled": True})

    def _put_transition(self, call: Call, state: dict[str, Any]) -> Answer:
        """The way out of a stage is the way into the next one."""
        name = call["pipelineName"]
        pipeline = self.pipelines.get(call.region, name)
        stage = _entered(pipeline, call["stageName"], call["transitionType"])
        who = {"lastChangedBy": call.principal, "lastChangedAt": self.clock.now()}
        with self.store.transaction() as tx:
            self.pipelines.put_transition(tx, call.region, pipeline["uid"], stage, {**state, **who})
            self.runs.wake(tx, stage_topic(call.region, name, stage))
        return {}


def _entered(pipeline: Pipeline, stage: str, transition: str) -> str:
    index = index_of_stage(pipeline, stage)
    if transition == "Inbound":
        return stage
    names = stage_names(pipeline)
    if index + 1 == len(names):
        raise AwsError("ValidationException", f"Stage {stage} is the last one: it has no outbound transition")
    return names[index + 1]


def _not_retryable(why: str) -> AwsError:
    return AwsError("StageNotRetryableException", f"Unable to retry: {why}")

"""What begins and ends executions: StartPipelineExecution, StopPipelineExecution, and a push."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Aws, Call, Event
from turnout.clock import Clock
from turnout.codepipeline import events
from turnout.codepipeline.actions.ecr_source import watches_image
from turnout.codepipeline.book import Book
from turnout.codepipeline.pipelines import Pipeline, Pipelines
from turnout.codepipeline.poll import polls
from turnout.codepipeline.starting import Starting
from turnout.codepipeline.statuses import STOPPED, execution_status, why_stopped
from turnout.errors import AwsError
from turnout.names import arn
from turnout.runs import Runs
from turnout.store import Store, Transaction

REVISION_TYPES = {"CodeCommit": "COMMIT_ID", "S3": "S3_OBJECT_VERSION_ID", "ECR": "IMAGE_DIGEST"}
"""What a source of a provider can be told to take."""


class Executions:
    store: Store
    runs: Runs
    clock: Clock
    book: Book
    pipelines: Pipelines
    starting: Starting
    aws: Aws

    def heard(self, tx: Transaction, event: Event) -> None:
        """A push starts every pipeline that watches the branch, or the tag, in the transaction that announces it."""
        detail = event.detail
        if event.detail_type == "ECR Image Action":
            self._heard_of_image(tx, event)
        if event.detail_type != "CodeCommit Repository State Change" or detail.get("referenceType") != "branch":
            return
        if detail.get("event") == "referenceDeleted":
            return
        for pipeline in self.pipelines.in_region(event.region):
            if watches(pipeline["declaration"], detail["repositoryName"], detail["referenceName"]):
                source = event.resources[0] if event.resources else None
                self.starting.start(tx, event.region, pipeline, ("PollForSourceChanges", source))

    def _heard_of_image(self, tx: Transaction, event: Event) -> None:
        """As the rule does that AWS's console makes beside a pipeline with an ECR source."""
        detail = event.detail
        if (detail["action-type"], detail["result"]) != ("PUSH", "SUCCESS"):
            return
        repository, tag = detail["repository-name"], detail.get("image-tag")
        for pipeline in self.pipelines.in_region(event.region):
            actions = pipeline["declaration"]["stages"][0]["actions"]
            if any(watches_image(action, repository, tag) for action in actions):
                source = arn("ecr", event.region, f"repository/{repository}")
                self.starting.start(tx, event.region, pipeline, ("CloudWatchEvent", source))

    def start_pipeline_execution(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["name"])
        token = call.get("clientRequestToken")
        if token is not None and (earlier := self.book.find_by_token(pipeline["uid"], token)) is not None:
            return {"pipelineExecutionId": earlier.id}
        variables = _variables(pipeline, call.get("variables", []))
        revisions = _revisions(pipeline, call.get("sourceRevisions", []))
        trigger = ("StartPipelineExecution", call.principal)
        with self.store.transaction() as tx:
            execution_id = self.starting.start(
                tx, call.region, pipeline, trigger, token=token, variables=variables, revisions=revisions
            )
        return {"pipelineExecutionId": execution_id}

    def stop_pipeline_execution(self, call: Call) -> Answer:
        pipeline = self.pipelines.get(call.region, call["pipelineName"])
        execution = self.book.find_execution(pipeline["uid"], call["pipelineExecutionId"])
        is_abandoned = call.get("abandon", False)
        with self.store.transaction() as tx:
            run = None if execution is None else self.runs.get(execution.run_id)
            if run is None or run.status.is_over or (run.stop is not None and why_stopped(run) != STOPPED):
                raise AwsError(
                    "PipelineExecutionNotStoppableException",
                    f"Unable to stop execution {call['pipelineExecutionId']}: it is "
                    + ("not known" if run is None else execution_status(run)),
                )
            if run.stop is not None and (run.facts.get("abandon") or not is_abandoned):
                raise AwsError(
                    "DuplicatedStopRequestException",
                    f"Execution {run.spec['execution']} is already Stopping"
                    + ("" if run.facts.get("abandon") else "; it can still be stopped with abandon"),
                )
            if is_abandoned:
                self.runs.remember(tx, run.id, abandon=True)
            reason = call.get("reason") or ""
            self.aws.announce(tx, events.pipeline_event(run, "STOPPING", self.clock.now()))
            self.runs.request_stop(tx, run.id, code=STOPPED, message=reason or "Stopped by request.", reason=reason)
        return {"pipelineExecutionId": call["pipelineExecutionId"]}


def watches(declaration: dict[str, Any], repository: str, branch: str) -> bool:
    """Whether a push to the branch starts the pipeline: PollForSourceChanges is true if it is left out."""
    for action in declaration["stages"][0]["actions"]:
        configuration = action.get("configuration", {})
        wanted = (configuration.get("RepositoryName"), configuration.get("BranchName"))
        is_source = action["actionTypeId"]["provider"] == "CodeCommit" and wanted == (repository, branch)
        if is_source and polls(configuration):
            return True
    return False


def _variables(pipeline: Pipeline, given: list[dict[str, str]]) -> dict[str, str]:
    """Those given, which the pipeline must declare, and have a value for all. Raises ValidationException."""
    declared = {item["name"]: item.get("defaultValue") for item in pipeline["declaration"].get("variables", [])}
    values = {item["name"]: item["value"] for item in given}
    name = pipeline["declaration"]["name"]
    if unknown := sorted(values.keys() - declared.keys()):
        raise AwsError("ValidationException", f"Pipeline '{name}' does not declare the variable {', '.join(unknown)}")
    if missing := sorted(key for key, default in declared.items() if default is None and key not in values):
        raise AwsError("ValidationException", f"The variable {', '.join(missing)} of pipeline '{name}' needs a value")
    return values


def _revisions(pipeline: Pipeline, given: list[dict[str, str]]) -> dict[str, str]:
    """action name → revision. Raises ValidationException."""
    providers = {
        action["name"]: action["actionTypeId"]["provider"] for action in pipeline["declaration"]["stages"][0]["actions"]
    }
    for item in given:
        provider = providers.get(item["actionName"])
        if provider is None:
            raise AwsError("ValidationException", f"There is no source action '{item['actionName']}'")
        if item["revisionType"] != REVISION_TYPES.get(provider):
            raise AwsError(
                "ValidationException",
                f"A {provider} source takes {REVISION_TYPES[provider]}; {item['revisionType']} is not implemented",
            )
    return {item["actionName"]: item["revisionValue"] for item in given}

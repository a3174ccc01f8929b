"""Executions and actions in AWS's shapes. Pure."""

from __future__ import annotations

from typing import Any

from turnout.codepipeline.records import Action, Execution
from turnout.codepipeline.statuses import ACTION
from turnout.runs import Status, Step


def describe_action(row: Action, step: Step) -> dict[str, Any]:
    """AWS's ActionExecution, as in GetPipelineState."""
    facts = row.facts
    status = ACTION[step.status]
    failed = step.status is Status.FAILED
    changed_at = step.ended_at if step.ended_at is not None else max(row.changed_at, step.started_at or 0)
    return {
        "actionExecutionId": row.id,
        "status": status,
        "summary": step.message or facts.get("summary"),
        "lastStatusChange": changed_at,
        "token": facts.get("token") if status == "InProgress" else None,
        "lastUpdatedBy": facts.get("lastUpdatedBy"),
        "externalExecutionId": facts.get("externalExecutionId"),
        "externalExecutionUrl": facts.get("externalExecutionUrl"),
        "percentComplete": facts.get("percentComplete"),
        "errorDetails": {"code": step.code, "message": step.message} if failed else None,
        "logStreamARN": facts.get("logStreamARN"),
    }


def describe_action_detail(row: Action, step: Step, version: int) -> dict[str, Any]:
    """AWS's ActionExecutionDetail, as in ListActionExecutions."""
    state = describe_action(row, step)
    return {
        "pipelineExecutionId": row.execution_id,
        "actionExecutionId": row.id,
        "pipelineVersion": version,
        "stageName": row.stage,
        "actionName": row.name,
        "startTime": step.started_at,
        "lastUpdateTime": state["lastStatusChange"],
        "updatedBy": state["lastUpdatedBy"],
        "status": state["status"],
        "input": row.input,
        "output": {
            "outputArtifacts": row.outputs if step.status is Status.SUCCEEDED else [],
            "executionResult": {
                "externalExecutionId": state["externalExecutionId"],
                "externalExecutionSummary": state["summary"],
                "externalExecutionUrl": state["externalExecutionUrl"],
                "errorDetails": state["errorDetails"],
                "logStreamARN": state["logStreamARN"],
            },
            "outputVariables": row.facts.get("variables") or {},
        },
    }


def describe_trigger(execution: Execution) -> dict[str, Any]:
    return {"triggerType": execution.trigger_type, "triggerDetail": execution.trigger_detail}


def describe_source_revision(row: Action) -> dict[str, Any]:
    """AWS's SourceRevision, as in ListPipelineExecutions."""
    revision = row.facts["revision"]
    return {
        "actionName": row.name,
        "revisionId": revision["id"],
        "revisionSummary": revision.get("summary"),
        "revisionUrl": revision.get("url"),
    }


def describe_artifact_revision(row: Action) -> dict[str, Any]:
    """AWS's ArtifactRevision, as in GetPipelineExecution."""
    revision = row.facts["revision"]
    return {
        "name": row.outputs[0]["name"],
        "revisionId": revision["id"],
        "revisionChangeIdentifier": revision["id"][:100],
        "revisionSummary": revision.get("summary"),
        "created": revision.get("created"),
        "revisionUrl": revision.get("url"),
    }

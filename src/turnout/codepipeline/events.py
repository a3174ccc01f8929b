"""What happened, as EventBridge tells it: executions of pipelines, stages and actions that changed their state."""

from __future__ import annotations

from typing import Any

from turnout.aws import Event
from turnout.clock import iso8601
from turnout.codepipeline.records import Action
from turnout.names import arn
from turnout.runs import Run, Step

SOURCE = "aws.codepipeline"


def pipeline_event(run: Run, state: str, at: float) -> Event:
    trigger_type, trigger_detail = run.spec["trigger"]
    trigger = {"trigger-type": trigger_type, "trigger-detail": trigger_detail}
    return _event("Pipeline", run, state, at, {"execution-trigger": trigger})


def stage_event(run: Run, stage: str, state: str, at: float) -> Event:
    return _event("Stage", run, state, at, {"stage": stage})


def action_event(run: Run, step: Step, action: Action, state: str, at: float) -> Event:
    kind = action.input["actionTypeId"]
    detail: dict[str, Any] = {
        "stage": action.stage,
        "action": action.name,
        "action-execution-id": action.id,
        "region": run.region,
        "type": {member: kind[member] for member in ("owner", "provider", "category", "version")},
        "input-artifacts": [_artifact(artifact) for artifact in action.input["inputArtifacts"]],
        "output-artifacts": [_artifact(artifact) for artifact in action.outputs],
    }
    if state != "STARTED":
        result = {
            "external-execution-id": action.facts.get("externalExecutionId"),
            "external-execution-url": action.facts.get("externalExecutionUrl"),
            "external-execution-summary": step.message or action.facts.get("summary"),
            "error-code": step.code if state == "FAILED" else None,
        }
        detail["execution-result"] = {name: value for name, value in result.items() if value is not None}
    return _event("Action", run, state, at, detail)


def _artifact(wire: dict[str, Any]) -> dict[str, Any]:
    return {"name": wire["name"], "s3location": wire["s3location"]}


def _event(what: str, run: Run, state: str, at: float, more: dict[str, Any]) -> Event:
    spec = run.spec
    detail = {
        "pipeline": spec["pipeline"]["name"],
        "execution-id": spec["execution"],
        "start-time": iso8601(run.started_at or run.created_at),
        "version": float(spec["pipeline"]["version"]),
        "state": state,
        **more,
    }
    resources = (arn("codepipeline", run.region, spec["pipeline"]["name"]),)
    return Event(SOURCE, f"CodePipeline {what} Execution State Change", run.region, resources, detail, at)

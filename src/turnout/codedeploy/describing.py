"""A deployment in AWS's shapes, from its run and its steps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.codedeploy.hooks.words import diagnostics_of
from turnout.codedeploy.lifecycle import DEPLOYMENT_STATUS, EVENT_STATUS, LIFECYCLE_EVENTS, READY_WAIT, TERMINATION_WAIT
from turnout.runs import Run, Status, Step

Document = dict[str, Any]


def status_of(run: Run, steps: Sequence[Step]) -> str:
    """AWS's DeploymentStatus. Baking and Queued are never used (docs/choices.md)."""
    if any(step.name == READY_WAIT and step.status is Status.IN_PROGRESS for step in steps):
        return "Ready"
    return DEPLOYMENT_STATUS[run.status]


def target_status_of(run: Run, steps: Sequence[Step]) -> str:
    """The TargetStatus of the one target, which is the service. It has no Stopped."""
    status = status_of(run, steps)
    return {"Created": "Pending", "Stopped": "Failed"}.get(status, status)


def error_of(run: Run) -> Document | None:
    """errorInformation; also of a deployment that was stopped between two steps."""
    if run.status not in (Status.FAILED, Status.STOPPED):
        return None
    if run.code is None and run.stop is not None:
        return {"code": run.stop["code"], "message": run.stop["message"]}
    return {"code": run.code or "INTERNAL_ERROR", "message": run.message or ""}


def rollback_info(run: Run) -> Document | None:
    if (triggering := run.spec["rolls_back"]) is not None:
        message = f"Deployment {run.name} is triggered to roll back deployment {triggering}."
        return {"rollbackTriggeringDeploymentId": triggering, "rollbackMessage": message}
    if (rollback := run.facts.get("rolled_back_by")) is not None:
        message = f"Deployment {run.name} terminated. Automatic rollback is triggered with a DeploymentId {rollback}."
        return {"rollbackDeploymentId": rollback, "rollbackMessage": message}
    return None


def describe_deployment(run: Run, steps: Sequence[Step]) -> Document:
    """AWS's DeploymentInfo. deploymentOverview counts targets, and is absent while the deployment runs."""
    spec = run.spec
    waits = next((step for step in steps if step.name == TERMINATION_WAIT), None)
    described = {
        "applicationName": spec["application"],
        "deploymentGroupName": spec["deployment_group"],
        "deploymentConfigName": spec["config_name"],
        "deploymentId": run.name,
        "previousRevision": spec["previous_revision"],
        "revision": spec["revision"],
        "status": status_of(run, steps),
        "errorInformation": error_of(run),
        "createTime": run.created_at,
        "startTime": run.started_at,
        "completeTime": run.ended_at,
        "deploymentOverview": _overview(run, steps),
        "description": spec["description"],
        "creator": spec["creator"],
        "ignoreApplicationStopFailures": False,
        "autoRollbackConfiguration": spec["auto_rollback_configuration"],
        "updateOutdatedInstancesOnly": False,
        "rollbackInfo": rollback_info(run),
        "deploymentStyle": spec["deployment_style"],
        "instanceTerminationWaitTimeStarted": waits is not None and waits.started_at is not None,
        "blueGreenDeploymentConfiguration": spec["blue_green"],
        "loadBalancerInfo": spec["load_balancer_info"],
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
    }
    return {name: value for name, value in described.items() if value is not None}


def describe_target(run: Run, steps: Sequence[Step], task_sets: list[Document]) -> Document:
    """AWS's DeploymentTarget: lifecycle events live only here."""
    touched = [at for step in steps for at in (step.started_at, step.ended_at) if at is not None]
    target = {
        "deploymentId": run.name,
        "targetId": target_id_of(run),
        "targetArn": run.facts.get("service_arn"),
        "lastUpdatedAt": max(touched, default=run.created_at),
        "lifecycleEvents": [_event(run, step) for step in steps if step.name in LIFECYCLE_EVENTS],
        "status": target_status_of(run, steps),
        "taskSetsInfo": task_sets,
    }
    ecs_target = {name: value for name, value in target.items() if value is not None}
    return {"deploymentTargetType": "ECSTarget", "ecsTarget": ecs_target}


def target_id_of(run: Run) -> str:
    return f"{run.spec['cluster']}:{run.spec['service']}"


def _event(run: Run, step: Step) -> Document:
    event: Document = {
        "lifecycleEventName": step.name,
        "startTime": step.started_at,
        "endTime": step.ended_at,
        "status": EVENT_STATUS[step.status],
    }
    hook = run.facts.get("hooks", {}).get(step.name)
    if hook is not None and hook["endedAt"] is not None:
        event["diagnostics"] = diagnostics_of(hook)
    elif step.code is not None:
        lines = run.facts.get("log_tail") or []
        event["diagnostics"] = {"errorCode": "UnknownError", "message": step.message, "logTail": "\n".join(lines)}
    return {name: value for name, value in event.items() if value is not None}


def _overview(run: Run, steps: Sequence[Step]) -> dict[str, int] | None:
    if not run.status.is_over:
        return None
    counts = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
    return {**counts, target_status_of(run, steps): 1}

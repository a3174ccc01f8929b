"""Service deployments as AWS describes them. A run and its rollback are one service deployment."""

from __future__ import annotations

from typing import Any

from turnout.ecs.deployment_alarms import describe_alarms
from turnout.ecs.deployment_health import UNHEALTHY, failures_of, has_breaker, threshold_for
from turnout.ecs.deployment_hooks import describe_hook
from turnout.ecs.deployment_starting import SUPERSEDED, rollback_of
from turnout.ecs.deployment_steps import HOOK, PRE_SHIFT, RETURN, SHIFT, is_rolling
from turnout.ecs.revisions import revision_arn
from turnout.ecs.room import Room
from turnout.runs import Run, Status


def status_of(room: Room, run: Run) -> str:
    """One of ServiceDeploymentStatus."""
    back = rollback_of(room, run)
    if back is not None:
        ends = {Status.SUCCEEDED: "ROLLBACK_SUCCESSFUL", Status.FAILED: "ROLLBACK_FAILED", Status.STOPPED: "STOPPED"}
        return ends.get(back.status, "ROLLBACK_IN_PROGRESS")
    if run.status is Status.SUCCEEDED:
        return "SUCCESSFUL"
    if run.status.is_over:
        return "STOPPED"
    if run.stop is not None:
        return "STOP_REQUESTED" if run.stop["code"] == SUPERSEDED else "ROLLBACK_REQUESTED"
    return "PENDING" if run.status is Status.PENDING else "IN_PROGRESS"


def describe_brief(room: Room, run: Run) -> dict[str, Any]:
    """An entry of ListServiceDeployments."""
    back = rollback_of(room, run)
    last = back or run
    return _told(
        {
            "serviceDeploymentArn": run.spec["arn"],
            "serviceArn": run.spec["service_arn"],
            "clusterArn": run.spec["cluster_arn"],
            "createdAt": run.created_at,
            "startedAt": run.started_at,
            "finishedAt": last.ended_at,
            "targetServiceRevisionArn": _revision(run, run.spec["target"]),
            "status": status_of(room, run),
            "statusReason": run.message or (run.stop or {}).get("message"),
        }
    )


def describe_deployment(room: Room, run: Run) -> dict[str, Any]:
    """An entry of DescribeServiceDeployments."""
    back = rollback_of(room, run)
    shown = describe_brief(room, run)
    shown.pop("targetServiceRevisionArn")
    if shown["status"] == "STOPPED":
        shown["stoppedAt"] = shown.pop("finishedAt", None)
    steps = [*room.runs.steps(run.id), *(room.runs.steps(back.id) if back else ())]
    begun = [step for step in steps if step.started_at is not None]
    going = [step for step in begun if not step.status.is_over]
    stage = (going or begun or steps[:1])[0 if going or not begun else -1].spec["stage"]
    events = [event["at"] for one in (run, back) if one for event in room.runs.events(one.id)]
    percent, test_percent = (run.facts.get(name, 0.0) for name in ("percent", "test_percent"))
    if back is not None and any(step.spec["act"] == RETURN and step.status is Status.SUCCEEDED for step in steps):
        percent = test_percent = 0.0
    source = run.spec["source"]
    configuration = run.spec["configuration"]
    return _told(
        {
            **shown,
            "updatedAt": max(events, default=run.created_at),
            "sourceServiceRevisions": [_summary(room, run, source, 100.0 - percent, 100.0 - test_percent)]
            if source
            else [],
            "targetServiceRevision": _summary(room, run, run.spec["target"], percent, test_percent),
            # The stage before an increment is no value of ServiceDeploymentLifecycleStage (docs/choices.md).
            "lifecycleStage": None if is_rolling(configuration) else SHIFT if stage == PRE_SHIFT else stage,
            "lifecycleHookDetails": [describe_hook(room, step) for step in begun if step.spec["act"] == HOOK],
            "deploymentConfiguration": configuration,
            "rollback": back
            and _told(
                {"reason": run.message, "startedAt": back.started_at, "serviceRevisionArn": _revision(run, source)}
            ),
            "deploymentCircuitBreaker": _breaker(room, run, is_over=not going),
            "alarms": describe_alarms(run),
        }
    )


def _summary(room: Room, run: Run, set_id: str, percent: float, test_percent: float) -> dict[str, Any]:
    """A revision with the counts of its tasks: none once it has been stopped."""
    one = room.sets.find(set_id)
    shown: dict[str, Any] = {
        "arn": _revision(run, set_id),
        "requestedTaskCount": one.computed if one else 0,
        "runningTaskCount": one.running if one else 0,
        "pendingTaskCount": one.pending if one else 0,
    }
    if run.spec["balancers"]:
        shown["requestedProductionTrafficWeight"] = percent
    if any(move["test_rule"] for move in run.spec["balancers"]):
        shown["requestedTestTrafficWeight"] = test_percent
    return shown


def _breaker(room: Room, run: Run, *, is_over: bool) -> dict[str, Any]:
    configuration = run.spec["configuration"]
    if not has_breaker(configuration):
        return {"status": "DISABLED"}
    one = room.sets.find(run.spec["target"])
    service = room.services.find(run.region, run.spec["cluster"], run.spec["service"])
    status = "TRIGGERED" if run.code == UNHEALTHY else "MONITORING_COMPLETE" if is_over else "MONITORING"
    return {
        "status": status,
        "failureCount": run.facts["failures"]
        if "failures" in run.facts
        else failures_of(configuration, one)
        if one
        else 0,
        "threshold": threshold_for(configuration, service.desired if service else 0),
    }


def _revision(run: Run, set_id: str) -> str:
    return revision_arn(run.region, run.spec["cluster"], run.spec["service"], set_id)


def _told(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if value is not None}

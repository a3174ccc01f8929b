"""The receipt of a deployment: what was moved, when and why, and what the traffic was meanwhile. Pure.

A receipt is a JSON document; its shape is stable (a member may be added, none changes its meaning). Times are unix
seconds (float), spans milliseconds, percentages 0 to 100; what is not known is null.

    version             1
    deploymentId, region, applicationName, deploymentGroupName, deploymentConfigName
    description         of CreateDeployment, or null
    creator             "user" or "codeDeployRollback"
    status              Created | InProgress | Ready | Succeeded | Failed | Stopped
    isFinal             false while the deployment runs: then some members are still null
    error               null | {code, message}
    createdAt, startedAt, endedAt
    speed               the factor by which configured waits were shortened (1 = as on AWS)
    commitId            the 40 digits of the commit, where the description or the revision names it
    revision            AWS's RevisionLocation, or null
    service             {cluster, name}
    listener            {arn, testArn}
    blue, green         null | {targetGroup: {name, arn}, taskSet, taskDefinition, images: [{container, image, digest}]}
                        blue served when the deployment began, green is what it brought (also in a rollback)
    steps               [{name, isLifecycleEvent, status, startedAt, endedAt, waits: [{at, why}], error}]
    weights             [{at, blue, green}]: the first is what the deployment began with, then every change
    traffic             null | {blue, green, unrouted: {requests, failed, errors, p50Ms, p99Ms, isWhole}}
                        failed: no complete answer, or one that the balancer made; errors: the application's own 5xx;
                        isWhole false: Envoy was started again meanwhile, the figures are of what is known
    trafficNote         why there are no figures
    switch              null | {at, firstAnswerAt, ms, note}: from the commit of green's weight to its first answer
    drained             null | {colour, isProven, deadlineReached, reason, at, requests, inFlight, weightsVersion}
    alarms              [{name, at, reason}]: the alarms that stopped the deployment, and since when they are active
    longConnections     null | {policy, moved, left, cut}: client connections of the listener once traffic moved,
                        without and with a request in flight on the colour that was left; and what was cut at its end
    rollback            null | {deploymentId, triggeringDeploymentId, message}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout.codedeploy.describing import error_of, rollback_info, status_of
from turnout.codedeploy.lifecycle import EVENT_STATUS, LIFECYCLE_EVENTS
from turnout.runs import Run, Step

VERSION = 1

Document = dict[str, Any]


def build(
    run: Run, steps: Sequence[Step], events: Iterable[Mapping[str, Any]], changes: Iterable[Document]
) -> Document:
    """The receipt of a run. `events` are those of `runs.events`, `changes` those of `traffic.weights_since`."""
    spec, facts = run.spec, run.facts
    return {
        "version": VERSION,
        "deploymentId": run.name,
        "region": run.region,
        "applicationName": spec["application"],
        "deploymentGroupName": spec["deployment_group"],
        "deploymentConfigName": spec["config_name"],
        "description": spec["description"],
        "creator": spec["creator"],
        "status": status_of(run, steps),
        "isFinal": run.status.is_over,
        "error": error_of(run),
        "createdAt": run.created_at,
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "speed": spec["speed"],
        "commitId": spec["commit_id"],
        "revision": spec["revision"],
        "service": {"cluster": spec["cluster"], "name": spec["service"]},
        "listener": {"arn": spec["listener_arn"], "testArn": spec["test_listener_arn"]},
        "blue": _colour(facts.get("blue")),
        "green": _colour(facts.get("green")),
        "steps": _steps(steps, list(events)),
        "weights": _weights(run, changes),
        "traffic": _traffic(facts.get("flows")),
        "trafficNote": facts.get("flows_note"),
        "switch": _switch(facts.get("switch")),
        "drained": _drained(facts.get("drained")),
        "alarms": facts.get("alarmed", []),
        "longConnections": facts.get("long_connections"),
        "rollback": _rollback(run),
    }


def _colour(colour: Document | None) -> Document | None:
    if colour is None:
        return None
    return {
        "targetGroup": {"name": colour["target_group_name"], "arn": colour["target_group"]},
        "taskSet": colour.get("task_set"),
        "taskDefinition": colour.get("task_definition"),
        "images": colour.get("images", []),
    }


def _steps(steps: Sequence[Step], events: Sequence[Mapping[str, Any]]) -> list[Document]:
    """An event that moves nothing is the reason of a wait."""
    return [
        {
            "name": step.name,
            "isLifecycleEvent": step.name in LIFECYCLE_EVENTS,
            "status": EVENT_STATUS[step.status],
            "startedAt": step.started_at,
            "endedAt": step.ended_at,
            "waits": [
                {"at": event["at"], "why": event["message"]}
                for event in events
                if event["step_id"] == step.id and event["was"] == event["became"]
            ],
            "error": {"code": step.code, "message": step.message} if step.code else None,
        }
        for step in steps
    ]


def _weights(run: Run, changes: Iterable[Document]) -> list[Document]:
    facts = run.facts
    if "weights" not in facts:
        return []
    blue, green = facts["blue"]["target_group"], facts["green"]["target_group"]
    until = run.ended_at if run.ended_at is not None else float("inf")
    spans = [facts["weights"]]
    for change in changes:
        is_ours = change["weights"].keys() & {blue, green} and facts["weights"]["at"] <= change["at"] <= until
        if is_ours and any(change["weights"].get(arn, 0) != spans[-1]["weights"].get(arn, 0) for arn in (blue, green)):
            spans.append(change)
    return [
        {"at": span["at"], "blue": span["weights"].get(blue, 0), "green": span["weights"].get(green, 0)}
        for span in spans
    ]


def _traffic(flows: Document | None) -> Document | None:
    if flows is None:
        return None
    return {
        name: {
            "requests": flow["requests"],
            "failed": flow["failed"],
            "errors": flow["errors"],
            "p50Ms": flow["p50_ms"],
            "p99Ms": flow["p99_ms"],
            "isWhole": flow["is_whole"],
        }
        for name, flow in flows.items()
    }


def _switch(switch: Document | None) -> Document | None:
    if switch is None:
        return None
    at, first = switch["at"], switch["first_answer_at"]
    ms = None if at is None or first is None else round(1000 * (first - at), 3)
    return {"at": at, "firstAnswerAt": first, "ms": ms, "note": switch["note"]}


def _drained(drained: Document | None) -> Document | None:
    if drained is None:
        return None
    return {
        "colour": drained["colour"],
        "isProven": drained["is_proven"],
        "deadlineReached": drained["deadline_reached"],
        "reason": drained["reason"],
        "at": drained["at"],
        "requests": drained["requests"],
        "inFlight": drained["in_flight"],
        "weightsVersion": drained["weights_version"],
    }


def _rollback(run: Run) -> Document | None:
    info = rollback_info(run)
    return info and {
        "deploymentId": info.get("rollbackDeploymentId"),
        "triggeringDeploymentId": info.get("rollbackTriggeringDeploymentId"),
        "message": info["rollbackMessage"],
    }

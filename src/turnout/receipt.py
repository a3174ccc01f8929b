"""The receipt of a deployment: what was moved, when and why, and what the traffic was meanwhile. Pure.

CodeDeploy and ECS, which shifts by itself, write the same document; its shape is stable (a member may be added, none
changes its meaning). Times are unix seconds (float), spans milliseconds, percentages 0 to 100; what is not known is
null.

    version             1
    controller          "CODE_DEPLOY" | "ECS": who deployed
    deploymentId, region, applicationName, deploymentGroupName, deploymentConfigName
                        of ECS: the id of the service deployment, no application and group, and its strategy
    serviceDeploymentArn  of ECS; else null
    description         of CreateDeployment, or null
    creator             "user" or "codeDeployRollback"
    status              CodeDeploy: Created | InProgress | Ready | Succeeded | Failed | Stopped;
                        ECS: its ServiceDeploymentStatus
    isFinal             false while the deployment, or the rollback that ECS counts as a part of it, runs: then some
                        members are still null
    error               null | {code, message}
    createdAt, startedAt, endedAt
    speed               the factor by which configured waits were shortened (1 = as on AWS)
    commitId            the 40 digits of the commit, where the description or the revision names it
    revision            AWS's RevisionLocation, or null
    service             {cluster, name}
    listener            {arn, testArn}
    blue, green         null | {targetGroup: {name, arn}, taskSet, serviceRevision, taskDefinition,
                        images: [{container, image, digest}]}
                        blue served when the deployment began, green is what it brought (also in a rollback)
    steps               [{name, isLifecycleEvent, status, startedAt, endedAt, waits: [{at, why}], error}]
    weights             [{at, blue, green}]: the first is what the deployment began with, then every change
    traffic             null | {blue, green, unrouted: {requests, failed, errors, p50Ms, p99Ms, isWhole}}: so far
                        failed: no complete answer, or one that the balancer made; errors: the application's own 5xx;
                        isWhole false: Envoy was started again meanwhile, the figures are of what is known
    trafficNote         why there are no figures, or not all of them
    samples             [{startedAt, endedAt, blue, green, unrouted}], oldest first, each span beginning where the one
                        before it ends: what `traffic` sums up, and {inFlight, running, desired, healthy} at its end;
                        a member that could not be counted is absent
    switch              null | {at, firstAnswerAt, ms, note}: from the commit of green's weight to its first answer
    drained             null | {colour, isProven, deadlineReached, reason, at, requests, inFlight, weightsVersion}
    alarms              [{name, at, reason}]: the alarms that stopped the deployment, and since when they are active
    ignoresTargetHealth whether the group's tag turnout:target-health made the health of targets count for nothing
    hooks               [{event, name, kind, executionId, status, errorCode, message, output, startedAt, endedAt}], in
                        their order; output is the end of what a hook wrote, at most 4 KB. Of ECS: event is the
                        lifecycle stage, kind "lambda" | "pause", status that of DescribeServiceDeployments
    longConnections     null | {policy, moved, left, told, cut}: client connections of the listener once traffic moved,
                        without and with a request in flight on the colour that was left; those that were told to
                        make way for others; and what was in flight when the tasks were told to end
    interruptions       [{endedAt, servesAgainAt, why, connections, inFlight, lookedAt, newConnections}]: the balancer
                        itself ended and came back. connections were cut, and inFlight requests lost, as counted at
                        lookedAt, the last look before (null: not known); new connections "waited" or were "refused".
                        endedAt null: before this engine began
    rollback            null | {deploymentId, triggeringDeploymentId, message}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from turnout.leaving import Known
from turnout.rows import Step
from turnout.samples import UNROUTED, Sample, totals
from turnout.traffic import Flow

VERSION = 1

Document = dict[str, Any]


def steps_of(
    steps: Sequence[Step],
    events: Sequence[Mapping[str, Any]],
    lifecycle_events: Collection[str],
    statuses: Mapping[Any, str],
) -> list[Document]:
    """`events` are those of `runs.events`: one that moves nothing is the reason of a wait."""
    return [
        {
            "name": step.name,
            "isLifecycleEvent": step.name in lifecycle_events,
            "status": statuses[step.status],
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


def weights_between(
    began: Document, changes: Iterable[Document], until: float | None, blue: str, green: str
) -> list[Document]:
    """`began`: {at, weights} before the first of the `changes` of `traffic.weights_since`; of two target groups."""
    spans = [began]
    for change in changes:
        is_ours = change["weights"].keys() & {blue, green} and began["at"] <= change["at"]
        is_ours = is_ours and (until is None or change["at"] <= until)
        if is_ours and any(change["weights"].get(arn, 0) != spans[-1]["weights"].get(arn, 0) for arn in (blue, green)):
            spans.append(change)
    return [
        {"at": span["at"], "blue": span["weights"].get(blue, 0), "green": span["weights"].get(green, 0)}
        for span in spans
    ]


def switch_between(at: float | None, first_answer_at: float | None, note: str | None) -> Document:
    ms = None if at is None or first_answer_at is None else round(1000 * (first_answer_at - at), 3)
    return {"at": at, "firstAnswerAt": first_answer_at, "ms": ms, "note": note}


def drained_of(colour: str, known: Known | None) -> Document | None:
    """What is known of the colour that was left (leaving.py); nothing before it was looked at."""
    if known is None or known["drained"] is None:
        return None
    proof = known["drained"]
    return {
        "colour": colour,
        "isProven": proof["is_proven"],
        "deadlineReached": known["deadline_reached"],
        "reason": proof["reason"],
        "at": known["at"],
        "requests": proof["requests"],
        "inFlight": proof["in_flight"],
        "weightsVersion": proof["weights_version"],
    }


def figures_of(samples: Sequence[Sample], note: str | None) -> Document:
    """traffic, trafficNote and samples."""
    flows = totals(samples)
    traffic = {colour: {**_flow(flow), "isWhole": flow.is_whole and note is None} for colour, flow in flows.items()}
    return {"traffic": traffic or None, "trafficNote": note, "samples": _samples(samples)}


def _flow(flow: Flow) -> Document:
    return {
        "requests": flow.requests,
        "failed": flow.failed,
        "errors": max(0, flow.errors),
        "p50Ms": flow.p50_ms,
        "p99Ms": flow.p99_ms,
    }


def _samples(samples: Sequence[Sample]) -> list[Document]:
    told: list[Document] = []
    owed: dict[str, int] = {}
    for sample in reversed(samples):
        entry: Document = {"startedAt": sample.started_at, "endedAt": sample.ended_at}
        for colour, flow in sample.flows.items():
            # A failure that was logged after its span had ended was taken for an error of the application there.
            errors = flow.errors + owed.get(colour, 0)
            owed[colour] = min(0, errors)
            entry[colour] = _flow(flow) | {"errors": max(0, errors)}
            if colour != UNROUTED:
                entry[colour]["inFlight"] = flow.in_flight
        for colour, tasks in sample.tasks.items():
            counts = {"running": tasks.running, "desired": tasks.desired, "healthy": tasks.healthy}
            entry[colour] = entry.get(colour, {}) | counts
        told.append(entry)
    return told[::-1]

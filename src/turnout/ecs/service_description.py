"""Services, task sets and deployments as AWS describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.ecs.deployment_starting import open_runs
from turnout.ecs.revisions import revision_arn
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
from turnout.names import arn


def describe_service(room: Room, service: Service, *, has_tags: bool = False) -> dict[str, Any]:
    """The AWS shape. A service under CODE_DEPLOY or EXTERNAL has task sets, one under ECS has deployments."""
    sets = room.sets.of_service(service)
    shown = {
        **service.body,
        "serviceArn": service.arn,
        "serviceName": service.name,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(one.running for one in sets),
        "pendingCount": sum(one.pending for one in sets),
        "deployments": [_deployment(service, one) for one in reversed(sets)] if service.is_rolling else [],
        "events": room.services.events(service),
        "createdAt": service.created_at,
    }
    if not service.is_rolling:
        shown["taskSets"] = [describe_task_set(room, one) for one in sets]
    if service.is_rolling:
        shown |= _current(room, service, sets)
    if has_tags:
        shown["tags"] = room.tags_of(service.region, service.arn)
    return shown


def _current(room: Room, service: Service, sets: Sequence[TaskSet]) -> dict[str, Any]:
    """The revisions that have tasks, and the deployment that is under way."""
    revisions = [
        {
            "arn": revision_arn(one.region, one.cluster, one.service, one.id),
            "requestedTaskCount": one.computed,
            "runningTaskCount": one.running,
            "pendingTaskCount": one.pending,
        }
        for one in sets
    ]
    going = open_runs(room, service)
    current = {"currentServiceDeployment": going[-1].spec["arn"]} if going else {}
    return {**current, "currentServiceRevisions": revisions}


def describe_task_set(room: Room, one: TaskSet, *, has_tags: bool = False) -> dict[str, Any]:
    shown = {
        **one.body,
        "id": one.id,
        "taskSetArn": one.arn,
        "serviceArn": arn("ecs", one.region, f"service/{one.cluster}/{one.service}"),
        "clusterArn": arn("ecs", one.region, f"cluster/{one.cluster}"),
        "status": one.status,
        "taskDefinition": one.task_definition,
        "computedDesiredCount": one.computed,
        "pendingCount": one.pending,
        "runningCount": one.running,
        "createdAt": one.created_at,
        "updatedAt": one.updated_at,
        "scale": {"value": one.scale, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if one.is_stable else "STABILIZING",
        "stabilityStatusAt": one.stable_at,
        "tags": room.tags_of(one.region, one.arn) if has_tags else [],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _deployment(service: Service, one: TaskSet) -> dict[str, Any]:
    members = ("launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration")
    shown: dict[str, Any] = {name: one.body[name] for name in members if one.body.get(name)}
    return {
        **shown,
        "id": one.id,
        # A deployment whose tasks leave is ACTIVE as long as it has any: DRAINING is a word for task sets.
        "status": "ACTIVE" if one.status == "DRAINING" else one.status,
        "taskDefinition": one.task_definition,
        "desiredCount": one.computed,
        "pendingCount": one.pending,
        "runningCount": one.running,
        "failedTasks": one.failed_in_a_row,
        "createdAt": one.created_at,
        "updatedAt": one.updated_at,
        "rolloutState": one.body["rolloutState"],
        "rolloutStateReason": one.body["rolloutStateReason"],
    }

"""Bringing a task into being: a row, and a run that makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
from turnout.ecs.states import STEPS
from turnout.ecs.task_description import announce_task, task_arn
from turnout.names import new_hex
from turnout.store import Transaction

LATEST_FARGATE = "1.4.0"


def spec_for(region: str, cluster: str, definition: Mapping[str, Any], launch_type: str, **more: Any) -> dict[str, Any]:
    """All that a task needs to know, frozen when it is started."""
    return {
        "region": region,
        "cluster": cluster,
        "family": definition["family"],
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "containers": definition["containerDefinitions"],
        "volumes": definition.get("volumes", []),
        "networkMode": definition.get("networkMode") or "bridge",
        "cpu": definition.get("cpu"),
        "memory": definition.get("memory"),
        "launchType": launch_type,
        "loadBalancers": [],
        "overrides": {},
        "pins": {},
        **more,
    }


def spec_of_set(one: TaskSet, service: Service, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of every task of a task set or deployment."""
    return spec_for(
        one.region,
        one.cluster,
        definition,
        one.body.get("launchType", "EC2"),
        platformVersion=one.body.get("platformVersion"),
        service=one.service,
        taskSet=one.id,
        startedBy=one.id,
        group=f"service:{one.service}",
        loadBalancers=one.body.get("loadBalancers", []),
        pins=one.pins,
        enableExecuteCommand=service.body.get("enableExecuteCommand", False),
    )


def tags_for(room: Room, service: Service, one: TaskSet) -> list[dict[str, str]]:
    """The tags of every task of a set: propagated ones, and ECS's own where they are enabled."""
    source = {"SERVICE": service.arn, "TASK_DEFINITION": one.task_definition}.get(service.body["propagateTags"])
    tags = room.tags_of(one.region, source) if source else []
    if service.body["enableECSManagedTags"]:
        names = {"aws:ecs:clusterName": one.cluster, "aws:ecs:serviceName": one.service}
        tags += [{"key": key, "value": value} for key, value in names.items()]
    return tags


def start_task(
    room: Room, tx: Transaction, spec: Mapping[str, Any], tags: list[dict[str, str]], cause: str | None = None
) -> str:
    """One more task; due at once. Returns its id."""
    task_id = new_hex(32)
    whole = {**spec, "createdAt": room.clock.now()}
    lane = spec.get("taskSet") or spec["cluster"]
    run = room.runs.insert(tx, "ecs.task", spec["region"], task_id, whole, STEPS, lane=lane)
    room.tasks.insert(tx, run.id, task_id, whole, cause)
    room.put_tags(tx, spec["region"], task_arn(spec["region"], spec["cluster"], task_id), tags)
    announce_task(room, tx, run, "PROVISIONING")
    return task_id

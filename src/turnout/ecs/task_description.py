"""A task as AWS describes it, from its row and the steps of its run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.checks import UNHEALTHY, UNKNOWN, health_of
from turnout.ecs.room import Room
from turnout.ecs.states import ACTIVATE, DEACTIVATE, DEPROVISION, RUN, START, STOP, stop_for
from turnout.ecs.task_rows import Task
from turnout.names import arn
from turnout.runs import Run, Status, Step
from turnout.store import Transaction


def describe_task(room: Room, task: Task) -> dict[str, Any]:
    """The AWS shape, without tags."""
    run = room.runs.get(task.run_id)
    steps = room.runs.steps(task.run_id)
    by_name = {step.name: step for step in steps}
    spec = run.spec
    cluster_arn = arn("ecs", task.region, f"cluster/{task.cluster}")
    ended = stop_for(run, steps)
    shown: dict[str, Any] = {
        "taskArn": task_arn(task.region, task.cluster, task.id),
        "taskDefinitionArn": task.task_definition,
        "clusterArn": cluster_arn,
        "containerInstanceArn": container_instance_arn(room, task.region, task.cluster)
        if task.launch_type != "FARGATE"
        else None,
        "attributes": [],
        "attachments": _attachments(task, spec),
        "availabilityZone": f"{task.region}a",
        "connectivity": "CONNECTED",
        "connectivityAt": by_name[START].started_at,
        "containers": [_container(task, spec, container) for container in spec["containers"]],
        "cpu": str(_total(spec, "cpu")),
        "memory": str(_total(spec, "memory")),
        "createdAt": task.created_at,
        "desiredStatus": task.desired_status,
        "lastStatus": task.last_status,
        "enableExecuteCommand": spec.get("enableExecuteCommand", False),
        "group": spec.get("group"),
        "healthStatus": health_of(
            task.containers.get(container["name"], {}).get("check", {}).get("status", UNKNOWN)
            for container in spec["containers"]
            if container.get("essential", True)
        ),
        "launchType": task.launch_type,
        "overrides": {"containerOverrides": [{"name": c["name"]} for c in spec["containers"]], **spec["overrides"]},
        "platformVersion": spec.get("platformVersion"),
        "platformFamily": "Linux" if task.launch_type == "FARGATE" else None,
        "startedBy": task.started_by,
        "version": sum(step.status is not Status.PENDING for step in steps) + 1,
        "pullStartedAt": by_name[START].started_at,
        "pullStoppedAt": run.facts.get("resolvedAt"),
        "startedAt": task.running_at,
        "stoppingAt": _stopping_at(run, by_name) if not task.counts else None,
        "executionStoppedAt": by_name[STOP].ended_at,
        "stoppedAt": by_name[DEPROVISION].ended_at,
        "stopCode": ended.code if ended else None,
        "stoppedReason": ended.reason if ended else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def announce_task(room: Room, tx: Transaction, run: Run, last_status: str) -> None:
    """ "ECS Task State Change": the task as it is, with the status that it is about to have."""
    task = room.tasks.get(run.name)
    detail = {**describe_task(room, task), "lastStatus": last_status}
    room.announce(tx, run.region, "ECS Task State Change", (detail["taskArn"],), detail)


def task_arn(region: str, cluster: str, task_id: str) -> str:
    return arn("ecs", region, f"task/{cluster}/{task_id}")


def container_instance_arn(room: Room, region: str, cluster: str) -> str:
    """This machine as a container instance of a cluster."""
    text = f"{room.machine()['ec2InstanceId']}/{region}/{cluster}"
    return arn("ecs", region, f"container-instance/{cluster}/{hashlib.md5(text.encode()).hexdigest()}")


def _stopping_at(run: Run, steps: Mapping[str, Step]) -> float | None:
    asked_at = (run.stop or {}).get("at")
    times = [steps[name].ended_at for name in (START, ACTIVATE, RUN) if steps[name].status is not Status.SUCCEEDED]
    ended_at = next((at for at in times if at is not None), None) or steps[RUN].ended_at or steps[DEACTIVATE].started_at
    return ended_at if asked_at is None else asked_at


def _container(task: Task, spec: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    name = definition["name"]
    known = task.containers.get(name, {})
    shown: dict[str, Any] = {
        "containerArn": arn("ecs", task.region, f"container/{task.cluster}/{task.id}/{_uuid_for(task.id, name)}"),
        "taskArn": task_arn(task.region, task.cluster, task.id),
        "name": name,
        "image": definition["image"],
        "imageDigest": known.get("imageDigest"),
        "runtimeId": known.get("runtimeId"),
        "lastStatus": _container_status(task, known),
        "exitCode": known.get("exitCode"),
        "reason": known.get("reason") or _failed_check(known),
        "networkBindings": [
            {"bindIP": known["host"], "containerPort": inside, "hostPort": outside, "protocol": words}
            for inside, outside, words in known.get("ports", ())
        ],
        "networkInterfaces": _interfaces(task, spec, known),
        "healthStatus": known.get("check", {}).get("status", UNKNOWN),
        "cpu": str(definition.get("cpu", 0)),
        "memory": None if definition.get("memory") is None else str(definition["memory"]),
        "memoryReservation": _text(definition.get("memoryReservation")),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _container_status(task: Task, known: Mapping[str, Any]) -> str:
    if not known or "isRunning" not in known:
        return "STOPPED" if task.is_stopped else "PENDING"
    return "RUNNING" if known["isRunning"] else "STOPPED"


def _failed_check(known: Mapping[str, Any]) -> str | None:
    """AWS tells no reason of a container that fails its checks; without one nobody could mend it."""
    check = known.get("check", {})
    return f"Health check failed: {check.get('output')}" if check.get("status") == UNHEALTHY else None


def _attachments(task: Task, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Under awsvpc, the network interface. A process has none: its address is loopback, with ports of its own."""
    if spec["networkMode"] != "awsvpc":
        return []
    status = "DELETED" if task.is_stopped else "ATTACHED"
    hosts = [known["host"] for known in task.containers.values() if "host" in known]
    details = [{"name": "privateIPv4Address", "value": hosts[0]}] if hosts else []
    return [{"id": _uuid_for(task.id, "eni"), "type": "ElasticNetworkInterface", "status": status, "details": details}]


def _interfaces(task: Task, spec: Mapping[str, Any], known: Mapping[str, Any]) -> list[dict[str, str]]:
    if spec["networkMode"] != "awsvpc" or "host" not in known:
        return []
    return [{"attachmentId": _uuid_for(task.id, "eni"), "privateIpv4Address": known["host"]}]


def _total(spec: Mapping[str, Any], member: str) -> Any:
    override = spec["overrides"].get(member)
    own: Sequence[int] = [container.get(member) or 0 for container in spec["containers"]]
    return override or spec.get(member) or sum(own)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _uuid_for(task_id: str, what: str) -> str:
    """An id that is the same whenever it is asked for."""
    text = hashlib.md5(f"{task_id}/{what}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

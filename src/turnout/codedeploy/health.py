"""Whether the replacement task set is healthy, may become it, or never will. Pure.

AWS waits 60 minutes for a task set that crashes in a loop, and lets an unhealthy one through where it does not see its
health. Here a deployment fails as soon as it is certain (design.md, "never healthy"): after three failed starts,
`unhealthy_threshold` failed checks of a target, or an UNHEALTHY container, after the grace period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_FAILED_STARTS = 3
FAILED_STARTS = ("TaskFailedToStart", "EssentialContainerExited")
"""ECS's stopCode of a task that ended by itself."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Sight:
    """What there is to see of a task set, in AWS's shapes. Times are unix seconds."""

    task_set: Document
    desired: int
    """The desired count of the service: a new task set has none of its own before its scheduler has looked."""
    targets: Sequence[Document]
    """TargetHealthDescriptions of its target group."""
    running: Sequence[Document]
    """Its tasks that should run, and those that have stopped."""
    stopped: Sequence[Document]
    target_group: Document
    grace_s: float
    now: float
    ignores_targets: bool = False
    """AWS's laxness, asked for by a tag of the deployment group: that the tasks run is enough."""


@dataclass(frozen=True)
class Never:
    """It cannot become healthy: `why` for people, `task` the stopped task whose log shows it, if there is one."""

    why: str
    task: Document | None = None


def verdict(sight: Sight) -> Never | str | None:
    """None: all is healthy. A text: not yet, and why. Never: certain not to be."""
    if never := _never(sight):
        return never
    desired = max(sight.desired, int(sight.task_set.get("computedDesiredCount", 0)))
    running = int(sight.task_set.get("runningCount", 0))
    if sight.ignores_targets:
        is_up = running >= desired and not sight.task_set.get("pendingCount")
        return None if is_up else f"{_counted(running, desired)}; the health of targets is not asked for"
    states = [str(target["TargetHealth"]["State"]) for target in sight.targets]
    healthy = states.count("healthy")
    is_steady = sight.task_set.get("stabilityStatus") == "STEADY_STATE"
    if is_steady and running >= desired and healthy >= desired:
        return None
    seen = ", ".join(sorted(_describe(target) for target in sight.targets if _is_waited_for(target)))
    return f"{_counted(running, desired)}, {healthy} of {desired} targets healthy" + (f" ({seen})" * bool(seen))


def _counted(running: int, desired: int) -> str:
    """ECS starts the replacement of an unhealthy task before it stops that: there may be more than are wanted."""
    return f"{running} tasks running for {desired}" if running > desired else f"{running} of {desired} tasks running"


def unhealthy_among(targets: Sequence[Document]) -> str | None:
    """What the checks say of an unhealthy target, if there is one: it is gone when its task has been stopped."""
    return next((_describe(target) for target in targets if target["TargetHealth"]["State"] == "unhealthy"), None)


def is_ending(task: Document | None) -> bool:
    """Whether a task has failed, but is not STOPPED yet: until then what it said may not have been read to the end."""
    return task is not None and "stopCode" in task and task.get("lastStatus", "STOPPED") != "STOPPED"


def reason_of(task: Document) -> str:
    """Why a task stopped, for people: ECS's reason, and what became of each container."""
    parts = [str(task.get("stoppedReason") or task.get("stopCode") or "stopped without a reason")]
    for container in task.get("containers", []):
        if container.get("exitCode") is not None:
            parts.append(f"container {container['name']} ended with exit code {container['exitCode']}")
        if container.get("reason"):
            parts.append(str(container["reason"]))
    return "; ".join(dict.fromkeys(parts))


def _never(sight: Sight) -> Never | None:
    stopped = sorted(sight.stopped, key=lambda task: float(task.get("stoppedAt") or task.get("stoppingAt") or 0))
    failed = [task for task in stopped if task.get("stopCode") in FAILED_STARTS]
    if len(failed) >= MOST_FAILED_STARTS:
        return Never(f"{len(failed)} tasks failed to start; the last: {reason_of(failed[-1])}", failed[-1])
    checked = [task for task in stopped if "health check" in str(task.get("stoppedReason", "")).lower()]
    if sight.ignores_targets:
        checked = [task for task in checked if "container health checks" in task["stoppedReason"]]
    if checked:
        return Never(reason_of(checked[-1]), checked[-1])
    for task in sight.running:
        since = float(task.get("startedAt") or task.get("createdAt") or sight.now)
        if task.get("healthStatus") == "UNHEALTHY" and sight.now - since >= sight.grace_s:
            return Never(f"a task fails its container health checks: {_failed_check(task)}", task)
    return None if sight.ignores_targets else _never_in_service(sight)


def _failed_check(task: Document) -> str:
    sick = [container for container in task.get("containers", ()) if container.get("healthStatus") == "UNHEALTHY"]
    return "; ".join(f"container {container['name']}: {container.get('reason', 'UNHEALTHY')}" for container in sick)


def _never_in_service(sight: Sight) -> Never | None:
    threshold = int(sight.target_group.get("UnhealthyThresholdCount", 2))
    patience_s = sight.grace_s + threshold * float(sight.target_group.get("HealthCheckIntervalSeconds", 30))
    for target in sight.targets:
        if target["TargetHealth"]["State"] != "unhealthy":
            continue
        task = _task_of(target, sight.running)
        if task is None:  # another task set's, on its way out
            continue
        since = float(task.get("startedAt") or sight.now)
        if sight.now - since >= patience_s:
            return Never(
                f"{_describe(target)}, {sight.now - since:.0f} s after the task started"
                f" (grace period {sight.grace_s:g} s, unhealthy after {threshold} failed checks)",
                task,
            )
    return None


def _task_of(target: Document, tasks: Sequence[Document]) -> Document | None:
    """The task behind a target: by the host port that was allocated, or by its own address."""
    place = target["Target"]
    for task in tasks:
        for container in task.get("containers", []):
            ports = [binding.get("hostPort") for binding in container.get("networkBindings", [])]
            addresses = [card.get("privateIpv4Address") for card in container.get("networkInterfaces", [])]
            if place.get("Port") in ports or place.get("Id") in addresses:
                return task
    return None


def _describe(target: Document) -> str:
    health, place = target["TargetHealth"], target["Target"]
    said = health.get("Description") or health.get("Reason")
    return f"target {place['Id']}:{place.get('Port')} is {health['State']}" + (f": {said}" if said else "")


def _is_waited_for(target: Document) -> bool:
    return target["TargetHealth"]["State"] in ("initial", "unhealthy", "unused", "unavailable")

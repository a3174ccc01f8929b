"""Deciding what a service needs: from what is seen to what is to be done. Pure; `scheduler.py` acts.

A task *counts* while its desired status is RUNNING. It is *good* unless its targets or containers fail their health
checks after the grace period, and *settled* once it runs and they are healthy.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_definition_parameters.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LONGEST_BACKOFF_S = 60.0
FIRST_BACKOFF_S = 0.25
CALM_AFTER_S = 60.0
"""What ends a task that ran this long is not one more failed start."""
UNCHECKED_WELL_AFTER_S = 3.0
"""A task that nobody checks has started well when it has run this long (AWS is silent; docs/choices.md)."""


@dataclass(frozen=True)
class TaskSeen:
    """A task that counts. `running_at` is None until it runs."""

    id: str
    created_at: float
    running_at: float | None = None
    is_healthy: bool = True
    """Every target is healthy, or its group is behind no listener; every essential container passes its checks."""
    is_failing: bool = False
    """A target or an essential container fails its health checks."""
    is_checked: bool = True
    """Somebody checks its health: a load balancer, or a health check of an essential container."""
    has_started_well: bool = False


@dataclass(frozen=True)
class SetSeen:
    """A task set, or a deployment under the ECS controller."""

    id: str
    status: str
    scale_percent: float
    tasks: tuple[TaskSeen, ...] = ()
    stopping: int = 0
    """Tasks on their way out."""
    retry_at: float | None = None
    is_source: bool = False
    """A deployment that is under way may have to go back to it."""
    is_stalled: bool = False
    """Its deployment has failed: no new tasks are launched."""


@dataclass(frozen=True)
class ServiceSeen:
    is_active: bool
    is_rolling: bool
    """Under the ECS controller: the PRIMARY replaces all others, within the two percentages."""
    desired: int
    min_percent: int
    max_percent: int
    grace_s: float
    sets: tuple[SetSeen, ...]
    shifts: bool = False
    """Under the ECS controller, too: a deployment shifts the traffic, and only one set is left in the end."""
    is_deploying: bool = False
    """Under the ECS controller: a deployment or a rollback is under way."""


@dataclass(frozen=True)
class Figures:
    """What DescribeServices tells of a task set."""

    computed: int
    running: int
    pending: int
    is_stable: bool


@dataclass(frozen=True)
class Decision:
    figures: Mapping[str, Figures]
    starts: Mapping[str, int] = field(default_factory=dict)
    """How many tasks to start, by set."""
    surplus: tuple[str, ...] = ()
    """Tasks that are too many."""
    unhealthy: tuple[str, ...] = ()
    """Tasks to be replaced because of their health checks."""
    finished: tuple[str, ...] = ()
    """Sets with nothing left to keep or to wait for."""
    started_well: tuple[str, ...] = ()
    """Tasks that are seen to run and to be healthy for the first time."""
    is_steady: bool = False
    look_at: float | None = None
    """When to look again although nothing has changed: a backoff or a grace period ends."""


def backoff_s(failures: int) -> float:
    """How long to wait after so many failed starts in a row: 0.25 s, doubling, at most a minute."""
    return float(min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures - 1, 20))) if failures > 0 else 0.0


def failures_after(failures: int, wave_at: float | None, created_at: float, ran_s: float) -> int:
    """The failed starts in a row, one more task having failed. Tasks that were started in one wave count once.

    `wave_at` is when the newest of the failed ones was created. It does not matter when they failed: one that fails its
    checks is stopped only when there is another in its place, which was created before that.
    """
    if ran_s >= CALM_AFTER_S:
        return 1
    return failures + 1 if wave_at is None or created_at >= wave_at + FIRST_BACKOFF_S else max(failures, 1)


def computed_desired_count(desired: int, scale_percent: float) -> int:
    """ceil(desired × scale), safe from floating point: 30 % of 10 is 3."""
    return math.ceil(round(desired * scale_percent / 100, 6))


def decide(service: ServiceSeen, now: float) -> Decision:
    """What the service needs now."""
    computed = {one.id: _computed(service, one) for one in service.sets}
    figures = {one.id: _figures(one, computed[one.id]) for one in service.sets}
    parts = _rolling(service, computed, now) if service.is_rolling else _apart(service, computed, now)
    fresh = [task for one in service.sets for task in one.tasks if _is_settled(task) and not task.has_started_well]
    times = [at for at in (part.look_at for part in parts) if at is not None]
    times += [_well_at(task) for task in fresh if _well_at(task) > now]
    primary = next((one for one in service.sets if one.status == "PRIMARY"), None)
    others_count = any(one.tasks for one in service.sets if one is not primary)
    return Decision(
        figures=figures,
        starts={part.set_id: part.start for part in parts if part.start},
        surplus=tuple(task for part in parts for task in part.surplus),
        unhealthy=tuple(task for part in parts for task in part.unhealthy),
        finished=tuple(one.id for one in service.sets if _is_finished(service, one)),
        started_well=tuple(task.id for task in fresh if _well_at(task) <= now),
        is_steady=bool(
            service.is_active
            and primary
            and not service.is_deploying
            and all(figure.is_stable for figure in figures.values())
            and not (service.is_rolling and others_count)
            and not (service.shifts and len(service.sets) > 1)
        ),
        look_at=min(times, default=None),
    )


@dataclass(frozen=True)
class _Part:
    """What one set needs."""

    set_id: str
    start: int = 0
    surplus: tuple[str, ...] = ()
    unhealthy: tuple[str, ...] = ()
    look_at: float | None = None


def _computed(service: ServiceSeen, one: SetSeen) -> int:
    is_leaving = one.status == "DRAINING" or (service.is_rolling and one.status != "PRIMARY")
    if is_leaving or not service.is_active:
        return 0
    return computed_desired_count(service.desired, one.scale_percent)


def _figures(one: SetSeen, computed: int) -> Figures:
    running = sum(task.running_at is not None for task in one.tasks)
    pending = len(one.tasks) - running
    is_stable = running == computed and pending == 0 and all(task.is_healthy for task in one.tasks)
    return Figures(computed, running, pending, is_stable)


def _is_finished(service: ServiceSeen, one: SetSeen) -> bool:
    if one.tasks:
        return False
    if service.is_rolling and service.is_active:
        return one.status != "PRIMARY" and not one.is_source
    return one.stopping == 0 and (one.status == "DRAINING" or not service.is_active)


def _apart(service: ServiceSeen, computed: Mapping[str, int], now: float) -> list[_Part]:
    """Task sets do not know of each other."""
    parts = []
    for one in service.sets:
        most = max(computed[one.id], math.floor(computed[one.id] * service.max_percent / 100))
        parts.append(_keep(one, computed[one.id], most - len(one.tasks), service.grace_s, now))
    return parts


def _rolling(service: ServiceSeen, computed: Mapping[str, int], now: float) -> list[_Part]:
    """The primary deployment grows within maximumPercent; the others leave within minimumHealthyPercent."""
    tasks = [task for one in service.sets for task in one.tasks]
    desired = service.desired if service.is_active else 0
    room = math.floor(desired * service.max_percent / 100) - len(tasks)
    spare = sum(_is_settled(task) for task in tasks) - math.ceil(desired * service.min_percent / 100)
    parts = []
    is_stuck = any(one.status == "PRIMARY" and one.is_stalled for one in service.sets) and service.is_active
    for one in service.sets:
        if is_stuck and one.status != "PRIMARY":
            parts.append(_Part(one.id))  # what is left of it is what serves
            continue
        if one.status == "PRIMARY":
            parts.append(_keep(one, computed[one.id], room, service.grace_s, now))
            continue
        leaving = []
        for task in sorted(one.tasks, key=lambda task: task.created_at):
            if _is_settled(task):
                if spare <= 0:
                    continue
                spare -= 1
            leaving.append(task.id)
        parts.append(_Part(one.id, surplus=tuple(leaving)))
    return parts


def _keep(one: SetSeen, wanted: int, room: int, grace_s: float, now: float) -> _Part:
    """Keep a set at `wanted` tasks. A failing task is replaced before it is stopped, as far as there is room."""
    bad = [task for task in one.tasks if task.is_failing and _grace_ends_at(task, grace_s) <= now]
    good = [task for task in one.tasks if task not in bad]
    wanted = min(wanted, len(good)) if one.is_stalled else wanted
    times = [_grace_ends_at(task, grace_s) for task in good if task.is_failing and grace_s > 0]
    missing = max(0, wanted - len(good))
    if missing and one.retry_at is not None and one.retry_at > now:
        return _Part(one.id, look_at=min([one.retry_at, *times]))
    evicted = bad[: max(0, missing - room)] if missing else []
    start = max(0, min(missing, room + len(evicted)))
    if sum(_is_settled(task) for task in good) >= wanted:
        evicted = bad
    surplus = sorted(good, key=_worth)[: max(0, len(good) - wanted)]
    return _Part(one.id, start, _ids(surplus), _ids(evicted), min(times, default=None))


def _is_settled(task: TaskSeen) -> bool:
    return task.running_at is not None and task.is_healthy


def _well_at(task: TaskSeen) -> float:
    return (task.running_at or 0.0) + (0.0 if task.is_checked else UNCHECKED_WELL_AFTER_S)


def _grace_ends_at(task: TaskSeen, grace_s: float) -> float:
    return (task.running_at or task.created_at) + grace_s


def _worth(task: TaskSeen) -> tuple[bool, bool, float]:
    """What to lose first: what does not run yet, then what is not healthy, then the newest."""
    return (task.running_at is not None, task.is_healthy, -task.created_at)


def _ids(tasks: Iterable[TaskSeen]) -> tuple[str, ...]:
    return tuple(task.id for task in tasks)

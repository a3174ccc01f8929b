"""Tasks that died by themselves, or fail their checks: counted for the backoff, and told to people."""

from __future__ import annotations

from turnout.ecs.checks import UNHEALTHY
from turnout.ecs.room import Room
from turnout.ecs.scheduling import backoff_s, failures_after
from turnout.ecs.service_rows import Service
from turnout.ecs.task_rows import Task
from turnout.store import Transaction

IMPAIRED_AFTER = 3
"""Failed starts in a row after which the service is said to be unable to start tasks."""


def count_failure(room: Room, tx: Transaction, service: Service, task: Task) -> None:
    """One more task of a set has failed: the next start waits longer.

    AWS throttles only what never reaches RUNNING. Here checks fail within seconds, so that what they end counts, too.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-throttle-logic.html
    """
    one = room.sets.find(task.task_set) if task.task_set else None
    if one is None:
        return
    now = room.clock.now()
    # A sick one may have been left running because its successor had to wait: that is not to have run well.
    well_since = task.running_at if sickness_of(task) is None else task.well_at
    ran_s = 0.0 if well_since is None else now - well_since
    failures = failures_after(one.failures, one.failed_wave_at, task.created_at, ran_s)
    room.sets.update(
        tx,
        one.id,
        failures=failures,
        failed_wave_at=max(one.failed_wave_at or 0.0, task.created_at),
        retry_at=now + backoff_s(failures),
        failed_tasks=one.failed_tasks + 1,
        failed_in_a_row=one.failed_in_a_row + 1,
    )
    room.runs.wake(tx, service.topic)
    if failures == IMPAIRED_AFTER > one.failures:
        room.say(
            tx,
            service,
            ") is unable to consistently start tasks successfully. For more information, see the Troubleshooting"
            " section of the Amazon ECS Developer Guide.",
        )
        detail = {"eventType": "WARN", "eventName": "SERVICE_TASK_START_IMPAIRED"}
        room.announce(tx, service.region, "ECS Service Action", (service.arn,), detail)


def sickness_of(task: Task) -> tuple[str, str] | None:
    """(the stoppedReason, what was seen) of a task that fails health checks: a container's before the balancer's."""
    for name, known in task.containers.items():
        if known.get("isEssential") and known["check"]["status"] == UNHEALTHY:
            return "Task failed container health checks", f"(container {name}, {known['check'].get('output')})"
    for group, seen in task.health.items():
        if seen.get("state") == "unhealthy":
            why = f"due to (reason {seen.get('description') or 'Health checks failed'})"
            return f"Task failed ELB health checks in (target-group {group})", why
    return None

"""What a decision about a service brings about: tasks that start and stop, figures, events, all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from turnout.ecs.definition_rows import parsed
from turnout.ecs.failures import count_failure, sickness_of
from turnout.ecs.launch import spec_of_set, start_task, tags_for
from turnout.ecs.room import Room
from turnout.ecs.scheduling import Decision, Figures
from turnout.ecs.service_rows import Service, TaskSet
from turnout.ecs.states import SCHEDULER
from turnout.ecs.task_rows import Task
from turnout.store import Transaction

MOST_STARTS = 50
"""Of a service in one look, which is one transaction: the engine answers others between two looks."""


class Acting:
    def __init__(self, room: Room) -> None:
        self._room = room

    def act(
        self,
        tx: Transaction,
        service: Service,
        sets: Sequence[TaskSet],
        tasks: dict[str, list[Task]],
        decision: Decision,
    ) -> None:
        for one in sets:
            self._tell_figures(tx, service, one, decision.figures[one.id])
            self._note_well(tx, service, one, [task for task in tasks[one.id] if task.id in decision.started_well])
        for one in sets:
            own = {task.id: task for task in tasks[one.id]}
            self._stop_unhealthy(tx, service, one, [own[i] for i in decision.unhealthy if i in own])
            self._stop_surplus(tx, service, one, [own[i] for i in decision.surplus if i in own])
            if count := decision.starts.get(one.id):
                self._start(tx, service, one, count)
            if one.id in decision.finished:
                self._room.wake_set(tx, one.id)
        if decision.is_steady != service.is_steady:
            self._room.services.put(tx, replace(service, is_steady=decision.is_steady))
            if decision.is_steady:
                self._tell_steady(tx, service)

    def _tell_figures(self, tx: Transaction, service: Service, one: TaskSet, fresh: Figures) -> None:
        room, now = self._room, self._room.clock.now()
        if (one.computed, one.running, one.pending, one.is_stable) == (
            fresh.computed,
            fresh.running,
            fresh.pending,
            fresh.is_stable,
        ):
            return
        changes: dict[str, object] = {
            "computed": fresh.computed,
            "running": fresh.running,
            "pending": fresh.pending,
            "is_stable": int(fresh.is_stable),
            "updated_at": now,
        }
        if one.is_stable != fresh.is_stable:
            changes["stable_at"] = now
        room.sets.update(tx, one.id, **changes)
        if not service.is_rolling:
            if one.computed != fresh.computed:
                room.say(tx, service, f") updated computedDesiredCount for taskSet {one.id} to {fresh.computed}.")
            if fresh.is_stable and not one.is_stable and fresh.computed:
                room.say(tx, service, f", taskSet {one.id}) updated state to STEADY_STATE.")
        room.runs.wake(tx, one.topic)
        room.runs.wake(tx, service.topic)

    def _note_well(self, tx: Transaction, service: Service, one: TaskSet, tasks: Sequence[Task]) -> None:
        """A task that started well is the end of a row of failed ones."""
        if not tasks:
            return
        for task in tasks:
            self._room.tasks.set_well(tx, task.id, self._room.clock.now())
        if one.failed_in_a_row:
            self._room.sets.update(tx, one.id, failed_in_a_row=0)
        self._room.runs.wake(tx, service.topic)

    def _stop_unhealthy(self, tx: Transaction, service: Service, one: TaskSet, tasks: Sequence[Task]) -> None:
        for task in tasks:
            reason, why = sickness_of(task) or ("Task failed health checks", "")
            self._room.say(tx, service, self._seen_unhealthy(service, one, task, why))
            count_failure(self._room, tx, service, task)
            self._stop(tx, task, reason)
        self._tell_stopped(tx, service, one, tasks)

    def _seen_unhealthy(self, service: Service, one: TaskSet, task: Task, why: str) -> str:
        """The event."""
        if task.fails_checks:
            return f"{_of_set(service, one)}) (task {task.id}) failed container health checks. {why}"
        group = next(group for group, seen in task.health.items() if seen.get("state") == "unhealthy")
        instance = self._room.instance(one.region, one.cluster)["ec2InstanceId"]
        port = next((port[1] for known in task.containers.values() for port in known.get("ports", ())), 0)
        return (
            f"{_of_set(service, one)}) (instance {instance}) (port {port}) is unhealthy in (target-group {group}) {why}"
        )

    def _stop_surplus(self, tx: Transaction, service: Service, one: TaskSet, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._stop(tx, task, f"Scaling activity initiated by (deployment {one.id})")
        self._tell_stopped(tx, service, one, tasks)

    def _stop(self, tx: Transaction, task: Task, reason: str) -> None:
        self._room.runs.request_stop(tx, task.run_id, code=SCHEDULER, message=reason, at=self._room.clock.now())

    def _tell_stopped(self, tx: Transaction, service: Service, one: TaskSet, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        named = " ".join(f"(task {task.id})" for task in tasks)
        self._room.say(tx, service, f"{_of_set(service, one)}) has stopped {len(tasks)} running tasks: {named}.")
        if one.target_groups:
            self._room.say(
                tx, service, f"{_of_set(service, one)}) has begun draining connections on {len(tasks)} tasks."
            )
        self._room.wake_set(tx, one.id)

    def _start(self, tx: Transaction, service: Service, one: TaskSet, count: int) -> None:
        room = self._room
        definition = room.definitions.find(one.region, *parsed(one.task_definition))
        if definition is None:
            room.say(tx, service, f"{_of_set(service, one)}) was unable to start tasks: {one.task_definition} is gone.")
            return
        count = min(count, MOST_STARTS)  # the rest at the next looks, which follow at once
        spec, tags = spec_of_set(room.sets.get(one.id), service, definition), tags_for(room, service, one)
        named = " ".join(f"(task {start_task(room, tx, spec, tags)})" for _ in range(count))
        room.say(tx, service, f"{_of_set(service, one)}) has started {count} tasks: {named}.")
        room.wake_set(tx, one.id)

    def _tell_steady(self, tx: Transaction, service: Service) -> None:
        room = self._room
        room.say(tx, service, ") has reached a steady state.")
        detail = {"eventType": "INFO", "eventName": "SERVICE_STEADY_STATE", "clusterArn": service.body["clusterArn"]}
        room.announce(tx, service.region, "ECS Service Action", (service.arn,), detail)


def finish_rollout(room: Room, tx: Transaction, service: Service, primary: TaskSet) -> None:
    """The deployment is complete: nothing of the former ones serves any longer."""
    reason = f"ECS deployment {primary.id} completed."
    body = {**primary.body, "rolloutState": "COMPLETED", "rolloutStateReason": reason}
    room.sets.update(tx, primary.id, body=body, updated_at=room.clock.now())
    room.say(tx, service, f") (deployment {primary.id}) deployment completed.")
    detail = {
        "eventType": "INFO",
        "eventName": "SERVICE_DEPLOYMENT_COMPLETED",
        "deploymentId": primary.id,
        "updatedAt": room.clock.now(),
        "reason": reason,
    }
    room.announce(tx, service.region, "ECS Deployment State Change", (service.arn,), detail)
    room.wake_service(tx, service)
    room.runs.wake(tx, primary.topic)


def _of_set(service: Service, one: TaskSet) -> str:
    return "" if service.is_rolling else f", taskSet {one.id}"

"""Health checks of containers: a run of kind "ecs.check" for each container that has one, for as long as it runs.

Its one step runs the command inside the container, writes down what follows (`checks.py`), and waits for the interval.
Whoever waits for the health is told: the task (dependsOn HEALTHY) and the scheduler of its set. After a crash the step
is due when it was to be; a check that was under way is made again.
"""

from __future__ import annotations

import logging
from typing import Any

from turnout.ecs.checks import UNKNOWN, after, command_of, delay_s
from turnout.ecs.containers import CHECK, Containers, begin_checking
from turnout.ecs.room import Room
from turnout.ecs.task_description import announce_task
from turnout.ecs.task_rows import Task
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Status, Step
from turnout.store import Transaction

log = logging.getLogger(__name__)


class CheckPlan(StraightPlan):
    kind = CHECK

    def __init__(self, room: Room, containers: Containers) -> None:
        self._room = room
        self._containers = containers

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        task, name, check = self._running(run), run.spec["container"], run.spec["check"]
        if task is None:
            return Done()
        known = task.containers[name]
        if step.note is None:
            # The first check is made after the interval, as by Docker.
            return Wait(delay_s(check, known, self._room.clock.now()), "not checked yet")
        began_at = self._room.clock.now()
        try:
            workload = await self._containers.workload(self._room.runs.get(task.run_id), name)
            ran = await self._room.runtime.exec(workload, command_of(check), float(check["timeout"]))
        except Exception as error:
            # That the check could not be made says nothing of the container; one that ends would leave it unchecked.
            log.exception("checking %s", run.name)
            return Wait(float(check["interval"]), f"trying again after {type(error).__name__}: {error}")
        if (task := self._running(run)) is None:
            return Done()
        fresh = after(check, task.containers[name], ran, began_at)
        with self._room.store.transaction() as tx:
            self._learn(tx, task, name, fresh)
        known = {**known, "check": fresh}
        why = f"{fresh['status']}" + (f", {fresh['failures']} failed checks" if fresh["failures"] else "")
        return Wait(delay_s(check, known, self._room.clock.now()), why)

    def _running(self, run: Run) -> Task | None:
        """The task, while the container runs."""
        task = self._room.tasks.find(run.lane or "")
        return task if task and task.containers.get(run.spec["container"], {}).get("isRunning") else None

    def _learn(self, tx: Transaction, task: Task, name: str, fresh: dict[str, Any]) -> None:
        room = self._room
        former = task.containers[name].get("check", {}).get("status", UNKNOWN)
        room.tasks.learn(tx, task.id, name, check=fresh)
        if fresh["status"] == former:
            return
        announce_task(room, tx, room.runs.get(task.run_id), task.last_status)
        for step in room.runs.steps(task.run_id):
            if step.status is Status.IN_PROGRESS:
                room.runs.signal(tx, step.id)
        room.wake_set(tx, task.task_set)

    def settle(self, tx: Transaction, run: Run, steps: object) -> None:
        """A container that runs goes on being checked, also if the engine was killed in its checks again and again."""
        self._room.runs.forget(tx, run.id)
        if self._running(run) is not None:
            begin_checking(self._room, tx, run.region, str(run.lane), run.spec)

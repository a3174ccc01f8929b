"""The rows of tasks. Where a task stands is read from the steps of its run, never written here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from turnout.ecs.checks import HEALTHY, UNHEALTHY
from turnout.ecs.states import STOPPED, desired_status, last_status
from turnout.jsontext import read
from turnout.store import Store, Transaction


@dataclass(frozen=True)
class Task:
    id: str
    run_id: int
    region: str
    cluster: str
    service: str | None
    task_set: str | None
    started_by: str | None
    family: str
    task_definition: str
    launch_type: str
    created_at: float
    containers: dict[str, dict[str, Any]]
    """What has become of each: runtimeId, host, ports, startedAt, isRunning, exitCode, reason, isEssential, check."""
    health: dict[str, dict[str, Any]]
    step: str | None
    """The first unfinished step of its run."""
    has_begun: bool
    is_asked_to_stop: bool
    running_at: float | None
    well_at: float | None
    """When it was first seen to run and to be healthy."""

    @property
    def last_status(self) -> str:
        return last_status(self.step, self.has_begun)

    @property
    def desired_status(self) -> str:
        return desired_status(self.step, self.is_asked_to_stop)

    @property
    def counts(self) -> bool:
        """Whether the task is one that its service relies on."""
        return self.desired_status == "RUNNING"

    @property
    def is_checked(self) -> bool:
        return bool(self._checks)

    @property
    def passes_checks(self) -> bool:
        """Whether every essential container with a health check is HEALTHY."""
        return all(status == HEALTHY for status in self._checks)

    @property
    def fails_checks(self) -> bool:
        """Whether an essential container is UNHEALTHY."""
        return UNHEALTHY in self._checks

    @property
    def _checks(self) -> list[str]:
        return [known["check"]["status"] for known in self.containers.values() if known.get("isEssential")]

    @property
    def is_stopped(self) -> bool:
        return self.step in (STOPPED, None)

    @property
    def is_leaving(self) -> bool:
        return not self.counts and not self.is_stopped


_SELECT = """
SELECT t.*, r.stop IS NOT NULL AS is_asked_to_stop, s.name AS step, s.status AS step_status,
    (SELECT a.ended_at FROM steps a WHERE a.run_id = t.run_id AND a.name = 'Activate' AND a.status = 'Succeeded')
        AS running_at
FROM ecs_tasks t JOIN runs r ON r.id = t.run_id
LEFT JOIN steps s ON s.id =
    (SELECT id FROM steps WHERE run_id = t.run_id AND status IN ('Pending', 'InProgress') ORDER BY rank LIMIT 1)
WHERE """


class TaskRows:
    """Every read and write of `ecs_tasks`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, task_id: str) -> Task | None:
        return next(iter(self._where("t.id = ?", task_id)), None)

    def get(self, task_id: str) -> Task:
        task = self.find(task_id)
        if task is None:
            raise KeyError(f"no task {task_id}")
        return task

    def of_cluster(self, region: str, cluster: str, service: str | None = None) -> list[Task]:
        """The tasks of a cluster, or of one service of it."""
        only, which = ("", ()) if service is None else ("AND t.service = ?", (service,))
        return self._where(f"t.region = ? AND t.cluster = ? {only}", region, cluster, *which)

    def of_set(self, set_id: str) -> list[Task]:
        """The tasks of a task set or deployment, oldest first."""
        return self._where("t.task_set = ?", set_id)

    def of_cause(self, cause: str | None) -> list[Task]:
        return [] if cause is None else self._where("t.cause = ?", cause)

    def open(self) -> list[Task]:
        """Every task of every region that has not stopped."""
        return [task for task in self._where("r.status IN ('Pending', 'InProgress')") if not task.is_stopped]

    def uses(self, task_definition: str) -> bool:
        """Whether a task that has not stopped was started from this revision."""
        return any(not task.is_stopped for task in self._where("t.task_definition = ?", task_definition))

    def _where(self, condition: str, *parameters: object) -> list[Task]:
        rows = self._store.all(f"{_SELECT}{condition} ORDER BY t.run_id", parameters)
        return [_task(row) for row in rows]

    def insert(self, tx: Transaction, run_id: int, task_id: str, spec: dict[str, Any], cause: str | None) -> None:
        tx.execute(
            "INSERT INTO ecs_tasks (id, run_id, region, cluster, service, task_set, started_by, family,"
            " task_definition, launch_type, cause, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task_id,
                run_id,
                spec["region"],
                spec["cluster"],
                spec.get("service"),
                spec.get("taskSet"),
                spec.get("startedBy"),
                spec["family"],
                spec["taskDefinitionArn"],
                spec["launchType"],
                cause,
                spec["createdAt"],
            ),
        )

    def learn(self, tx: Transaction, task_id: str, container: str, **facts: Any) -> bool:
        """Add to what is known of a container. Returns whether it was news."""
        containers = self._containers(task_id)
        known = containers.get(container, {})
        if all(name in known and known[name] == value for name, value in facts.items()):
            return False
        containers[container] = {**known, **facts}
        tx.execute("UPDATE ecs_tasks SET containers = ? WHERE id = ?", (json.dumps(containers), task_id))
        return True

    def set_health(self, tx: Transaction, task_id: str, health: dict[str, dict[str, Any]]) -> None:
        tx.execute("UPDATE ecs_tasks SET health = ? WHERE id = ?", (json.dumps(health), task_id))

    def set_well(self, tx: Transaction, task_id: str, at: float) -> None:
        tx.execute("UPDATE ecs_tasks SET well_at = ? WHERE id = ?", (at, task_id))

    def _containers(self, task_id: str) -> dict[str, dict[str, Any]]:
        row = self._store.one("SELECT containers FROM ecs_tasks WHERE id = ?", (task_id,))
        found: dict[str, dict[str, Any]] = read(row["containers"]) if row else {}
        return found


def counted(tasks: Sequence[Task]) -> tuple[int, int]:
    """(running, pending) as AWS counts them."""
    running = sum(task.last_status == "RUNNING" for task in tasks)
    pending = sum(task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING") for task in tasks)
    return running, pending


def _task(row: sqlite3.Row) -> Task:
    return Task(
        id=row["id"],
        run_id=row["run_id"],
        region=row["region"],
        cluster=row["cluster"],
        service=row["service"],
        task_set=row["task_set"],
        started_by=row["started_by"],
        family=row["family"],
        task_definition=row["task_definition"],
        launch_type=row["launch_type"],
        created_at=row["created_at"],
        containers=read(row["containers"]),
        health=read(row["health"]),
        step=row["step"],
        has_begun=row["step_status"] == "InProgress",
        is_asked_to_stop=bool(row["is_asked_to_stop"]),
        running_at=row["running_at"],
        well_at=row["well_at"],
    )

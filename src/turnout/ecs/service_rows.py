"""The rows of services, of their task sets (and deployments), and of their events."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from turnout.jsontext import read
from turnout.names import arn, new_uuid
from turnout.store import Store, Transaction

MOST_EVENTS = 100
STALLED = "isStalled"
"""A member of a set's body that AWS does not tell: its deployment has failed, and launches no new tasks."""


@dataclass(frozen=True)
class Service:
    region: str
    cluster: str
    name: str
    status: str
    desired: int
    is_steady: bool
    token: str | None
    created_at: float
    body: dict[str, Any]
    """As AWS describes it, without what is counted."""

    @property
    def arn(self) -> str:
        return arn("ecs", self.region, f"service/{self.cluster}/{self.name}")

    @property
    def controller(self) -> str:
        return str(self.body["deploymentController"]["type"])

    @property
    def topic(self) -> str:
        """Woken when what its deployment waits for may have changed: counts, health, failed tasks."""
        return f"ecs.tasks/{self.region}/{self.cluster}/{self.name}"

    @property
    def is_rolling(self) -> bool:
        return self.controller == "ECS"

    @property
    def shifts(self) -> bool:
        """Whether ECS itself shifts traffic from one deployment to the next (BLUE_GREEN, CANARY, LINEAR)."""
        return self.is_rolling and self.body["deploymentConfiguration"].get("strategy", "ROLLING") != "ROLLING"


@dataclass(frozen=True)
class TaskSet:
    """A task set, or a deployment of a service under the ECS controller."""

    id: str
    region: str
    cluster: str
    service: str
    arn: str
    status: str
    task_definition: str
    scale: float
    pins: dict[str, str]
    body: dict[str, Any]
    computed: int
    running: int
    pending: int
    is_stable: bool
    stable_at: float
    created_at: float
    updated_at: float
    failures: int
    failed_wave_at: float | None
    retry_at: float | None
    failed_tasks: int
    failed_in_a_row: int
    run_id: int | None

    @property
    def topic(self) -> str:
        """Woken when its counts or its stability may have changed, and when it is gone."""
        return f"ecs.taskset/{self.region}/{self.arn}"

    @property
    def target_groups(self) -> list[str]:
        return [balancer["targetGroupArn"] for balancer in self.body.get("loadBalancers", ())]


class ServiceRows:
    """Every read and write of `ecs_services`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, region: str, cluster: str, name: str) -> Service | None:
        row = self._store.one(
            "SELECT * FROM ecs_services WHERE region = ? AND cluster = ? AND name = ?", (region, cluster, name)
        )
        return None if row is None else _service(row)

    def of_cluster(self, region: str, cluster: str) -> list[Service]:
        rows = self._store.all(
            "SELECT * FROM ecs_services WHERE region = ? AND cluster = ? ORDER BY name", (region, cluster)
        )
        return [_service(row) for row in rows]

    def put(self, tx: Transaction, service: Service) -> None:
        """Insert a service, or replace the one of its name."""
        tx.execute(
            "INSERT OR REPLACE INTO ecs_services VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                service.region,
                service.cluster,
                service.name,
                service.status,
                service.desired,
                int(service.is_steady),
                service.token,
                service.created_at,
                json.dumps(service.body),
            ),
        )

    def say(self, tx: Transaction, region: str, cluster: str, service: str, at: float, message: str) -> None:
        """One more event; the newest hundred are kept."""
        where = (region, cluster, service)
        tx.execute(
            "INSERT INTO ecs_events (uuid, region, cluster, service, at, message) VALUES (?, ?, ?, ?, ?, ?)",
            (new_uuid(), *where, at, message),
        )
        tx.execute(
            "DELETE FROM ecs_events WHERE region = ? AND cluster = ? AND service = ? AND id <="
            " (SELECT id FROM ecs_events WHERE region = ? AND cluster = ? AND service = ?"
            "  ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (*where, *where, MOST_EVENTS),
        )

    def events(self, service: Service) -> list[dict[str, Any]]:
        """As AWS describes them, newest first."""
        rows = self._store.all(
            "SELECT uuid, at, message FROM ecs_events WHERE region = ? AND cluster = ? AND service = ?"
            " ORDER BY id DESC",
            (service.region, service.cluster, service.name),
        )
        return [{"id": row["uuid"], "createdAt": row["at"], "message": row["message"]} for row in rows]

    def forget_events(self, tx: Transaction, service: Service) -> None:
        tx.execute(
            "DELETE FROM ecs_events WHERE region = ? AND cluster = ? AND service = ?",
            (service.region, service.cluster, service.name),
        )


class TaskSetRows:
    """Every read and write of `ecs_task_sets`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, set_id: str) -> TaskSet | None:
        row = self._store.one("SELECT * FROM ecs_task_sets WHERE id = ?", (set_id,))
        return None if row is None else _task_set(row)

    def get(self, set_id: str) -> TaskSet:
        found = self.find(set_id)
        if found is None:
            raise KeyError(f"no task set {set_id}")
        return found

    def of_cause(self, cause: str | None) -> TaskSet | None:
        row = cause and self._store.one("SELECT * FROM ecs_task_sets WHERE cause = ?", (cause,))
        return _task_set(row) if row else None

    def of_service(self, service: Service) -> list[TaskSet]:
        """The sets of a service, oldest first."""
        rows = self._store.all(
            "SELECT * FROM ecs_task_sets WHERE region = ? AND cluster = ? AND service = ? ORDER BY created_at, run_id",
            (service.region, service.cluster, service.name),
        )
        return [_task_set(row) for row in rows]

    def everywhere(self) -> list[TaskSet]:
        return [_task_set(row) for row in self._store.all("SELECT * FROM ecs_task_sets ORDER BY created_at")]

    def uses(self, task_definition: str) -> bool:
        sql = "SELECT 1 FROM ecs_task_sets WHERE task_definition = ? LIMIT 1"
        return self._store.one(sql, (task_definition,)) is not None

    def insert(self, tx: Transaction, one: TaskSet, cause: str | None) -> None:
        tx.execute(
            "INSERT INTO ecs_task_sets (id, region, cluster, service, arn, status, cause, task_definition, scale, pins,"
            " body, stable_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.id,
                one.region,
                one.cluster,
                one.service,
                one.arn,
                one.status,
                cause,
                one.task_definition,
                one.scale,
                json.dumps(one.pins),
                json.dumps(one.body),
                one.created_at,
                one.created_at,
                one.created_at,
            ),
        )

    def update(self, tx: Transaction, set_id: str, **columns: object) -> None:
        """Write some columns; documents are given as they are."""
        names = ", ".join(f"{name} = ?" for name in columns)
        values = [json.dumps(value) if isinstance(value, dict) else value for value in columns.values()]
        tx.execute(f"UPDATE ecs_task_sets SET {names} WHERE id = ?", (*values, set_id))

    def pin(self, tx: Transaction, set_id: str, container: str, image: str) -> str:
        """The image by digest that every task of the set uses: whoever comes first decides."""
        one = self.get(set_id)
        if container not in one.pins:
            self.update(tx, set_id, pins={**one.pins, container: image})
            return image
        return one.pins[container]

    def delete(self, tx: Transaction, set_id: str) -> None:
        tx.execute("DELETE FROM ecs_task_sets WHERE id = ?", (set_id,))


def _service(row: sqlite3.Row) -> Service:
    return Service(
        region=row["region"],
        cluster=row["cluster"],
        name=row["name"],
        status=row["status"],
        desired=row["desired"],
        is_steady=bool(row["is_steady"]),
        token=row["token"],
        created_at=row["created_at"],
        body=read(row["body"]),
    )


def _task_set(row: sqlite3.Row) -> TaskSet:
    members = {name: row[name] for name in TaskSet.__dataclass_fields__}
    members |= {"pins": read(row["pins"]), "body": read(row["body"]), "is_stable": bool(row["is_stable"])}
    return TaskSet(**members)

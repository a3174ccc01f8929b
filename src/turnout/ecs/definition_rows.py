"""The rows of task definitions: families and their revisions."""

from __future__ import annotations

import json
from typing import Any

from turnout.errors import AwsError
from turnout.jsontext import read
from turnout.names import arn, is_arn, resource_of
from turnout.store import Store, Transaction


class TaskDefinitionRows:
    """Every read and write of `ecs_families` and `ecs_task_definitions`. Bodies are as AWS describes them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, tx: Transaction, region: str, body: dict[str, Any], cause: str | None) -> dict[str, Any]:
        """The next revision of its family."""
        family = body["family"]
        tx.execute(
            "INSERT INTO ecs_families VALUES (?, ?, 1)"
            " ON CONFLICT (region, family) DO UPDATE SET revision = revision + 1",
            (region, family),
        )
        row = self._store.one("SELECT revision FROM ecs_families WHERE region = ? AND family = ?", (region, family))
        assert row is not None
        revision = row["revision"]
        whole = {
            "taskDefinitionArn": arn("ecs", region, f"task-definition/{family}:{revision}"),
            **body,
            "revision": revision,
            "status": "ACTIVE",
        }
        tx.execute(
            "INSERT INTO ecs_task_definitions VALUES (?, ?, ?, 'ACTIVE', ?, ?)",
            (region, family, revision, cause, json.dumps(whole)),
        )
        return whole

    def of_cause(self, cause: str | None) -> dict[str, Any] | None:
        row = cause and self._store.one("SELECT body FROM ecs_task_definitions WHERE cause = ?", (cause,))
        return read(row["body"]) if row else None

    def find(self, region: str, family: str, revision: int | None) -> dict[str, Any] | None:
        """A revision, or the latest ACTIVE one."""
        if revision is None:
            row = self._store.one(
                "SELECT body FROM ecs_task_definitions WHERE region = ? AND family = ? AND status = 'ACTIVE'"
                " ORDER BY revision DESC LIMIT 1",
                (region, family),
            )
        else:
            row = self._store.one(
                "SELECT body FROM ecs_task_definitions WHERE region = ? AND family = ? AND revision = ?",
                (region, family, revision),
            )
        return None if row is None else read(row["body"])

    def put(self, tx: Transaction, region: str, body: dict[str, Any]) -> None:
        """Write what has changed of a revision."""
        tx.execute(
            "UPDATE ecs_task_definitions SET status = ?, body = ? WHERE region = ? AND family = ? AND revision = ?",
            (body["status"], json.dumps(body), region, body["family"], body["revision"]),
        )

    def delete(self, tx: Transaction, region: str, body: dict[str, Any]) -> None:
        """Forget a revision; its number is never given again."""
        tx.execute(
            "DELETE FROM ecs_task_definitions WHERE region = ? AND family = ? AND revision = ?",
            (region, body["family"], body["revision"]),
        )

    def revisions(self, region: str, status: str, family: str | None = None) -> list[tuple[str, int]]:
        """(family, revision) of a status, in that order."""
        only, parameters = ("AND family = ?", (region, status, family)) if family else ("", (region, status))
        rows = self._store.all(
            f"SELECT family, revision FROM ecs_task_definitions WHERE region = ? AND status = ? {only}"
            " ORDER BY family, revision",
            parameters,
        )
        return [(row["family"], row["revision"]) for row in rows]

    def families(self, region: str, status: str) -> list[str]:
        """Families of a status: ACTIVE with an ACTIVE revision, INACTIVE with others only, ALL."""
        rows = self._store.all(
            "SELECT family, max(status = 'ACTIVE') AS is_active FROM ecs_task_definitions WHERE region = ?"
            " GROUP BY family ORDER BY family",
            (region,),
        )
        wanted = {"ACTIVE": (1,), "INACTIVE": (0,), "ALL": (0, 1)}[status]
        return [row["family"] for row in rows if row["is_active"] in wanted]

    def being_deleted(self) -> list[tuple[str, dict[str, Any]]]:
        """(region, body) of every revision whose deletion waits for its last user."""
        rows = self._store.all("SELECT region, body FROM ecs_task_definitions WHERE status = 'DELETE_IN_PROGRESS'")
        return [(row["region"], read(row["body"])) for row in rows]


def is_revision(text: str) -> bool:
    """Whether a text can number a revision: AWS's are integers of 32 bits."""
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31


def parsed(text: str) -> tuple[str, int | None]:
    """("web", 3) of web:3 or of its ARN; ("web", None) of web."""
    name = resource_of(text).removeprefix("task-definition/") if is_arn(text) else text
    family, colon, revision = name.partition(":")
    if not colon:
        return family, None
    if not is_revision(revision):
        raise AwsError("ClientException", f"Invalid revision number. Number: {revision}")
    return family, int(revision)

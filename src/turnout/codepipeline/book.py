"""Every read and write of the room's rows."""

from __future__ import annotations

import json
from typing import Any

from turnout.clock import Clock
from turnout.codepipeline.records import Action, Execution, Stay, action_of, execution_of, stay_of
from turnout.runs import Runs, Step
from turnout.store import Store, Transaction

NEWEST = (1 << 63) - 1


class Book:
    def __init__(self, store: Store, runs: Runs, clock: Clock) -> None:
        self._store = store
        self._runs = runs
        self._clock = clock

    # Executions

    def add_execution(
        self,
        tx: Transaction,
        execution_id: str,
        pipeline: str,
        run_id: int,
        version: int,
        trigger: tuple[str, str | None],
        *,
        token: str | None = None,
        variables: dict[str, str] | None = None,
        revisions: dict[str, str] | None = None,
    ) -> None:
        tx.execute(
            "INSERT INTO codepipeline_executions (id, pipeline, run_id, first_run_id, version, trigger_type,"
            " trigger_detail, token, variables, revisions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(execution_id, pipeline, run_id, run_id, version, *trigger, token),
                *(json.dumps(variables or {}), json.dumps(revisions or {})),
            ),
        )

    def continue_with(self, tx: Transaction, execution_id: str, run_id: int) -> None:
        """A further run continues the execution."""
        tx.execute("UPDATE codepipeline_executions SET run_id = ? WHERE id = ?", (run_id, execution_id))

    def find_execution(self, pipeline: str, execution_id: str) -> Execution | None:
        row = self._store.one(
            "SELECT * FROM codepipeline_executions WHERE pipeline = ? AND id = ?", (pipeline, execution_id)
        )
        return None if row is None else execution_of(row)

    def find_by_token(self, pipeline: str, token: str) -> Execution | None:
        row = self._store.one(
            "SELECT * FROM codepipeline_executions WHERE pipeline = ? AND token = ?", (pipeline, token)
        )
        return None if row is None else execution_of(row)

    def executions(self, pipeline: str, before: int | None, limit: int) -> list[Execution]:
        """Newest first; older than number `before`."""
        rows = self._store.all(
            "SELECT * FROM codepipeline_executions WHERE pipeline = ? AND number < ? ORDER BY number DESC LIMIT ?",
            (pipeline, NEWEST if before is None else before, limit),
        )
        return [execution_of(row) for row in rows]

    def in_front_of(self, pipeline: str, gate: str) -> list[tuple[int, str, int]]:
        """(number, execution id, run id) of those whose step `gate` is begun or due, newest first."""
        # CROSS JOIN keeps the order: from the few open runs to their executions, not from all executions
        rows = self._store.all(
            "SELECT e.number, e.id, e.run_id FROM runs r CROSS JOIN codepipeline_executions e ON e.run_id = r.id"
            " CROSS JOIN steps s ON s.run_id = r.id WHERE r.kind = 'codepipeline'"
            " AND r.status IN ('Pending', 'InProgress') AND r.stop IS NULL AND e.pipeline = ? AND s.name = ?"
            " AND (s.status = 'InProgress' OR (s.status = 'Pending' AND s.wake_at IS NOT NULL)) ORDER BY e.number DESC",
            (pipeline, gate),
        )
        return [(row["number"], row["id"], row["run_id"]) for row in rows]

    # Stays

    def enter(self, tx: Transaction, pipeline: str, stage: str, execution_id: str, run_id: int) -> None:
        """Take the lock of a stage. Raises sqlite3.IntegrityError if somebody is inside."""
        tx.execute(
            "INSERT INTO codepipeline_stays (pipeline, stage, execution_id, run_id, entered_at) VALUES (?, ?, ?, ?, ?)",
            (pipeline, stage, execution_id, run_id, self._clock.now()),
        )

    def leave(self, tx: Transaction, stay: Stay) -> None:
        tx.execute("UPDATE codepipeline_stays SET left_at = ? WHERE id = ?", (self._clock.now(), stay.id))

    def inside(self, pipeline: str, stage: str) -> Stay | None:
        """The stay that holds the lock of a stage."""
        row = self._store.one(
            "SELECT * FROM codepipeline_stays WHERE pipeline = ? AND stage = ? AND left_at IS NULL", (pipeline, stage)
        )
        return None if row is None else stay_of(row)

    def latest_stay(self, pipeline: str, stage: str) -> Stay | None:
        row = self._store.one(
            "SELECT * FROM codepipeline_stays WHERE pipeline = ? AND stage = ? ORDER BY id DESC LIMIT 1",
            (pipeline, stage),
        )
        return None if row is None else stay_of(row)

    def stays_of(self, run_id: int) -> list[Stay]:
        """In the order of entering."""
        return [
            stay_of(row)
            for row in self._store.all("SELECT * FROM codepipeline_stays WHERE run_id = ? ORDER BY id", (run_id,))
        ]

    def stays_in(self, pipeline: str, stage: str) -> list[Stay]:
        rows = self._store.all(
            "SELECT * FROM codepipeline_stays WHERE pipeline = ? AND stage = ? ORDER BY id", (pipeline, stage)
        )
        return [stay_of(row) for row in rows]

    # Actions

    def add_action(self, tx: Transaction, action: Action, pipeline: str) -> None:
        tx.execute(
            "INSERT INTO codepipeline_actions (step_id, id, pipeline, execution_id, run_id, stage, name, input,"
            " outputs, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(action.step_id, action.id, pipeline, action.execution_id, action.run_id, action.stage, action.name),
                *(json.dumps(action.input), json.dumps(action.outputs), action.changed_at),
            ),
        )

    def note(self, tx: Transaction, step_id: int, facts: dict[str, Any]) -> None:
        """Replace what is known about an action."""
        tx.execute(
            "UPDATE codepipeline_actions SET facts = ?, changed_at = ? WHERE step_id = ?",
            (json.dumps(facts), self._clock.now(), step_id),
        )

    def find_action(self, step_id: int) -> Action | None:
        row = self._store.one("SELECT * FROM codepipeline_actions WHERE step_id = ?", (step_id,))
        return None if row is None else action_of(row)

    def latest_action(self, pipeline: str, stage: str, name: str) -> Action | None:
        row = self._store.one(
            "SELECT * FROM codepipeline_actions WHERE pipeline = ? AND stage = ? AND name = ?"
            " ORDER BY step_id DESC LIMIT 1",
            (pipeline, stage, name),
        )
        return None if row is None else action_of(row)

    def actions_in(self, execution_id: str) -> list[tuple[Action, Step]]:
        """Of one execution, all its runs, oldest first."""
        rows = self._store.all(
            "SELECT * FROM codepipeline_actions WHERE execution_id = ? ORDER BY step_id", (execution_id,)
        )
        return [(action, self._runs.step(action.step_id)) for action in map(action_of, rows)]

    def find_action_by_id(self, pipeline: str, action_execution_id: str) -> Action | None:
        row = self._store.one(
            "SELECT * FROM codepipeline_actions WHERE pipeline = ? AND id = ?", (pipeline, action_execution_id)
        )
        return None if row is None else action_of(row)

    def actions_of(self, pipeline: str, before: int | None, limit: int) -> list[tuple[Action, Step]]:
        """Of all executions of a pipeline, newest first; those before the step `before`."""
        rows = self._store.all(
            "SELECT * FROM codepipeline_actions WHERE pipeline = ? AND step_id < ? ORDER BY step_id DESC LIMIT ?",
            (pipeline, NEWEST if before is None else before, limit),
        )
        return [(action, self._runs.step(action.step_id)) for action in map(action_of, rows)]

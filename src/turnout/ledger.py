"""What is read of runs and steps. Their rows are the truth: nothing is remembered beside them."""

from __future__ import annotations

import sqlite3

from turnout.rows import Run, Step, run_of, step_of
from turnout.store import Store


class Ledger:
    """Every read of runs and steps."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, run_id: int) -> Run:
        row = self.store.one("SELECT * FROM runs WHERE id = ?", (run_id,))
        if row is None:
            raise KeyError(f"no run {run_id}")
        return run_of(row)

    def find(self, kind: str, region: str, name: str) -> Run | None:
        row = self.store.one("SELECT * FROM runs WHERE kind = ? AND region = ? AND name = ?", (kind, region, name))
        return None if row is None else run_of(row)

    def caused_by(self, cause: str | None) -> Run | None:
        """The run that this cause has brought about already."""
        row = cause and self.store.one("SELECT * FROM runs WHERE cause = ?", (cause,))
        return run_of(row) if row else None

    def of_lane(self, kind: str, region: str, lane: str, *, is_open: bool = False, limit: int = -1) -> list[Run]:
        """The runs of a lane, newest first."""
        only = "AND status IN ('Pending', 'InProgress')" if is_open else ""
        return [
            run_of(row)
            for row in self.store.all(
                f"SELECT * FROM runs WHERE kind = ? AND region = ? AND lane = ? {only} ORDER BY id DESC LIMIT ?",
                (kind, region, lane, limit),
            )
        ]

    def of_kind(self, kind: str, region: str | None = None, *, is_open: bool = False) -> list[Run]:
        """The runs of a kind, newest first, of one region or of all."""
        only = "AND status IN ('Pending', 'InProgress')" if is_open else ""
        where, parameters = ("", (kind,)) if region is None else ("AND region = ?", (kind, region))
        return [
            run_of(row)
            for row in self.store.all(f"SELECT * FROM runs WHERE kind = ? {where} {only} ORDER BY id DESC", parameters)
        ]

    def names(self, kind: str, region: str, lane: str | None = None) -> list[str]:
        """The names of the runs of a kind, newest first, of one lane or of all."""
        where, parameters = ("", (kind, region)) if lane is None else ("AND lane = ?", (kind, region, lane))
        rows = self.store.all(
            f"SELECT name FROM runs WHERE kind = ? AND region = ? {where} ORDER BY id DESC", parameters
        )
        return [row["name"] for row in rows]

    def steps(self, run_id: int) -> list[Step]:
        """The steps of a run in their order."""
        return [step_of(r) for r in self.store.all("SELECT * FROM steps WHERE run_id = ? ORDER BY rank, id", (run_id,))]

    def step(self, step_id: int) -> Step:
        row = self.store.one("SELECT * FROM steps WHERE id = ?", (step_id,))
        if row is None:
            raise KeyError(f"no step {step_id}")
        return step_of(row)

    def find_step(self, run_id: int, name: str) -> Step | None:
        row = self.store.one("SELECT * FROM steps WHERE run_id = ? AND name = ?", (run_id, name))
        return None if row is None else step_of(row)

    def events(self, run_id: int) -> list[sqlite3.Row]:
        """Every move of a run and of its steps, oldest first: at, step_id, was, became, message."""
        return self.store.all("SELECT * FROM events WHERE run_id = ? ORDER BY id", (run_id,))

    def under_way(self) -> list[tuple[str, Step]]:
        """(kind of its run, step) of every step that has begun and has not ended."""
        rows = self.store.all(
            "SELECT r.kind, s.* FROM runs r JOIN steps s ON s.run_id = r.id"
            " WHERE r.status IN ('Pending', 'InProgress') AND s.status = 'InProgress'"
        )
        return [(row["kind"], step_of(row)) for row in rows]

    def due(self, now: float) -> list[Step]:
        return [
            step_of(row)
            for row in self.store.all("SELECT * FROM steps WHERE wake_at <= ? ORDER BY wake_at, id", (now,))
        ]

    def next_wake_at(self, after: float) -> float | None:
        row = self.store.one("SELECT min(wake_at) AS at FROM steps WHERE wake_at > ?", (after,))
        return row["at"] if row else None

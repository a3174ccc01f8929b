"""What a run and a step are: their rows and their states."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from turnout.jsontext import read
from turnout.store import Transaction


class Status(StrEnum):
    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    SKIPPED = "Skipped"

    @property
    def is_over(self) -> bool:
        return self not in (Status.PENDING, Status.IN_PROGRESS)


SCHEMA = [
    """
CREATE TABLE runs (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,                 -- AWS's id of it: d-ABC123DEF, project:uuid
    lane       TEXT,                          -- what it belongs to: a deployment group, a pipeline, a service
    exclusive  INTEGER NOT NULL DEFAULT 0,    -- 1: the only unfinished one of its kind in its lane
    cause      TEXT UNIQUE,                   -- who asked for it: the same cause returns the same run
    status     TEXT NOT NULL CHECK (status IN ('Pending','InProgress','Succeeded','Failed','Stopped')),
    spec       TEXT NOT NULL,                 -- frozen and validated before the answer
    facts      TEXT NOT NULL DEFAULT '{}',    -- what was learnt on the way
    stop       TEXT,                          -- StopDeployment, StopBuild …: how it was asked to stop
    code       TEXT, message TEXT,            -- why it failed
    created_at REAL NOT NULL, started_at REAL, ended_at REAL,
    UNIQUE (kind, region, name)
);
CREATE UNIQUE INDEX runs_exclusive ON runs (kind, region, lane)
    WHERE exclusive = 1 AND status IN ('Pending', 'InProgress');
CREATE INDEX runs_lane ON runs (kind, region, lane, id);
CREATE INDEX runs_open ON runs (kind) WHERE status IN ('Pending', 'InProgress');
CREATE TABLE steps (
    id         INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    rank       INTEGER NOT NULL,              -- steps of equal rank run together
    name       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('Pending','InProgress','Succeeded','Failed','Stopped','Skipped')),
    spec       TEXT NOT NULL DEFAULT '{}',
    result     TEXT NOT NULL DEFAULT '{}',
    answer     TEXT,                          -- an approval, a hook's result, ContinueDeployment
    note       TEXT,                          -- why it waits
    attempts   INTEGER NOT NULL DEFAULT 0,    -- pick-ups since it last parked: over five means it kills the engine
    signals    INTEGER NOT NULL DEFAULT 0,
    wake_at    REAL,                          -- due then; NULL: not due
    wake_on    TEXT,                          -- or as soon as this topic is woken
    timeout_s  REAL, deadline_at REAL,
    code       TEXT, message TEXT,
    started_at REAL, ended_at REAL,
    UNIQUE (run_id, name)
);
CREATE INDEX steps_due ON steps (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX steps_topic ON steps (wake_on) WHERE wake_on IS NOT NULL;
CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    at      REAL NOT NULL,
    run_id  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step_id INTEGER,
    was     TEXT, became TEXT NOT NULL,
    message TEXT
);
CREATE INDEX events_run ON events (run_id, id);
""",
    """
DROP INDEX runs_open;
CREATE INDEX runs_open ON runs (kind, region, lane, id) WHERE status IN ('Pending', 'InProgress');
""",
    # SQLite gives the number of a forgotten row again if it was the highest, and what a step asks for is asked for
    # under its number: the new step would be answered with what the former one got. A home that was written before this
    # does not know which numbers it has given: it goes on far above them.
    """
CREATE TABLE numbers_given (
    of   TEXT PRIMARY KEY,                    -- runs, steps
    last INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO numbers_given SELECT 'runs', coalesce((SELECT max(id) FROM runs), 0)
    + CASE WHEN EXISTS (SELECT 1 FROM migrations WHERE room = 'runs') THEN 1000000 ELSE 0 END;
INSERT INTO numbers_given SELECT 'steps', coalesce((SELECT max(id) FROM steps), 0)
    + CASE WHEN EXISTS (SELECT 1 FROM migrations WHERE room = 'runs') THEN 1000000 ELSE 0 END;
""",
]


def new_number(tx: Transaction, of: str) -> int:
    """A number that no other row of this table ("runs", "steps") has, has had, or will be given."""
    row = tx.execute("UPDATE numbers_given SET last = last + 1 WHERE of = ? RETURNING last", (of,)).fetchone()
    return int(row["last"])


@dataclass(frozen=True)
class Run:
    id: int
    kind: str
    region: str
    name: str
    lane: str | None
    cause: str | None
    status: Status
    spec: dict[str, Any]
    facts: dict[str, Any]
    stop: dict[str, Any] | None
    code: str | None
    message: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True)
class Step:
    id: int
    run_id: int
    rank: int
    name: str
    status: Status
    spec: dict[str, Any]
    result: dict[str, Any]
    answer: dict[str, Any] | None
    note: str | None
    attempts: int
    signals: int
    wake_at: float | None
    wake_on: str | None
    timeout_s: float | None
    deadline_at: float | None
    code: str | None
    message: str | None
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True)
class StepSpec:
    """A step as a plan declares it. `timeout_s` is counted from its start; None waits for ever."""

    name: str
    rank: int
    timeout_s: float | None = None
    spec: dict[str, Any] = field(default_factory=dict)


def run_of(row: sqlite3.Row) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        region=row["region"],
        name=row["name"],
        lane=row["lane"],
        cause=row["cause"],
        status=Status(row["status"]),
        spec=_document(row["spec"]),
        facts=_document(row["facts"]),
        stop=None if row["stop"] is None else read(row["stop"]),
        code=row["code"],
        message=row["message"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def step_of(row: sqlite3.Row) -> Step:
    return Step(
        id=row["id"],
        run_id=row["run_id"],
        rank=row["rank"],
        name=row["name"],
        status=Status(row["status"]),
        spec=_document(row["spec"]),
        result=_document(row["result"]),
        answer=None if row["answer"] is None else read(row["answer"]),
        note=row["note"],
        attempts=row["attempts"],
        signals=row["signals"],
        wake_at=row["wake_at"],
        wake_on=row["wake_on"],
        timeout_s=row["timeout_s"],
        deadline_at=row["deadline_at"],
        code=row["code"],
        message=row["message"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def _document(text: str) -> dict[str, Any]:
    """Most are empty, and steps are read more often than anything else."""
    found: dict[str, Any] = {} if text == "{}" else read(text)
    return found

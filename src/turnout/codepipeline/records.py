"""The room's own rows: executions, their stays in stages, and their actions.

Statuses are not kept here: they are those of runs and steps, read through `statuses`. An execution points to its
newest run (a retry is a further run of the same execution); a stay in a stage is the lock of that stage for as long
as `left_at` is empty, which a unique index holds; an action is the other half of its step.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from turnout.jsontext import read

SCHEMA = [
    """
CREATE TABLE codepipeline_executions (
    number         INTEGER PRIMARY KEY,        -- their age: a higher number is newer
    id             TEXT NOT NULL UNIQUE,       -- pipelineExecutionId
    pipeline       TEXT NOT NULL,              -- the uid of the pipeline: a name may be used again
    run_id         INTEGER NOT NULL REFERENCES runs (id),  -- the newest one
    first_run_id   INTEGER NOT NULL REFERENCES runs (id),
    version        INTEGER NOT NULL,
    trigger_type   TEXT NOT NULL,
    trigger_detail TEXT,
    token          TEXT,                       -- clientRequestToken
    variables      TEXT NOT NULL DEFAULT '{}',
    revisions      TEXT NOT NULL DEFAULT '{}', -- action name → the revision that it was told to take
    UNIQUE (pipeline, token)
);
CREATE INDEX codepipeline_executions_of ON codepipeline_executions (pipeline, number);
CREATE INDEX codepipeline_executions_run ON codepipeline_executions (run_id);
CREATE TABLE codepipeline_stays (
    id           INTEGER PRIMARY KEY,
    pipeline     TEXT NOT NULL,
    stage        TEXT NOT NULL,
    execution_id TEXT NOT NULL REFERENCES codepipeline_executions (id),
    run_id       INTEGER NOT NULL REFERENCES runs (id),
    entered_at   REAL NOT NULL,
    left_at      REAL
);
CREATE UNIQUE INDEX codepipeline_lock ON codepipeline_stays (pipeline, stage) WHERE left_at IS NULL;
CREATE INDEX codepipeline_stays_of ON codepipeline_stays (pipeline, stage, id);
CREATE TABLE codepipeline_actions (
    step_id      INTEGER PRIMARY KEY REFERENCES steps (id),
    id           TEXT NOT NULL UNIQUE,         -- actionExecutionId
    pipeline     TEXT NOT NULL,
    execution_id TEXT NOT NULL REFERENCES codepipeline_executions (id),
    run_id       INTEGER NOT NULL REFERENCES runs (id),
    stage        TEXT NOT NULL,
    name         TEXT NOT NULL,
    input        TEXT NOT NULL,                -- AWS's ActionExecutionInput
    outputs      TEXT NOT NULL,                -- AWS's outputArtifacts
    facts        TEXT NOT NULL DEFAULT '{}',   -- what was learnt on the way: external id, token, revision …
    changed_at   REAL NOT NULL
);
CREATE INDEX codepipeline_actions_of ON codepipeline_actions (pipeline, step_id);
CREATE INDEX codepipeline_actions_at ON codepipeline_actions (pipeline, stage, name, step_id);
CREATE INDEX codepipeline_actions_in ON codepipeline_actions (execution_id, step_id);
"""
]


@dataclass(frozen=True)
class Execution:
    number: int
    id: str
    pipeline: str
    run_id: int
    first_run_id: int
    version: int
    trigger_type: str
    trigger_detail: str | None
    variables: dict[str, str]
    revisions: dict[str, str]


@dataclass(frozen=True)
class Stay:
    """One visit of an execution to a stage. It is inside until `left_at`."""

    id: int
    stage: str
    execution_id: str
    run_id: int
    entered_at: float
    left_at: float | None


@dataclass(frozen=True)
class Action:
    """One execution of an action: what its step does not say."""

    step_id: int
    id: str
    execution_id: str
    run_id: int
    stage: str
    name: str
    input: dict[str, Any]
    outputs: list[dict[str, Any]]
    facts: dict[str, Any]
    changed_at: float


def execution_of(row: sqlite3.Row) -> Execution:
    return Execution(
        number=row["number"],
        id=row["id"],
        pipeline=row["pipeline"],
        run_id=row["run_id"],
        first_run_id=row["first_run_id"],
        version=row["version"],
        trigger_type=row["trigger_type"],
        trigger_detail=row["trigger_detail"],
        variables=read(row["variables"]),
        revisions=read(row["revisions"]),
    )


def stay_of(row: sqlite3.Row) -> Stay:
    return Stay(row["id"], row["stage"], row["execution_id"], row["run_id"], row["entered_at"], row["left_at"])


def action_of(row: sqlite3.Row) -> Action:
    return Action(
        step_id=row["step_id"],
        id=row["id"],
        execution_id=row["execution_id"],
        run_id=row["run_id"],
        stage=row["stage"],
        name=row["name"],
        input=read(row["input"]),
        outputs=read(row["outputs"]),
        facts=read(row["facts"]),
        changed_at=row["changed_at"],
    )

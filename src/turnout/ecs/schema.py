"""The tables of the room. Clusters, capacity providers, tags and account settings are documents."""

from __future__ import annotations

from turnout.store import Migrations

MIGRATIONS: Migrations = [
    """
CREATE TABLE ecs_families (
    region   TEXT NOT NULL,
    family   TEXT NOT NULL,
    revision INTEGER NOT NULL,                -- the last one given: a revision is never used again
    PRIMARY KEY (region, family)
);
CREATE TABLE ecs_task_definitions (
    region   TEXT NOT NULL,
    family   TEXT NOT NULL,
    revision INTEGER NOT NULL,
    status   TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'DELETE_IN_PROGRESS')),
    cause    TEXT UNIQUE,                     -- who registered it: the same cause gets the same revision
    body     TEXT NOT NULL,                   -- as AWS describes it
    PRIMARY KEY (region, family, revision)
);
CREATE TABLE ecs_services (
    region     TEXT NOT NULL,
    cluster    TEXT NOT NULL,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DRAINING', 'INACTIVE')),
    desired    INTEGER NOT NULL,
    is_steady  INTEGER NOT NULL DEFAULT 0,
    token      TEXT,                          -- the client's token
    created_at REAL NOT NULL,
    body       TEXT NOT NULL,                 -- as AWS describes it, without what is counted
    PRIMARY KEY (region, cluster, name)
);
CREATE TABLE ecs_task_sets (                  -- task sets, and the deployments of a service under the ECS controller
    id              TEXT PRIMARY KEY,         -- ecs-svc/<19 digits>
    region          TEXT NOT NULL,
    cluster         TEXT NOT NULL,
    service         TEXT NOT NULL,
    arn             TEXT NOT NULL UNIQUE,
    status          TEXT NOT NULL CHECK (status IN ('PRIMARY', 'ACTIVE', 'DRAINING')),
    cause           TEXT UNIQUE,
    task_definition TEXT NOT NULL,
    scale           REAL NOT NULL,            -- percent of the service's desired count
    pins            TEXT NOT NULL,            -- container → image by digest
    body            TEXT NOT NULL,            -- as AWS describes it, without what is counted
    computed        INTEGER NOT NULL DEFAULT 0,
    running         INTEGER NOT NULL DEFAULT 0,
    pending         INTEGER NOT NULL DEFAULT 0,
    is_stable       INTEGER NOT NULL DEFAULT 0,
    stable_at       REAL NOT NULL,
    created_at      REAL NOT NULL,
    updated_at      REAL NOT NULL,
    failures        INTEGER NOT NULL DEFAULT 0,   -- failed starts in a row, for the backoff
    failed_at       REAL,
    retry_at        REAL,
    failed_tasks    INTEGER NOT NULL DEFAULT 0,   -- all of them
    run_id          INTEGER                       -- its scheduler
);
CREATE INDEX ecs_task_sets_service ON ecs_task_sets (region, cluster, service);
CREATE UNIQUE INDEX ecs_task_sets_primary ON ecs_task_sets (region, cluster, service) WHERE status = 'PRIMARY';
CREATE TABLE ecs_tasks (                      -- where a task stands is told by the steps of its run
    id              TEXT PRIMARY KEY,         -- 32 hex
    run_id          INTEGER NOT NULL UNIQUE REFERENCES runs (id) ON DELETE CASCADE,
    region          TEXT NOT NULL,
    cluster         TEXT NOT NULL,
    service         TEXT,
    task_set        TEXT,
    started_by      TEXT,
    family          TEXT NOT NULL,
    task_definition TEXT NOT NULL,
    launch_type     TEXT NOT NULL,
    cause           TEXT,                     -- who ran it: the same cause gets the same tasks
    created_at      REAL NOT NULL,
    containers      TEXT NOT NULL DEFAULT '{}',   -- name → what has become of it
    health          TEXT NOT NULL DEFAULT '{}'    -- target group ARN → state, reason and description of its target
);
CREATE INDEX ecs_tasks_set ON ecs_tasks (task_set);
CREATE INDEX ecs_tasks_cluster ON ecs_tasks (region, cluster);
CREATE INDEX ecs_tasks_cause ON ecs_tasks (cause) WHERE cause IS NOT NULL;
CREATE TABLE ecs_events (                     -- what DescribeServices tells, the newest hundred of a service
    id      INTEGER PRIMARY KEY,
    uuid    TEXT NOT NULL,
    region  TEXT NOT NULL,
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    at      REAL NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX ecs_events_service ON ecs_events (region, cluster, service, id);
CREATE TABLE ecs_output (                     -- how far the output of a container has reached its log stream
    workload   TEXT PRIMARY KEY,
    region     TEXT NOT NULL,                 -- of the log group
    log_group  TEXT NOT NULL,
    log_stream TEXT NOT NULL,
    position   TEXT
);
""",
    """
ALTER TABLE ecs_task_sets ADD COLUMN failed_in_a_row INTEGER NOT NULL DEFAULT 0;  -- since a task last started well
ALTER TABLE ecs_tasks ADD COLUMN well_at REAL;                                    -- when it first ran and was healthy
""",
    """
ALTER TABLE ecs_task_sets RENAME COLUMN failed_at TO failed_wave_at;  -- when the newest of the failed tasks was created
""",
]

"""The room's tables, beside the documents of `records.py`."""

MIGRATIONS = [
    """
CREATE TABLE elbv2_forwards (             -- which rules lead to which target groups: derived from the rules
    region            TEXT NOT NULL,
    listener_arn      TEXT NOT NULL,
    rule_arn          TEXT NOT NULL,
    target_group_arn  TEXT NOT NULL,
    weight            INTEGER NOT NULL,
    PRIMARY KEY (rule_arn, target_group_arn)
) WITHOUT ROWID;
CREATE INDEX elbv2_forwards_group ON elbv2_forwards (target_group_arn);
CREATE INDEX elbv2_forwards_listener ON elbv2_forwards (listener_arn);
CREATE TABLE elbv2_weights (              -- every change of the weights of a rule, for good
    id                INTEGER PRIMARY KEY,
    region            TEXT NOT NULL,
    listener_arn      TEXT NOT NULL,
    rule_arn          TEXT NOT NULL,
    at                REAL NOT NULL,
    weights           TEXT NOT NULL,      -- {target group ARN: weight}
    first_answers     TEXT NOT NULL DEFAULT '{}'  -- {target group ARN: when one that rose from 0 first answered}
);
CREATE INDEX elbv2_weights_listener ON elbv2_weights (listener_arn, at);
CREATE TABLE elbv2_targets (
    id                INTEGER PRIMARY KEY,
    region            TEXT NOT NULL,
    target_group_arn  TEXT NOT NULL,
    target_id         TEXT NOT NULL,      -- i-… or an address
    port              INTEGER NOT NULL,
    zone              TEXT,
    stage             TEXT NOT NULL CHECK (stage IN ('registering', 'listed', 'draining')),
    state             TEXT NOT NULL CHECK (state IN ('initial', 'healthy', 'unhealthy')),  -- what checks last said
    reason            TEXT, description TEXT,
    registered_at     REAL NOT NULL,
    drained_at        REAL,               -- when the deregistration delay ends
    UNIQUE (target_group_arn, target_id, port)
);
""",
    """
CREATE TABLE elbv2_interruptions (        -- the proxy ended by itself, and came back; for good
    id                INTEGER PRIMARY KEY,
    ended_at          REAL,               -- NULL: before anybody looked
    serves_again_at   REAL NOT NULL,
    why               TEXT NOT NULL,
    connections       INTEGER, in_flight INTEGER, looked_at REAL,  -- at the last look before
    is_queue_kept     INTEGER NOT NULL    -- whether new connections waited, or were refused
);
""",
]
"""stage: registering → listed (Envoy knows it) → draining (Envoy has forgotten it) → gone."""

"""Series and their datapoints as rows, thinner as they grow old.

`at` is when a datapoint's span begins, in unix seconds; `resolution` how long the span is. Alarms are documents.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from turnout.cloudwatch.points import Point, merge
from turnout.jsontext import read
from turnout.store import Migrations, Store, Transaction

MIGRATIONS: Migrations = [
    """
    CREATE TABLE cloudwatch_series (
        id          INTEGER PRIMARY KEY,
        region      TEXT NOT NULL,
        namespace   TEXT NOT NULL,
        name        TEXT NOT NULL,
        dimensions  TEXT NOT NULL,               -- JSON: [[name, value], …], sorted
        last_at     REAL NOT NULL,
        UNIQUE (region, namespace, name, dimensions)
    );
    CREATE TABLE cloudwatch_points (
        series_id   INTEGER NOT NULL REFERENCES cloudwatch_series (id) ON DELETE CASCADE,
        at          REAL NOT NULL,
        unit        TEXT NOT NULL,
        resolution  REAL NOT NULL,
        count       REAL NOT NULL, sum REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL,
        "values"    TEXT,                        -- JSON: [[value, count], …]; NULL: only the sums are known
        PRIMARY KEY (series_id, at, unit, resolution)
    ) WITHOUT ROWID;
    CREATE INDEX cloudwatch_points_age ON cloudwatch_points (resolution, at);
    CREATE TABLE cloudwatch_watched (            -- which alarms look at a series
        region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,
        alarm TEXT NOT NULL,
        PRIMARY KEY (region, alarm)
    );
    CREATE INDEX cloudwatch_watched_series ON cloudwatch_watched (namespace, name, dimensions);
    CREATE TABLE cloudwatch_history (
        id INTEGER PRIMARY KEY, region TEXT NOT NULL, alarm TEXT NOT NULL, at REAL NOT NULL,
        type TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL
    );
    CREATE INDEX cloudwatch_history_alarm ON cloudwatch_history (region, alarm, at);
    """,
    """
    CREATE TABLE cloudwatch_causes (             -- what rooms have put, so that the same is not put twice
        cause TEXT PRIMARY KEY,
        at    REAL NOT NULL
    ) WITHOUT ROWID;
    """,
]

HOUR_S, DAY_S = 3600.0, 86_400.0
AGES = ((3 * HOUR_S, 60.0), (15 * DAY_S, 300.0), (63 * DAY_S, 3600.0))
"""(older than, kept by so many seconds): AWS's retention. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html"""
OLDEST_S = 455 * DAY_S
HISTORY_S = 30 * DAY_S
LISTED_S = 14 * DAY_S
"""ListMetrics forgets a metric that has had no datapoint for two weeks."""

Key = tuple[str, str, str, str]
"""Region, namespace, name, dimensions (`dimensions_key`) of a series."""


def dimensions_key(dimensions: Sequence[Mapping[str, str]] | None) -> str:
    return json.dumps(sorted([d["Name"], d["Value"]] for d in dimensions or ()))


class Tables:
    """The queries of the room."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, tx: Transaction, key: Key, at: float, resolution: float, unit: str, point: Point) -> None:
        """Add to the datapoint of a span; it may be there already."""
        row = tx.execute(
            "INSERT INTO cloudwatch_series (region, namespace, name, dimensions, last_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at) RETURNING id",
            (*key, at),
        ).fetchone()
        self._merge(tx, row["id"], at, unit, resolution, point)

    def _merge(self, tx: Transaction, series_id: int, at: float, unit: str, resolution: float, point: Point) -> None:
        place = (series_id, at, unit, resolution)
        was = self._store.one(
            "SELECT * FROM cloudwatch_points WHERE series_id = ? AND at = ? AND unit = ? AND resolution = ?", place
        )
        whole = merge([_point(was), point] if was else [point])
        assert whole is not None
        values = None if whole.values is None else json.dumps(list(whole.values.items()))
        tx.execute(
            "INSERT OR REPLACE INTO cloudwatch_points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, whole.count, whole.sum, whole.minimum, whole.maximum, values),
        )

    def points(self, key: Key, start: float, end: float, unit: str | None = None) -> list[tuple[float, str, Point]]:
        """(at, unit, datapoint) of start ≤ at < end, oldest first."""
        rows = self._store.all(
            "SELECT p.* FROM cloudwatch_series s JOIN cloudwatch_points p ON p.series_id = s.id WHERE s.region = ?"
            " AND s.namespace = ? AND s.name = ? AND s.dimensions = ? AND p.at >= ? AND p.at < ?"
            " AND (? IS NULL OR p.unit = ?) ORDER BY p.at",
            (*key, start, end, unit, unit),
        )
        return [(row["at"], row["unit"], _point(row)) for row in rows]

    def series(self, region: str, namespace: str | None, name: str | None, since: float) -> list[sqlite3.Row]:
        return self._store.all(
            "SELECT * FROM cloudwatch_series WHERE region = ? AND (? IS NULL OR namespace = ?)"
            " AND (? IS NULL OR name = ?) AND last_at >= ? ORDER BY namespace, name, dimensions",
            (region, namespace, namespace, name, name, since),
        )

    def is_new(self, tx: Transaction, cause: str, now: float) -> bool:
        """Whether this has not been put for the same cause before; from now on it has."""
        made = tx.execute("INSERT OR IGNORE INTO cloudwatch_causes VALUES (?, ?)", (cause, now))
        return made.rowcount == 1

    def thin(self, tx: Transaction, now: float) -> None:
        """Keep what has grown old by longer spans, and forget what is too old."""
        for age_s, span_s in AGES:
            rows = self._store.all(
                "SELECT * FROM cloudwatch_points WHERE resolution < ? AND at < ?", (span_s, now - age_s)
            )
            for row in rows:
                place = (row["series_id"], row["at"], row["unit"], row["resolution"])
                tx.execute(
                    "DELETE FROM cloudwatch_points WHERE series_id = ? AND at = ? AND unit = ? AND resolution = ?",
                    place,
                )
                self._merge(tx, row["series_id"], row["at"] // span_s * span_s, row["unit"], span_s, _point(row))
        tx.execute("DELETE FROM cloudwatch_points WHERE at < ?", (now - OLDEST_S,))
        tx.execute("DELETE FROM cloudwatch_series WHERE last_at < ?", (now - OLDEST_S,))
        tx.execute("DELETE FROM cloudwatch_history WHERE at < ?", (now - HISTORY_S,))
        tx.execute("DELETE FROM cloudwatch_causes WHERE at < ?", (now - DAY_S,))

    # Alarms

    def watch(self, tx: Transaction, key: Key, alarm: str) -> None:
        tx.execute("INSERT OR REPLACE INTO cloudwatch_watched VALUES (?, ?, ?, ?, ?)", (*key, alarm))

    def unwatch(self, tx: Transaction, region: str, alarm: str) -> None:
        tx.execute("DELETE FROM cloudwatch_watched WHERE region = ? AND alarm = ?", (region, alarm))

    def watchers(self, key: Key) -> list[str]:
        """The alarms of a series."""
        rows = self._store.all(
            "SELECT alarm FROM cloudwatch_watched WHERE region = ? AND namespace = ? AND name = ? AND dimensions = ?",
            key,
        )
        return [row["alarm"] for row in rows]

    def is_watched(self, namespace: str) -> bool:
        return self._store.one("SELECT 1 FROM cloudwatch_watched WHERE namespace = ? LIMIT 1", (namespace,)) is not None

    def record(
        self, tx: Transaction, region: str, alarm: str, at: float, kind: str, summary: str, data: Mapping[str, object]
    ) -> None:
        """Add to an alarm's history."""
        tx.execute(
            "INSERT INTO cloudwatch_history (region, alarm, at, type, summary, data) VALUES (?, ?, ?, ?, ?, ?)",
            (region, alarm, at, kind, summary, json.dumps(data)),
        )

    def history(self, region: str, alarm: str | None, kind: str | None, start: float, end: float) -> list[sqlite3.Row]:
        """Oldest first."""
        return self._store.all(
            "SELECT * FROM cloudwatch_history WHERE region = ? AND (? IS NULL OR alarm = ?)"
            " AND (? IS NULL OR type = ?) AND at >= ? AND at <= ? ORDER BY at, id",
            (region, alarm, alarm, kind, kind, start, end),
        )


def _point(row: sqlite3.Row) -> Point:
    values = None if row["values"] is None else dict(read(row["values"]))
    return Point(row["count"], row["sum"], row["minimum"], row["maximum"], values)

"""Streams and events as rows. Times are milliseconds since the epoch, as on the wire.

An event's place is (at, id): its own time, then the order in which it came.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from turnout.errors import AwsError
from turnout.store import Migrations, Store, Transaction

MIGRATIONS: Migrations = [
    """
    CREATE TABLE log_streams (
        id          INTEGER PRIMARY KEY,
        region      TEXT NOT NULL,
        log_group   TEXT NOT NULL,
        name        TEXT NOT NULL,
        created_at  INTEGER NOT NULL,
        first_at    INTEGER,
        last_at     INTEGER,
        ingested_at INTEGER,
        bytes       INTEGER NOT NULL DEFAULT 0,
        UNIQUE (region, log_group, name)
    );
    CREATE TABLE log_events (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        stream_id   INTEGER NOT NULL REFERENCES log_streams (id) ON DELETE CASCADE,
        at          INTEGER NOT NULL,
        ingested_at INTEGER NOT NULL,
        message     TEXT NOT NULL
    );
    CREATE INDEX log_events_of_stream ON log_events (stream_id, at, id);
    """
]


@dataclass(frozen=True, order=True)
class Place:
    """Where a reader stands in a stream or group."""

    at: int
    id: int


BEGINNING = Place(0, 0)
END = Place(2**63 - 1, 2**63 - 1)


@dataclass(frozen=True)
class Stream:
    id: int
    region: str
    group: str
    name: str
    created_at: int
    first_at: int | None
    last_at: int | None
    ingested_at: int | None
    bytes: int


class Tables:
    """The queries of the room."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find_stream(self, region: str, group: str, name: str) -> Stream | None:
        row = self._store.one(
            "SELECT * FROM log_streams WHERE region = ? AND log_group = ? AND name = ?", (region, group, name)
        )
        return None if row is None else _stream(row)

    def get_stream(self, region: str, group: str, name: str) -> Stream:
        stream = self.find_stream(region, group, name)
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return stream

    def streams(self, region: str, group: str, prefix: str = "") -> list[Stream]:
        """All of a group whose name starts with `prefix`, by name."""
        rows = self._store.all(
            "SELECT * FROM log_streams WHERE region = ? AND log_group = ? AND name >= ? AND name < ? ORDER BY name",
            (region, group, prefix, prefix + "\U0010ffff"),
        )
        return [_stream(row) for row in rows]

    def stored_bytes(self, region: str, group: str) -> int:
        sql = "SELECT coalesce(sum(bytes), 0) AS bytes FROM log_streams WHERE region = ? AND log_group = ?"
        row = self._store.one(sql, (region, group))
        return 0 if row is None else row["bytes"]

    def add_stream(self, tx: Transaction, region: str, group: str, name: str, now_ms: int) -> None:
        tx.execute(
            "INSERT INTO log_streams (region, log_group, name, created_at) VALUES (?, ?, ?, ?)",
            (region, group, name, now_ms),
        )

    def delete_stream(self, tx: Transaction, stream: Stream) -> None:
        """With its events."""
        tx.execute("DELETE FROM log_streams WHERE id = ?", (stream.id,))

    def delete_group(self, tx: Transaction, region: str, group: str) -> None:
        """All streams of a group, with their events."""
        tx.execute("DELETE FROM log_streams WHERE region = ? AND log_group = ?", (region, group))

    def append(self, tx: Transaction, stream: Stream, events: Sequence[dict[str, Any]], now_ms: int, size: int) -> None:
        """Add events in chronological order; `size` is what they take."""
        sql = "INSERT INTO log_events (stream_id, at, ingested_at, message) VALUES (?, ?, ?, ?)"
        for event in events:
            tx.execute(sql, (stream.id, event["timestamp"], now_ms, event["message"]))
        tx.execute(
            "UPDATE log_streams SET ingested_at = :now, bytes = bytes + :size,"
            " first_at = min(coalesce(first_at, :first), :first), last_at = max(coalesce(last_at, :last), :last)"
            " WHERE id = :id",
            {
                "now": now_ms,
                "size": size,
                "first": events[0]["timestamp"],
                "last": events[-1]["timestamp"],
                "id": stream.id,
            },
        )

    def forget_before(self, tx: Transaction, region: str, group: str, before_ms: int) -> None:
        """Drop the events of a group that are older than its retention."""
        tx.execute(
            "DELETE FROM log_events WHERE at < ? AND stream_id IN"
            " (SELECT id FROM log_streams WHERE region = ? AND log_group = ?)",
            (before_ms, region, group),
        )

    def events(
        self, streams: Sequence[Stream], after: Place, before: Place, limit: int, *, newest_first: bool = False
    ) -> list[sqlite3.Row]:
        """The first `limit` events strictly between two places, with the name of their stream."""
        order = "DESC" if newest_first else "ASC"
        return self._store.all(
            "SELECT e.*, s.name AS stream FROM log_events e JOIN log_streams s ON s.id = e.stream_id"
            " WHERE e.stream_id IN (SELECT value FROM json_each(?)) AND (e.at, e.id) > (?, ?) AND (e.at, e.id) < (?, ?)"
            f" ORDER BY e.at {order}, e.id {order} LIMIT ?",
            (json.dumps([stream.id for stream in streams]), after.at, after.id, before.at, before.id, limit),
        )


def _stream(row: sqlite3.Row) -> Stream:
    return Stream(
        id=row["id"],
        region=row["region"],
        group=row["log_group"],
        name=row["name"],
        created_at=row["created_at"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        ingested_at=row["ingested_at"],
        bytes=row["bytes"],
    )

"""The memory of the engine: one SQLite file in WAL mode, one connection, one event loop.

A transaction never spans an `await`, so whoever reads sees either all of a change or nothing of it.
What has been committed survives a SIGKILL at any instant; everything else never happened.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from turnout.errors import SetupError
from turnout.hindrances import hindrance, refusal
from turnout.jsontext import read

log = logging.getLogger(__name__)

Migrations = Sequence[str]
"""SQL scripts of one room, oldest first. A script that has landed is never edited: add another."""

DOCUMENTS = """
CREATE TABLE documents (
    kind   TEXT NOT NULL,
    region TEXT NOT NULL,
    key    TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (kind, region, key)
) WITHOUT ROWID;
"""


TRY_AGAIN_S = 1.0
CHECKED_UP_TO_BYTES = 64 << 20
"""A larger database is not looked through at the start: that takes seconds."""


class Transaction:
    """An open transaction: writes go through it, and what must follow the commit is left with it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._after: list[Callable[[], None]] = []

    def execute(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Run `act` once the transaction is durable; never if it is rolled back. The same act runs once."""
        if act not in self._after:
            self._after.append(act)


class Store:
    """One open database."""

    def __init__(self, path: Path | str, migrations: dict[str, Migrations]) -> None:
        try:
            _keep_private(path)
            self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            damage = self._damage(path)
        except (sqlite3.Error, OSError) as error:
            if (why := refusal(error)) is not None:
                raise SetupError(f"cannot open the database {path}: {why}") from error
            damage = str(error)
        if damage is not None:
            raise SetupError(
                f"the database {path} is damaged ({damage}). Restore it from a backup with its -wal file, or save what"
                f" can be saved: sqlite3 {path} .recover | sqlite3 NEW. Nothing has been changed; what serves goes on."
            )
        self._open: Transaction | None = None
        self.trouble: str | None = None
        """What kept the last transaction from becoming durable, while that has not changed."""
        self.fuse: Callable[[str], None] = lambda point: None
        """Called around every commit with the name of the point: a crash test dies there."""
        try:
            self._migrate({"documents": [DOCUMENTS], **migrations})
        except sqlite3.OperationalError as error:
            raise SetupError(f"cannot write the database {path}: {hindrance(error) or error}") from error

    def _damage(self, path: Path | str) -> str | None:
        """What SQLite finds to be wrong with the file."""
        if path == ":memory:" or Path(path).stat().st_size > CHECKED_UP_TO_BYTES:
            return None
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else str(found)

    def _migrate(self, migrations: dict[str, Migrations]) -> None:
        """All of it in one transaction: a home is of one version or of the other."""
        with self.transaction() as tx:
            tx.execute("CREATE TABLE IF NOT EXISTS migrations (room TEXT PRIMARY KEY, version INTEGER NOT NULL)")
            for room, scripts in migrations.items():
                row = self.one("SELECT version FROM migrations WHERE room = ?", (room,))
                done = row["version"] if row else 0
                if done > len(scripts):
                    raise SetupError(f"this home was written by a newer turnout ({room} {done}): upgrade turnout")
                if done < len(scripts):
                    for statement in (statement for script in scripts[done:] for statement in _statements(script)):
                        tx.execute(statement)
                    tx.execute("INSERT OR REPLACE INTO migrations VALUES (?, ?)", (room, len(scripts)))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything inside becomes durable together, or not at all. Nested use joins the outer one."""
        if self._open is not None:
            yield self._open
            return
        self.fuse("before commit")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._note(error)
            raise
        self._open = tx = Transaction(self._connection)
        try:
            yield tx
            self._connection.execute("COMMIT")
            self.trouble = None
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._note(error)
            raise
        finally:
            self._open = None
        self.fuse("after commit")
        with ExitStack() as acts:  # each is run, whatever becomes of the others; in their order
            for act in reversed(tx._after):
                acts.callback(act)

    def eventually(self, act: Callable[[Transaction], None]) -> None:
        """A transaction on behalf of nobody who could try again (a process has ended): repeated until it is durable."""
        try:
            with self.transaction() as tx:
                act(tx)
        except sqlite3.OperationalError as error:
            log.warning("trying again: %s", hindrance(error) or error)
            asyncio.get_running_loop().call_later(TRY_AGAIN_S, self._again, act)

    def _again(self, act: Callable[[Transaction], None]) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile: the next start looks for itself
            self.eventually(act)

    def look_again(self) -> str | None:
        """`trouble`, if it is still there: something is written to find out."""
        if self.trouble is not None:
            with suppress(sqlite3.Error), self.transaction() as tx:
                tx.execute("UPDATE migrations SET version = version WHERE room = 'documents'")
        return self.trouble

    def _note(self, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error):
            self.trouble = hindrance(error)

    def one(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[sqlite3.Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        self._connection.close()


class Shelf:
    """AWS documents of one kind, kept by region and key, in the shape in which AWS describes them."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self.kind = kind

    def find(self, region: str, key: str) -> dict[str, Any] | None:
        row = self._store.one(
            "SELECT body FROM documents WHERE kind = ? AND region = ? AND key = ?", (self.kind, region, key)
        )
        return None if row is None else read(row["body"])

    def list(self, region: str, prefix: str = "") -> list[dict[str, Any]]:
        """All of a region whose key starts with `prefix`, in the order of their keys."""
        rows = self._store.all(
            "SELECT body FROM documents WHERE kind = ? AND region = ? AND key >= ? AND key < ? ORDER BY key",
            (self.kind, region, prefix, prefix + "\U0010ffff"),
        )
        return [read(row["body"]) for row in rows]

    def everywhere(self) -> Sequence[tuple[str, dict[str, Any]]]:
        """(region, document) of every region."""
        rows = self._store.all("SELECT region, body FROM documents WHERE kind = ? ORDER BY region, key", (self.kind,))
        return [(row["region"], read(row["body"])) for row in rows]

    def put(self, tx: Transaction, region: str, key: str, body: dict[str, Any]) -> None:
        tx.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", (self.kind, region, key, json.dumps(body)))

    def delete(self, tx: Transaction, region: str, key: str) -> None:
        tx.execute("DELETE FROM documents WHERE kind = ? AND region = ? AND key = ?", (self.kind, region, key))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit behind our back."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _keep_private(path: Path | str) -> None:
    """Task definitions and builds may hold secrets: the database, and what SQLite puts beside it, is its owner's."""
    if path != ":memory:":
        Path(path).touch(mode=0o600)
        Path(path).chmod(0o600)

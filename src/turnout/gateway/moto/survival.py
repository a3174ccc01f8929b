"""How moto's state outlives the process: a snapshot of everything, and a journal of what was asked since.

    origin.json      the format, moto's version, and the seed and time that backends are born of
    snapshot-N       the graph, pickled
    journal-N        what was asked since snapshot N (N = 0: since the beginning)
    bodies/          bodies of objects and large requests, named by their hash

A snapshot is written beside the old one and renamed; only then the journal begins anew and the old files go.
Killed at any instant in between, the files of the highest snapshot are the truth.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from turnout.clock import Clock
from turnout.errors import SetupError
from turnout.gateway.moto import files, graph, journal
from turnout.gateway.moto.births import Births
from turnout.gateway.moto.bodies import Bodies, Body
from turnout.gateway.moto.chance import Chance, at, drawing_from
from turnout.gateway.moto.journal import Entry, Journal
from turnout.gateway.moto.operations import is_read
from turnout.gateway.moto.request import Reply, Request

log = logging.getLogger(__name__)

FORMAT = 1
SOON_ENTRIES, SOON_BYTES = 100, 2 << 20
"""With so much in the journal, a snapshot is taken at the next quiet moment …"""
AT_ONCE = 10
"""… and with so many times that, at once."""
ENTRIES_PER_MS = 4
"""For each millisecond that the last snapshot took, the next one waits for so many entries more."""


class Survival:
    """moto's state in one folder. `answer` hands a request to moto; `ask` wraps it."""

    def __init__(self, folder: Path, clock: Clock, answer: Callable[[Request], Reply]) -> None:
        self._folder = folder
        self._clock = clock
        self._answer = answer
        self._bodies = Bodies(folder / "bodies")
        self._number = 0
        self._soon = SOON_ENTRIES, SOON_BYTES
        self._has_hole = False
        self._journal = Journal(folder / "journal-0", self._bodies)

    def start(self) -> None:
        """Empty moto, and bring back what the folder holds. Raises SetupError, and leaves the files as they are."""
        graph.forget()
        Body.folder = self._bodies
        origin = _origin(self._folder, self._clock)
        Births(bytes.fromhex(origin["seed"]), origin["born_at"]).attend()
        self._number = max(
            (int(path.name.rpartition("-")[2]) for path in self._folder.glob("snapshot-*[0-9]")), default=0
        )
        if self._number:
            self._load(self._folder / f"snapshot-{self._number}")
        path = self._folder / f"journal-{self._number}"
        for stale in self._folder.glob("*-*[0-9]"):
            if int(stale.name.rpartition("-")[2]) < self._number:
                stale.unlink()
        self._journal = Journal(path, self._bodies)
        for entry in journal.read(path, self._bodies):
            self._replay(entry)
            self._journal.entries += 1

    def ask(self, request: Request) -> Reply:
        """moto's answer; what it changed is durable."""
        now = self._clock.now()
        if is_read(request):
            with at(now):
                return self._answer(request)
        if self._has_hole:
            self.snapshot()  # raises as long as it fails: until then nothing more may change
        chance = Chance(secrets.token_bytes(16), now)
        status = 500
        try:
            with drawing_from(chance):
                reply = self._answer(request)
            status = reply[0]
        finally:
            # Also when moto fails: it may have failed half-way.
            self._record(Entry(request, now, chance.seed, chance.keys, status))
        return reply

    @property
    def wants_snapshot(self) -> bool:
        """At the next quiet moment."""
        return self._has_grown(1)

    @property
    def needs_snapshot(self) -> bool:
        """At once."""
        return self._has_grown(AT_ONCE)

    def snapshot(self) -> None:
        """Write everything down and begin a new journal, if there is anything in the old one."""
        if not self._journal.entries and not self._has_hole:
            return
        began = time.perf_counter()
        births = Births.current
        assert births is not None
        try:
            pickled, bodies = graph.dump(births)
            graph.check(pickled)
        except Exception:
            # The journal still holds everything: this costs time at the next start, and loses nothing.
            if self._has_hole:
                raise
            log.exception("moto's state could not be written down; its journal goes on")
            self._soon = 2 * self._journal.entries, 2 * self._journal.size
            return
        number = self._number + 1
        try:
            self._bodies.sync(bodies)
            files.replace(self._folder / f"snapshot-{number}", pickled)
        except OSError:
            self._soon = 2 * self._soon[0], 2 * self._soon[1]
            raise
        self._has_hole = False
        self._journal.close()
        self._journal = Journal(self._folder / f"journal-{number}", self._bodies)
        for name in (f"snapshot-{self._number}", f"journal-{self._number}"):
            (self._folder / name).unlink(missing_ok=True)
        self._number = number
        self._bodies.keep_only(bodies)
        took_ms = (time.perf_counter() - began) * 1000
        self._soon = max(SOON_ENTRIES, int(took_ms * ENTRIES_PER_MS)), SOON_BYTES
        log.debug("snapshot %d: %d bytes in %.0f ms", number, len(pickled), took_ms)

    def close(self) -> None:
        """Leave a snapshot behind, so that the next start has nothing to replay."""
        try:
            self.snapshot()
        except OSError:
            log.exception("moto's state could not be written down; its journal goes on")
        self._journal.close()

    def _record(self, entry: Entry) -> None:
        try:
            self._journal.append(entry)
        except OSError:
            # moto has done what the journal does not know of: the next entry must not stand without a snapshot.
            self._has_hole = True
            raise

    def _has_grown(self, times: int) -> bool:
        entries, size = self._soon
        return self._journal.entries >= times * entries or self._journal.size >= times * size

    def _load(self, path: Path) -> None:
        try:
            graph.load(path.read_bytes())
        except Exception as error:
            raise SetupError(
                f"the snapshot {path} of moto's state cannot be read ({type(error).__name__}: {error})."
                f" Restore it from a backup, or move {self._folder} away to begin with empty AWS records."
                " Nothing has been changed."
            ) from error

    def _replay(self, entry: Entry) -> None:
        status = 500
        try:
            with drawing_from(Chance(entry.seed, entry.at, entry.keys, is_replay=True)):
                status = self._answer(entry.request)[0]
        except Exception:
            if entry.status < 500:
                log.exception("replaying %s", entry.request.title)
        if status != entry.status:
            log.error("%s was answered with %d, and with %d now", entry.request.title, entry.status, status)


def _origin(folder: Path, clock: Clock) -> dict[str, Any]:
    path = folder / "origin.json"
    moto = version("moto")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        seed = secrets.token_hex(16)
        written = {"format": FORMAT, "moto": moto, "seed": seed, "born_at": clock.now()}
        files.replace(path, json.dumps(written).encode())
        return written
    try:
        origin: dict[str, Any] = json.loads(path.read_text())
        bytes.fromhex(origin["seed"]), float(origin["born_at"]), origin["format"], origin["moto"]
    except (ValueError, LookupError, TypeError) as error:
        raise SetupError(
            f"{path} is damaged ({error}), and the rest cannot be read without it. Restore it from a backup,"
            f" or move {folder} away to begin with empty AWS records. Nothing has been changed."
        ) from error
    if origin["format"] != FORMAT or origin["moto"] != moto:
        raise SetupError(
            f"{folder} was written with moto {origin['moto']}, and this is moto {moto}: their records differ inside."
            f" To open it: pip install 'moto=={origin['moto']}'. To begin with empty AWS records: move it away."
            " Nothing has been changed."
        )
    return origin

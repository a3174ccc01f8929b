"""The journal: what was asked of moto since the last snapshot, and what it drew. One JSON document per line.

A line is forced to disk before its answer leaves. A line that was being written when the engine was killed is dropped:
its answer never left.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.errors import SetupError
from turnout.gateway.moto.bodies import Bodies
from turnout.gateway.moto.request import Request

log = logging.getLogger(__name__)

INLINE = 65_536
"""Larger bodies of requests are files."""


@dataclass(frozen=True)
class Entry:
    """A request, the instant and the seed that it was answered with, the private keys it was given, its status."""

    request: Request
    at: float
    seed: bytes
    keys: list[str]
    status: int


class Journal:
    """One open file, appended to."""

    def __init__(self, path: Path, bodies: Bodies) -> None:
        self._path = path
        self._bodies = bodies
        self._handle: int | None = None
        self._size = 0
        self.entries = 0

    def append(self, entry: Entry) -> None:
        """Durable when it returns, unless the request was refused: then its effect, if any, may be lost."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._handle).st_size
        line = (json.dumps(self._written(entry)) + "\n").encode()
        try:
            if os.write(self._handle, line) != len(line):
                raise OSError(errno.ENOSPC, "written in part", str(self._path))
            if entry.status < 400:
                os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(line)
        self.entries += 1

    @property
    def size(self) -> int:
        """In bytes, bodies in files not counted."""
        return self._size

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _written(self, entry: Entry) -> dict[str, Any]:
        request = entry.request
        written: dict[str, Any] = {
            "at": entry.at,
            "seed": entry.seed.hex(),
            "keys": entry.keys,
            "status": entry.status,
            "method": request.method,
            "path": request.path_and_query,
            "headers": request.headers,
            "service": request.service,
            "region": request.region,
        }
        if len(request.body) <= INLINE:
            return written | {"body": base64.b64encode(request.body).decode()}
        name = self._bodies.put(request.body)
        self._bodies.sync([name])
        return written | {"body_in": name}


def read(path: Path, bodies: Bodies) -> Iterator[Entry]:
    """The entries of a journal, oldest first. A torn end is cut off.

    Raises SetupError if it is damaged elsewhere.
    """
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    sound = 0
    for number, line in enumerate(lines, start=1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("no end of line")
            entry = _entry(json.loads(line), bodies)
        except (ValueError, KeyError, OSError) as error:
            if number < len(lines):
                raise SetupError(
                    f"the journal {path} is damaged at line {number} ({error}). Restore it from a backup, or move"
                    f" {path.parent} away to begin with empty AWS records. Nothing has been changed."
                ) from error
            log.warning("the last line of %s was being written when the engine ended; its answer never left", path)
            os.truncate(path, sound)
            return
        sound += len(line)
        yield entry


def _entry(written: dict[str, Any], bodies: Bodies) -> Entry:
    body = base64.b64decode(written["body"]) if "body" in written else bodies.get(written["body_in"])
    headers = [(name, value) for name, value in written["headers"]]
    request = Request(written["method"], written["path"], headers, body, written["service"], written["region"])
    return Entry(request, written["at"], bytes.fromhex(written["seed"]), written["keys"], written["status"])

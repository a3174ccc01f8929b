"""The log of failed requests: Envoy writes a line for each, nobody writes one for the others."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from turnout.loadbalancer.envoy.routes import ALL_ZERO
from turnout.loadbalancer.proxy import Failure, Failures

LONGEST_BYTES = 16 << 20
"""After which the log is set aside; one former log is kept."""


def position_of(path: Path) -> list[int]:
    """The end of the log: [inode, offset]."""
    status = path.stat()
    return [status.st_ino, status.st_size]


def read_since(path: Path, position: list[int]) -> Failures:
    """Everything behind a position, also if the log has been set aside once since."""
    inode, offset = position
    former = former_log(path)
    data = b""
    is_whole = True
    if path.stat().st_ino != inode:
        is_whole = former.exists() and former.stat().st_ino == inode
        if is_whole:
            data = _tail(former, offset)
        offset = 0
    with path.open("rb") as file:
        inode = os.fstat(file.fileno()).st_ino
        file.seek(offset)
        rest = file.read()
    whole = rest[: rest.rfind(b"\n") + 1]
    found = tuple(failure for line in (data + whole).splitlines() if (failure := parse(line)))
    return Failures(found, is_whole, [inode, offset + len(whole)])


def set_aside(path: Path) -> bool:
    """Begin a new log if this one is long. Envoy has to be told to reopen it."""
    if path.stat().st_size < LONGEST_BYTES:
        return False
    path.replace(former_log(path))
    path.touch()
    return True


def former_log(path: Path) -> Path:
    return path.with_suffix(".old.jsonl")


def parse(line: bytes) -> Failure | None:
    """A line as a failure; None if it is none, or broken off."""
    with suppress(ValueError, KeyError):
        return _failure(json.loads(line))
    return None


def _failure(said: dict[str, Any]) -> Failure | None:
    flags = said["flags"] or ""
    code = int(said["code"] or 0)
    if {"DC", "DR"} & set(flags.split(",")):
        return None  # the client went away first
    if flags == "SI" and code in (101, 408):
        return None  # an idle websocket, or a client that did not finish its question
    return Failure(
        listener_arn=(said["route"] or "").removeprefix(f"{ALL_ZERO} "),
        group=said["group"] or "",
        code=code,
        flags=flags,
        is_made_here=said["details"] != "via_upstream",
    )


def _tail(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()

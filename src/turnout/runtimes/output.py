"""Reading what a task writes while it writes it, and giving back the space of what has been read.

The file is appended to by the task for as long as it lives, so positions only grow; what has been read is taken out of
it by punching a hole. On a file system that cannot do that, the file keeps its size.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

READ_BYTES = 512 * 1024
"""The most that one read returns, and so the longest line: one that is longer is cut there."""
PUNCH_BYTES = 1024 * 1024
"""Space is given back in pieces of this."""

_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def read_lines(path: Path, position: int, *, has_ended: bool) -> tuple[list[tuple[float, str]], int]:
    """The whole lines (unix time, text) behind a position, at most READ_BYTES of them; and the new position.

    The time is the file's: when its last byte was written. A line without its end is read once the writer has ended.
    What lies before `position` is taken out of the file.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], position
    try:
        status = os.fstat(fd)
        if position >= status.st_size:
            return [], position
        start = position or _first_data(fd)
        data = os.pread(fd, READ_BYTES, start)
        if start > position:
            # Read before, by somebody who lost the position. The first line is cut: leave its rest.
            cut = data.find(b"\n") + 1
            start, data = start + cut, data[cut:]
        end = data.rfind(b"\n") + 1
        is_last = start + len(data) >= status.st_size
        if (not end and (len(data) == READ_BYTES or (has_ended and is_last))) or (has_ended and is_last):
            end = len(data)
        _punch(fd, position)
    finally:
        os.close(fd)
    lines = data[:end].decode(errors="replace").removesuffix("\n").split("\n") if end else []
    return [(status.st_mtime, line.removesuffix("\r")) for line in lines], start + end


def size_of(path: Path) -> int:
    """How far the output has come; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _first_data(fd: int) -> int:
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:
        return 0


def _punch(fd: int, until: int) -> None:
    """Give back what lies before a position, if that is worth a call."""
    until -= until % PUNCH_BYTES
    if until == 0 or _first_data(fd) >= until:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # Refused where the file system knows no holes: then the file stays as large as it is.
    libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(until))

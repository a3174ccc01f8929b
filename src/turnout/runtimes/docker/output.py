"""What a container has said, read from the engine's own log in pieces.

A position is "TIME COUNT": the first COUNT lines that are not older than TIME (nanoseconds) have been read. Lines stand
in the order in which the engine got them, and only almost in that of their times: TIME lies a second before the last
line that was read, so that none is missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

OVERLAP_NS = 1_000_000_000
LEAST_LINES = 64
MOST_BYTES = 512 * 1024
"""Of one read."""

_STAMPED = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?")

Line = tuple[int, str]
"""(nanoseconds, text)"""


def parse_position(text: str | None) -> tuple[int, int]:
    time, _, count = (text or "0 0").partition(" ")
    return int(time), int(count or 0)


@dataclass(frozen=True)
class Log:
    """The end of a log: its lines, how many of them are whole, and of how many pieces it is made."""

    lines: list[Line]
    whole: int
    """Lines before the first that has yet to end."""
    pieces: int


def parse_log(chunks: Iterable[bytes]) -> Log:
    """A log that was asked for with time stamps. The engine cuts long lines: the pieces have one time, and what goes to
    the other stream may stand between them.
    """
    lines: list[Line] = []
    unfinished: dict[int, int] = {}
    """Time → place in `lines`"""
    pieces = 0
    for chunk in chunks:
        for piece in chunk.splitlines(keepends=True):
            pieces += 1
            stamp = _STAMPED.match(piece)
            text = (piece[stamp.end() :] if stamp else piece).decode(errors="replace").rstrip("\r\n")
            time = nanoseconds(stamp[1].decode()) if stamp else max(unfinished, default=lines[-1][0] if lines else 0)
            place = unfinished.pop(time, len(lines))
            lines[place:] = [(time, lines[place][1] + text if place < len(lines) else text), *lines[place + 1 :]]
            if not piece.endswith(b"\n"):
                unfinished[time] = place
    return Log(lines, min(unfinished.values(), default=len(lines)), pieces)


def covers(log: Log, asked: int, since: int) -> bool:
    """Whether the last `asked` pieces of a log reach back to all that is not older than `since`."""
    return log.pieces < asked or log.lines[0][0] < since - OVERLAP_NS


def behind(lines: list[Line], position: tuple[int, int]) -> tuple[list[Line], str]:
    """The lines that have not been read yet, at most MOST_BYTES of them, and the new position."""
    since, count = position
    fresh = [line for line in lines if line[0] >= since]
    taken: list[Line] = []
    size = 0
    for line in fresh[count:]:
        if taken and size + len(line[1]) > MOST_BYTES:
            break
        taken.append(line)
        size += len(line[1])
    if not taken:
        return [], f"{since} {count}"
    read = fresh[: count + len(taken)]
    start = max(since, max(time for time, _ in read) - OVERLAP_NS)
    return taken, f"{start} {sum(time >= start for time, _ in read)}"


def nanoseconds(stamp: str) -> int:
    whole, _, rest = stamp.partition(".")
    digits, zone = re.match(r"(\d*)(.*)", rest).groups() if rest else ("", "")  # type: ignore[union-attr]
    if not rest:
        return int(datetime.fromisoformat(whole).timestamp()) * 1_000_000_000
    moment = datetime.fromisoformat(f"{whole}{zone}")
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000_000 + int(digits.ljust(9, "0")[:9])

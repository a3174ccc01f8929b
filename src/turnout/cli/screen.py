"""What a terminal shows: one console, words for times and sizes, and a line that changes while something works."""

from __future__ import annotations

import sys
import textwrap
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

MOST_READABLE = 110
"""Characters in a line."""
INDENT = " " * 11

STATUS_STYLE = {
    "Succeeded": "green",
    "SUCCEEDED": "green",
    "Failed": "red",
    "FAILED": "red",
    "Stopped": "yellow",
    "STOPPED": "yellow",
    "InProgress": "cyan",
    "IN_PROGRESS": "cyan",
}


def console() -> Console:
    """Standard output; colours only for a terminal, and never cut at a width that nobody has."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def show(renderable: RenderableType) -> None:
    """Print something of rich's; for a file or a pipe without the blanks that fill its lines."""
    screen = console()
    if screen.is_terminal:
        screen.print(renderable)
        return
    with screen.capture() as captured:
        screen.print(renderable)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


class Screen:
    """Lines that stay, and below them, on a terminal, one that changes."""

    def __init__(self) -> None:
        self.console = console()
        self._status = self.console.status("", spinner="dots") if self.console.is_terminal else None

    def line(self, text: str = "") -> None:
        """`text` may hold rich's markup."""
        self.console.print(text)

    def quote(self, text: str) -> None:
        """Words of somebody else: indented, and folded where the line ends."""
        width = min(self.console.width, MOST_READABLE) - len(INDENT)
        for line in textwrap.wrap(text, width, break_long_words=False):
            self.console.print(f"{INDENT}{line}", markup=False, soft_wrap=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """While inside, `now` shows."""
        if self._status is None:
            yield
            return
        with self._status:
            yield

    def now(self, text: str) -> None:
        """What is going on at this moment; gone with the next call. Nothing where output is not a terminal."""
        if self._status is not None:
            self._status.update(text)


def styled(status: str) -> str:
    """A status in its colour."""
    style = STATUS_STYLE.get(status)
    return f"[{style}]{status}[/]" if style else status


def duration(seconds: float | None) -> str:
    """2.3 ms, 480 ms, 1.9 s, 75 s, 12 min, 3 h"""
    if seconds is None:
        return "–"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ago(at: float) -> str:
    """3 s ago, 12 min ago"""
    seconds = max(1.0, time.time() - at)
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{duration(seconds)} ago"


def clock_time(at: float) -> str:
    """The local time of day with milliseconds: 20:31:07.412"""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3]


def date_time(at: float) -> str:
    """The local date and time of day: 2026-11-23 20:31:07"""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def short(identifier: str | None, length: int = 8) -> str:
    """The beginning of a commit, a digest or an execution id."""
    return (identifier or "–").removeprefix("sha256:")[:length]

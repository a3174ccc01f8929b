"""Reading the logs of containers, and not asking for what has not grown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docker.errors import APIError

from turnout.runtimes.docker.engine import Engine, streamed
from turnout.runtimes.docker.output import LEAST_LINES, Log, behind, covers, parse_log, parse_position
from turnout.runtimes.docker.state import is_running


class Reading:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: dict[str, tuple[str, Path, int]] = {}
        """Workload → the position, and the file with its size, at which there was nothing more to read."""

    def has_nothing_new(self, name: str, position: str | None) -> bool:
        """The usual case, many times a second for each task: seen without asking where the engine's file is in view."""
        if name not in self._read:
            return False
        known, file, size = self._read[name]
        return known == position and _size(file) == size

    def forget(self, name: str) -> None:
        self._read.pop(name, None)

    async def read(
        self, name: str, document: dict[str, Any], position: str | None
    ) -> tuple[list[tuple[float, str]], str]:
        self.forget(name)
        file, runs = Path(document.get("LogPath") or "/nonexistent"), is_running(document)
        size = _size(file)
        since, count = parse_position(position)
        asked = max(LEAST_LINES, 2 * count)
        while True:
            log = await self._tail(document, asked)
            if covers(log, asked, since):
                break
            asked *= 8
        taken, end = behind(log.lines[: log.whole] if runs else log.lines, (since, count))
        if taken:
            return [(time / 1e9, text) for time, text in taken], end
        if runs and size is not None and position is not None:
            self._read[name] = (position, file, size)
        return [], position or "0"

    async def _tail(self, document: dict[str, Any], count: int) -> Log:
        has_terminal = bool(document["Config"].get("Tty"))
        client = self._engine.client

        def read() -> Log:
            try:
                stream = client.logs(document["Id"], stream=True, follow=False, timestamps=True, tail=count)
            except APIError:
                return parse_log([])  # the container was never started, or it is gone
            with streamed(stream):
                chunks = list(stream)
            return parse_log([b"".join(chunks)] if has_terminal else chunks)

        log: Log = await self._engine.ask(read)
        return log


def _size(file: Path) -> int | None:
    """None where only the engine sees its files."""
    try:
        return file.stat().st_size
    except OSError:
        return None

"""The folder that Envoy reads: each file is replaced in one move, and only if it has changed.

After a crash the folder holds the last picture that was told; the next start compares and corrects it.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from turnout.hindrances import refusal

log = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 100
"""Bytes that the kernel takes for the path of a unix socket, less some."""


class Folder:
    """`<home>/envoy`. Nothing here is precious: the rows are."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.bootstrap = self.path / "bootstrap.json"
        self.clusters = self.path / "clusters.json"
        self.listeners = self.path / "listeners.json"
        self.log = self.path / "envoy.log"
        self.health_log = self.path / "health.jsonl"
        self.failure_log = self.path / "failures.jsonl"
        self.process = self.path / "process.json"
        self.bound_ports = self.path / "ports.json"
        self._said: dict[Path, str] = {}
        self._seen: dict[Path, tuple[int, int, int]] = {}
        """What a file looked like when it was written: (inode, time of change, size)."""
        self._owed: dict[Path, str | None] = {}
        """What could not be written, in the order in which Envoy is to hear of it; None: to be removed."""
        self.trouble: str | None = None
        """Why something is owed."""

    def create(self) -> None:
        """Make the folders, readable by their owner only: the admin socket can end Envoy."""
        inner = (self.path / name for name in ("endpoints", "routes", "secrets"))
        for folder in (self.path, *inner, self.admin_socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for log in (self.health_log, self.failure_log):
            log.touch()

    def endpoints(self, group: str) -> Path:
        return self.path / "endpoints" / f"{group}.json"

    def routes(self, port: int) -> Path:
        return self.path / "routes" / f"{port}.json"

    def secret(self, name: str) -> Path:
        """A certificate with its key."""
        return self.path / "secrets" / f"{name}.json"

    @property
    def admin_socket(self) -> Path:
        """In the folder, or, if its path is too long for a socket, in a short one that is derived from it."""
        near = self.path / "admin.sock"
        if len(str(near)) <= LONGEST_SOCKET_PATH:
            return near
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"turnout-{digest}" / "admin.sock"

    def put(self, path: Path, text: str) -> None:
        """Replace a file in one move, unless it says so already."""
        if path not in self._said and path.exists():
            self._said[path] = path.read_text(errors="replace")
            self._seen[path] = _seen(path)
        if self._said.get(path) != text or path in self._owed:
            self._owed.pop(path, None)
            self._owed[path] = text
            self.catch_up()

    def drop(self, path: Path) -> None:
        self._owed[path] = None
        self.catch_up()

    def catch_up(self) -> None:
        """Write what is owed. A disk that is full now has room later: Envoy goes on with what it was last told."""
        for path, text in list(self._owed.items()):
            try:
                if text is None:
                    path.unlink(missing_ok=True)
                else:
                    self._replace(path, text)
            except OSError as error:
                why = refusal(error) or str(error)
                if self.trouble is None:
                    log.error("Envoy cannot be told what has changed, and goes on as it was: %s", why)
                self.trouble = why
                return
            del self._owed[path]
            self._said.pop(path, None)
            if text is not None:
                self._said[path], self._seen[path] = text, _seen(path)
        if self.trouble is not None:
            log.error("Envoy has been told again what has changed")
        self.trouble = None

    def mend(self) -> None:
        """Write again what somebody else has removed or written over."""
        for path, text in list(self._said.items()):
            if self._seen.get(path) != _seen(path):
                log.error("%s was changed by somebody else, and is written again", path)
                self._owed[path] = text
        self.catch_up()

    def doubt(self) -> None:
        """Before an Envoy starts on them: compare the files with what they ought to say, not with what they said."""
        self._said.clear()

    def _replace(self, path: Path, text: str) -> None:
        draft = path.with_name(f".{path.name}.new")
        try:
            if path.parent.name == "secrets":
                draft.touch(mode=0o600)
            draft.write_text(text)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def drop_endpoints(self, groups: Collection[str]) -> None:
        for group in groups:
            self.drop(self.endpoints(group))

    def keep(self, groups: Collection[str], ports: Collection[int], secrets: Collection[str]) -> None:
        """Remove the files of everything else."""
        wanted = {self.endpoints(group) for group in groups} | {self.routes(port) for port in ports}
        wanted |= {self.secret(name) for name in secrets}
        for folder in ("endpoints", "routes", "secrets"):
            for path in (self.path / folder).iterdir():
                if path not in wanted:
                    self.drop(path)


def _seen(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)

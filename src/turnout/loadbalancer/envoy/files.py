"""The folder that Envoy reads: each file is replaced in one move, and only if it has changed.

After a crash the folder holds the last picture that was told; the next start compares and corrects it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection
from pathlib import Path

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

    def create(self) -> None:
        """Make the folders, readable by their owner only: the admin socket can end Envoy."""
        for folder in (self.path, self.path / "endpoints", self.path / "routes", self.admin_socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for log in (self.health_log, self.failure_log):
            log.touch()

    def endpoints(self, group: str) -> Path:
        return self.path / "endpoints" / f"{group}.json"

    def routes(self, port: int) -> Path:
        return self.path / "routes" / f"{port}.json"

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
            self._said[path] = path.read_text()
        if self._said.get(path) != text:
            draft = path.with_name(f".{path.name}.new")
            draft.write_text(text)
            draft.replace(path)
            self._said[path] = text

    def drop(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._said.pop(path, None)

    def drop_endpoints(self, groups: Collection[str]) -> None:
        for group in groups:
            self.drop(self.endpoints(group))

    def keep(self, groups: Collection[str], ports: Collection[int]) -> None:
        """Remove the files of everything else."""
        wanted = {self.endpoints(group) for group in groups} | {self.routes(port) for port in ports}
        for folder in ("endpoints", "routes"):
            for path in (self.path / folder).iterdir():
                if path not in wanted:
                    self.drop(path)

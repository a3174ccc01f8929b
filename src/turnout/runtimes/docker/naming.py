"""What the things of one home are called in an engine that others use as well. Pure, but for links in a home's path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


def home_id(home: Path) -> str:
    """What tells the containers of a home from those of others: the same for as long as the home stays in its place."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Names:
    """The names of one home."""

    home_id: str

    @property
    def prefix(self) -> str:
        return f"turnout-{self.home_id}-"

    def container(self, workload: str) -> str:
        return f"{self.prefix}{workload}"

    def removed(self, workload: str) -> str:
        """Of a container that is only there until its output has been read."""
        return f"{self.prefix}{workload}.removed"

    @property
    def network(self) -> str:
        return f"turnout-{self.home_id}"

    def pause(self, task: str) -> str:
        """The container that holds the network of a task."""
        return f"{self.prefix}pause-{task}"

    def volume(self, task: str, volume: str) -> str:
        return f"{self.prefix}{task}-{volume}"

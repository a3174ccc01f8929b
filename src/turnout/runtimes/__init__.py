"""The hands: the seam between a task and whatever runs its containers.

A runtime keeps what it started alive without the engine: a workload is found again by its name after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Port:
    """`host_port` 0 asks for any free one."""

    container_port: int
    host_port: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True)
class Workload:
    """One container of one task: all that a runtime needs to start it."""

    name: str
    """Unique, derived from the task: the runtime finds it again by this name."""
    image: str
    """A reference by digest, as `resolve` returned it."""
    command: tuple[str, ...] = ()
    entry_point: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    user: str | None = None
    ports: tuple[Port, ...] = ()
    memory_mib: int | None = None
    cpu_units: int | None = None
    task: str = ""
    """The task whose network and volumes it shares."""
    network: str = "bridge"
    """bridge, host, awsvpc (the task has an address of its own) or none."""
    task_memory_mib: int | None = None
    task_cpu_units: int | None = None
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The volumes of the task definition by name, as AWS has them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the container definition, as AWS has them: only such as the runtime `honours`."""


@dataclass(frozen=True)
class State:
    """What has become of a workload. `exit_code` is None while it runs, and when nobody could learn it."""

    is_running: bool
    ports: tuple[Port, ...]
    """With the host ports that were allocated."""
    host: str
    """The address at which the host ports answer: 127.0.0.1, or the task's own under awsvpc."""
    started_at: float
    exit_code: int | None = None
    reason: str | None = None
    """Why it ended or could not start, for people."""


@dataclass(frozen=True)
class Ran:
    """What became of a command inside a workload. `exit_code` is None when its time was up, and when nothing ran it."""

    exit_code: int | None
    output: str
    """The beginning of what it wrote, both streams; or why it could not be run."""


@dataclass(frozen=True)
class Usage:
    """What a workload has used so far, and holds now."""

    cpu_s: float
    """Seconds of a core, since it started."""
    memory_bytes: int


class Runtime(Protocol):
    """Docker, or plain processes. Errors are StepFailed with ECS's own words (CannotPullContainerError: …), and
    Hindered while whatever runs the containers does not answer.
    """

    name: str

    def honours(self, image: str) -> Collection[str]:
        """The members of `Workload.options` that mean something to containers of this image (by digest)."""

    async def resolve(self, image: str, region: str) -> str:
        """The image by digest: what a tag points to now. Raises StepFailed("CannotPullContainerError", …)."""

    async def ensure_started(self, workload: Workload) -> State:
        """Start it unless a workload of that name exists, running or exited: then say what became of it."""

    async def find(self, name: str) -> State | None:
        """What has become of a workload; None if there is none of that name."""

    async def kill(self, name: str, signal: str) -> None:
        """Ask it to end ("SIGTERM": with the signal that its image names for that, if it does), or make it
        ("SIGKILL"); nothing if it has ended.
        """

    async def exec(self, workload: Workload, command: Sequence[str], timeout_s: float) -> Ran:
        """Run a command inside a running workload, and wait for its end: with its files, network and environment.

        When its time is up it is killed. A workload that does not run answers with exit code None.
        """

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        """What these workloads use; without those that do not run."""

    async def remove(self, name: str) -> None:
        """Forget an ended workload and its folder; its output stays until it has been read."""

    async def read_output(self, name: str, position: str | None) -> tuple[list[tuple[float, str]], str]:
        """The whole lines (time, text) behind a position, and the new position. None: from the beginning.

        At most some hundred kilobytes of them: ask again until there are none. Whoever hands in a position has kept
        what lies before it: that may be thrown away.
        """

    async def names(self) -> list[str]:
        """The workloads that there are, running or exited."""

    def on_exit(self, act: Callable[[str], None]) -> None:
        """Call `act(name)` in the event loop as soon as a workload ends; after a restart also for those that have."""

    async def close(self) -> None:
        """Let go: what runs goes on running."""

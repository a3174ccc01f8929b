"""Containers that exist on paper only. A test says what they do: `say`, `end`, and what fails or does not listen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from turnout.clock import Clock
from turnout.errors import StepFailed
from turnout.runtimes import Port, Ran, State, Usage, Workload


@dataclass
class Container:
    workload: Workload
    state: State
    said: list[tuple[float, str]] = field(default_factory=list)


class FakeRuntime:
    """Every image exists unless it is in `missing`; every container runs until it is told to end."""

    name = "fake"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.containers: dict[str, Container] = {}
        self.digests: dict[str, str] = {}
        """Image → its reference by digest, where a test wants a certain one."""
        self.missing: set[str] = set()
        self.honoured: tuple[str, ...] = ()
        self.cannot_start: dict[str, str] = {}
        """Image, as a workload names it → why its containers do not start."""
        self.stubborn: set[str] = set()
        """Names of workloads that do not listen to SIGTERM."""
        self.signals: list[tuple[str, str]] = []
        self.ran: dict[str, Ran] = {}
        """Workload, or image as a workload names it → what a command inside of it ends with."""
        self.used: dict[str, Usage] = {}
        self.execs: list[tuple[str, tuple[str, ...]]] = []
        self._left: dict[str, list[tuple[float, str]]] = {}
        """What removed containers said, until it has been read."""
        self._next_port = 61000
        self._acts: list[Callable[[str], None]] = []

    def honours(self, image: str) -> Collection[str]:
        return self.honoured

    async def resolve(self, image: str, region: str) -> str:
        if image in self.missing:
            raise StepFailed(
                "CannotPullContainerError",
                f"pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found",
            )
        if "@" in image:
            return image
        name = image.rsplit(":", 1)[0] if ":" in image.rsplit("/", 1)[-1] else image
        return self.digests.get(image, f"{name}@sha256:{hashlib.sha256(image.encode()).hexdigest()}")

    async def ensure_started(self, workload: Workload) -> State:
        if workload.name not in self.containers:
            ports = tuple(self._opened(port) for port in workload.ports)
            state = State(True, ports, "127.0.0.1", self.clock.now())
            if reason := self.cannot_start.get(workload.image):
                state = replace(state, is_running=False, exit_code=127, reason=f"CannotStartContainerError: {reason}")
            self.containers[workload.name] = Container(workload, state)
        return self.containers[workload.name].state

    async def find(self, name: str) -> State | None:
        container = self.containers.get(name)
        return None if container is None else container.state

    async def kill(self, name: str, signal: str) -> None:
        container = self.containers.get(name)
        if container is None or not container.state.is_running:
            return
        self.signals.append((name, signal))
        if signal == "SIGKILL":
            self.end(name, 137)
        elif name not in self.stubborn:
            self.end(name, 143)

    async def exec(self, workload: Workload, command: Sequence[str], timeout_s: float) -> Ran:
        """What a test put into `ran` for this container, else what it put there for its image, else success."""
        container = self.containers.get(workload.name)
        if container is None or not container.state.is_running:
            return Ran(None, "the container does not run")
        self.execs.append((workload.name, tuple(command)))
        return self.ran.get(workload.name) or self.ran.get(workload.image) or Ran(0, "")

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        """What a test put into `used`, of those that run."""
        running = (name for name in names if name in self.containers and self.containers[name].state.is_running)
        return {name: self.used.get(name, Usage(0.0, 1 << 20)) for name in running}

    async def remove(self, name: str) -> None:
        container = self.containers.get(name)
        if container is not None and not container.state.is_running:
            self._left[name] = self.containers.pop(name).said

    async def read_output(self, name: str, position: str | None) -> tuple[list[tuple[float, str]], str]:
        container = self.containers.get(name)
        said, start = container.said if container else self._left.get(name, []), int(position or 0)
        if start >= len(said):
            self._left.pop(name, None)
        return said[start:], str(max(len(said), start))

    async def names(self) -> list[str]:
        return list(self.containers)

    def on_exit(self, act: Callable[[str], None]) -> None:
        self._acts.append(act)

    async def close(self) -> None:
        self._acts.clear()

    def say(self, name: str, line: str) -> None:
        """A container writes a line."""
        self.containers[name].said.append((self.clock.now(), line))

    def end(self, name: str, exit_code: int | None) -> None:
        """A container ends by itself."""
        container = self.containers[name]
        container.state = replace(container.state, is_running=False, exit_code=exit_code)
        for act in self._acts:
            act(name)

    def _opened(self, port: Port) -> Port:
        if port.host_port:
            return port
        self._next_port += 1
        return replace(port, host_port=self._next_port)

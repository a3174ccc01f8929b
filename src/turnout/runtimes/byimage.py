"""Both runtimes at once: what `turnout pack` made runs as processes, every other image as containers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from turnout.errors import StepFailed
from turnout.runtimes import Ran, Runtime, State, Usage, Workload
from turnout.runtimes.process import ProcessRuntime


class ByImage:
    def __init__(self, process: ProcessRuntime, containers: Runtime) -> None:
        self._process = process
        self._containers = containers
        self.name = containers.name

    def honours(self, image: str) -> Collection[str]:
        return self._for(image).honours(image)

    async def resolve(self, image: str, region: str) -> str:
        try:
            by_digest = await self._process.resolve(image, region)
        except StepFailed:
            by_digest = None
        if by_digest is not None and self._process.has_image(by_digest):
            return by_digest
        return await self._containers.resolve(image, region)

    async def ensure_started(self, workload: Workload) -> State:
        return await self._for(workload.image).ensure_started(workload)

    async def find(self, name: str) -> State | None:
        return await self._of(name).find(name)

    async def kill(self, name: str, signal: str) -> None:
        await self._of(name).kill(name, signal)

    async def exec(self, workload: Workload, command: Sequence[str], timeout_s: float) -> Ran:
        return await self._for(workload.image).exec(workload, command, timeout_s)

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        own = [name for name in names if self._process.knows(name)]
        rest = [name for name in names if name not in own]
        return {**await self._process.usage(own), **await self._containers.usage(rest)}

    async def remove(self, name: str) -> None:
        await self._of(name).remove(name)

    async def read_output(self, name: str, position: str | None) -> tuple[list[tuple[float, str]], str]:
        return await self._of(name).read_output(name, position)

    async def names(self) -> list[str]:
        return sorted([*await self._process.names(), *await self._containers.names()])

    def on_exit(self, act: Callable[[str], None]) -> None:
        self._process.on_exit(act)
        self._containers.on_exit(act)

    async def close(self) -> None:
        await self._process.close()
        await self._containers.close()

    def _for(self, image: str) -> Runtime:
        return self._process if self._process.has_image(image) else self._containers

    def _of(self, name: str) -> Runtime:
        return self._process if self._process.knows(name) else self._containers

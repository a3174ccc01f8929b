"""The Docker runtime: a container is a container of Docker or Podman, through the Engine API.

The engine remembers all there is to know: a container carries the home, the task and its own name as labels, and is
found by a name made of them. So nothing is written down here, and after a crash of turnout everything goes on.

What is only kept until its output has been read bears another name: it is there for `read_output` alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from docker.errors import APIError

from turnout.config import Config
from turnout.errors import Hindered, StepFailed
from turnout.runtimes import Ran, State, Usage, Workload
from turnout.runtimes.docker import execs
from turnout.runtimes.docker.creating import (
    BIND_IP,
    HOME,
    HONOURED,
    TASK,
    WORKLOAD,
    container_document,
    volume_documents,
)
from turnout.runtimes.docker.engine import Engine, said
from turnout.runtimes.docker.exits import Exits
from turnout.runtimes.docker.images import EngineImages
from turnout.runtimes.docker.naming import Names, home_id
from turnout.runtimes.docker.networks import TaskNetworks
from turnout.runtimes.docker.reading import Reading
from turnout.runtimes.docker.state import is_running, pause_of, state_of, usage_of
from turnout.runtimes.docker.words import innermost, unix_time

UNREAD_OUTPUT_S = 24 * 3600.0
"""How long the output of a removed workload waits for a reader."""


class DockerRuntime:
    """Runs workloads of one home. Everything happens in the event loop of its first call."""

    name = "docker"

    def __init__(self, config: Config, engine: Engine) -> None:
        self.engine = engine
        self.names_of = Names(home_id(config.home))
        self._marker = config.containers
        self._images = EngineImages(engine, config)
        self._networks = TaskNetworks(engine, self.names_of)
        self._reading = Reading(engine)
        self._locks: dict[str, asyncio.Lock] = {}
        self._acts: list[Callable[[str], None]] = []
        self._exits: Exits | None = None
        self._adopting: set[asyncio.Task[None]] = set()

    def honours(self, image: str) -> Collection[str]:
        return HONOURED

    async def resolve(self, image: str, region: str) -> str:
        return await self._images.resolve(image)

    async def ensure_started(self, workload: Workload) -> State:
        self._adopt()
        async with self._locks.setdefault(workload.name, asyncio.Lock()):
            document = await self._inspect(workload.name)
            if document is None:
                document = await self._create(workload)
            if state_of(document) is None:
                document = await self._start(workload.name, document)
            state = await self._state(document)
            if state is None:
                raise StepFailed("CannotStartContainerError", f"{workload.name} was removed while it was started")
            return state

    async def find(self, name: str) -> State | None:
        document = await self._inspect(name)
        return None if document is None else await self._state(document)

    async def kill(self, name: str, signal: str) -> None:
        document = await self._inspect(name)
        if document is None or not is_running(document):
            return
        if signal == "SIGTERM":
            signal = document["Config"].get("StopSignal") or signal
        try:
            await self.engine.find(self.engine.client.kill, document["Id"], signal)
        except APIError as error:
            if error.status_code != 409:  # It has ended meanwhile.
                raise

    async def exec(self, workload: Workload, command: Sequence[str], timeout_s: float) -> Ran:
        document = await self._inspect(workload.name)
        if document is None or not is_running(document):
            return execs.NOT_RUNNING
        return await execs.run(self.engine, document["Id"], command, timeout_s)

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        found = await asyncio.gather(*(self._usage(name) for name in names))
        return {name: used for name, used in zip(names, found, strict=True) if used is not None}

    async def _usage(self, name: str) -> Usage | None:
        container = self.names_of.container(name)
        stats = await self.engine.find(self.engine.client.stats, container, stream=False, one_shot=True)
        return None if stats is None else usage_of(stats)

    async def remove(self, name: str) -> None:
        document = await self._inspect(name)
        if document is None or is_running(document):
            return
        self._locks.pop(name, None)
        await self._delete_removed(name)
        await self.engine.find(self.engine.client.rename, document["Id"], self.names_of.removed(name))

    async def read_output(self, name: str, position: str | None) -> tuple[list[tuple[float, str]], str]:
        if self._reading.has_nothing_new(name, position):
            return [], position or "0"
        try:
            document = await self._inspect(name)
            removed = None if document else await self._find(self.names_of.removed(name))
            if (found := document or removed) is None:
                return [], position or "0"
            lines, end = await self._reading.read(name, found, position)
            if removed is not None and not lines and position is not None:
                await self._delete(removed)  # Its reader has kept everything: it came back with the last position.
        except Hindered:
            return [], position or "0"
        return lines, end

    async def names(self) -> list[str]:
        return sorted(
            one["Labels"][WORKLOAD]
            for one in await self._containers()
            if WORKLOAD in one["Labels"] and self._is_called(one, self.names_of.container(one["Labels"][WORKLOAD]))
        )

    def on_exit(self, act: Callable[[str], None]) -> None:
        """Also told: what ended while no engine was looking, and again after each restart until it is removed."""
        self._acts.append(act)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # The first call inside a loop will look.
        self._adopt()

    async def close(self) -> None:
        """The networks of tasks that have ended go along; what runs goes on running."""
        if self._exits is not None:
            self._exits.close()
        self._acts.clear()
        for task in self._adopting:
            task.cancel()
        await asyncio.gather(*self._adopting, return_exceptions=True)
        try:
            await self._let_go_of_networks()
        except (Hindered, APIError):
            pass
        finally:
            self.engine.close()

    # Making

    async def _create(self, workload: Workload) -> dict[str, Any]:
        """Raises StepFailed."""
        client, ask = self.engine.client, self.engine.ask
        await self._delete_removed(workload.name)
        image = await self._images.id_of(workload.image)
        network = workload.network
        if network == "awsvpc":
            network = f"container:{await self._networks.ensure(workload.task)}"
        if workload.options.get("disableNetworking"):
            network = "none"
        document = container_document(workload, image, self.names_of, network, self.engine.cpus)
        self._mark()
        try:
            for volume in volume_documents(workload, self.names_of):
                await ask(client.create_volume, **volume)
            made = await ask(client.create_container_from_config, document, self.names_of.container(workload.name))
            return dict(await ask(client.inspect_container, made["Id"]))
        except APIError as error:
            raise StepFailed("CannotCreateContainerError", innermost(said(error))) from error

    async def _start(self, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """Raises StepFailed where the engine does not write down why a container cannot be started."""
        client = self.engine.client
        try:
            await self.engine.ask(client.start, document["Id"])
        except APIError as error:
            found = await self._inspect(name)
            if found is None or state_of(found) is None:
                raise StepFailed("CannotStartContainerError", innermost(said(error))) from error
            return found
        return dict(await self.engine.ask(client.inspect_container, document["Id"]))

    def _mark(self) -> None:
        """The home has containers from now on: `turnout up` has to find this engine again."""
        if not self._marker.exists():
            self._marker.write_text(f"{self.engine.socket}\n")

    # Finding

    async def _inspect(self, name: str) -> dict[str, Any] | None:
        return await self._find(self.names_of.container(name))

    async def _find(self, container: str) -> dict[str, Any] | None:
        found = await self.engine.find(self.engine.client.inspect_container, container)
        return None if found is None else dict(found)

    async def _state(self, document: dict[str, Any]) -> State | None:
        pause = pause_of(document)
        host = BIND_IP if pause is None else await self._networks.address(pause)
        return state_of(document, host or BIND_IP)

    async def _containers(self, *more: str) -> list[dict[str, Any]]:
        labels = [f"{HOME}={self.names_of.home_id}", *more]
        return list(await self.engine.ask(self.engine.client.containers, all=True, filters={"label": labels}))

    def _is_called(self, listed: dict[str, Any], name: str) -> bool:
        return any(one.lstrip("/") == name for one in listed["Names"])

    # What has ended

    def _adopt(self) -> None:
        """Look after what is there already. Once; needs a running loop."""
        if self._exits is None:
            self._exits = Exits(self.engine.client, self.names_of.home_id, self._tell, self._look_for_ended)

    def _tell(self, name: str) -> None:
        for act in list(self._acts):
            act(name)

    def _look_for_ended(self) -> None:
        """The engine's events begin now: what ended before them has to be asked for."""
        task = asyncio.ensure_future(self._tell_ended())
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def _tell_ended(self) -> None:
        try:
            for one in await self._containers(WORKLOAD):
                name = one["Labels"][WORKLOAD]
                if self._is_called(one, self.names_of.removed(name)):
                    if await self._is_old(one["Id"]):
                        await self._delete_by_id(one["Id"])
                elif one["State"] == "exited":
                    self._tell(name)
        except (Hindered, APIError):
            return  # Asked again when the engine's events begin again.

    async def _is_old(self, container: str) -> bool:
        found = await self._find(container)
        return found is not None and unix_time(found["State"]["FinishedAt"]) < time.time() - UNREAD_OUTPUT_S

    async def _delete_removed(self, name: str) -> None:
        await self._delete_by_id(self.names_of.removed(name))

    async def _delete_by_id(self, container: str) -> None:
        if (found := await self._find(container)) is not None:
            await self._delete(found)

    async def _delete(self, document: dict[str, Any]) -> None:
        """A container, and with the last one of a task its network and volumes."""
        labels = document["Config"]["Labels"]
        self._reading.forget(labels[WORKLOAD])
        await self.engine.find(self.engine.client.remove_container, document["Id"], v=True, force=True)
        task = labels.get(TASK)
        if task and not any(WORKLOAD in one["Labels"] for one in await self._containers(f"{TASK}={task}")):
            await self._networks.remove(task)
            filters = {"label": [f"{HOME}={self.names_of.home_id}", f"{TASK}={task}"]}
            for volume in (await self.engine.ask(self.engine.client.volumes, filters))["Volumes"] or ():
                await self.engine.find(self.engine.client.remove_volume, volume["Name"])

    async def _let_go_of_networks(self) -> None:
        containers = await self._containers()
        waiting = {one["Labels"].get(TASK) for one in containers if WORKLOAD not in one["Labels"]}
        for one in containers:
            # Asked one by one: an engine tells of an end a moment before its list shows it.
            if WORKLOAD in one["Labels"] and one["Labels"].get(TASK) in waiting:
                found = await self._find(one["Id"])
                if found is not None and is_running(found):
                    waiting.discard(one["Labels"][TASK])
        for task in waiting:
            await self._networks.remove(task)
        await self._networks.remove_network()

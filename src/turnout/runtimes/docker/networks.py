"""awsvpc: every task has an address of its own, held by a pause container for as long as the task is there.

The containers of a task share that container's network, so they reach each other on localhost, as on AWS.
"""

from __future__ import annotations

import asyncio
from typing import Any

from docker.errors import APIError

from turnout.errors import StepFailed
from turnout.runtimes.docker import pause
from turnout.runtimes.docker.creating import HOME, TASK
from turnout.runtimes.docker.engine import Engine, said
from turnout.runtimes.docker.naming import Names


class TaskNetworks:
    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._names = names
        self._making = asyncio.Lock()
        self._addresses: dict[str, str] = {}
        """Of pause containers by id: an address lasts as long as its container runs."""

    async def ensure(self, task: str) -> str:
        """The id of the container whose network the task's share. Raises StepFailed."""
        if self._engine.is_rootless:
            raise StepFailed(
                "CannotCreateContainerError",
                f"awsvpc needs an engine whose networks this machine reaches, and {self._engine.words} is rootless:"
                " use the network mode bridge, or an engine that root runs",
            )
        try:
            async with self._making:
                return await self._ensure(task)
        except APIError as error:
            raise StepFailed("CannotCreateContainerError", said(error)) from error

    async def _ensure(self, task: str) -> str:
        ask, client, name = self._engine.ask, self._engine.client, self._names.pause(task)
        found = await self._engine.find(client.inspect_container, name)
        if found is not None and found["State"]["Running"]:
            return str(found["Id"])
        if found is not None and found["State"]["Status"] != "created":
            await ask(client.remove_container, name, force=True)
            found = None
        if found is None:
            await self._ensure_network()
            found = await ask(client.create_container_from_config, await self._document(task), name)
        await ask(client.start, found["Id"])
        return str(found["Id"])

    async def address(self, pause_id: str) -> str | None:
        """Where the task answers; None once its pause container is gone."""
        if pause_id not in self._addresses:
            found = await self._engine.find(self._engine.client.inspect_container, pause_id)
            networks = found["NetworkSettings"]["Networks"] if found else {}
            if not (address := networks.get(self._names.network, {}).get("IPAddress")):
                return None
            self._addresses[pause_id] = str(address)
        return self._addresses[pause_id]

    async def remove(self, task: str) -> None:
        name = self._names.pause(task)
        found = await self._engine.find(self._engine.client.inspect_container, name)
        if found is not None:
            self._addresses.pop(found["Id"], None)
            await self._engine.find(self._engine.client.remove_container, name, force=True)

    async def remove_network(self) -> None:
        """Once no task is left; an engine keeps one that is in use."""
        try:
            await self._engine.find(self._engine.client.remove_network, self._names.network)
        except APIError:
            return

    async def _ensure_network(self) -> None:
        ask, client, name = self._engine.ask, self._engine.client, self._names.network
        if not await self._engine.find(client.inspect_network, name):
            await ask(client.create_network, name, driver="bridge", labels={HOME: self._names.home_id})

    async def _document(self, task: str) -> dict[str, Any]:
        image = f"{pause.REPOSITORY}:{pause.TAG}"
        client = self._engine.client
        if not await self._engine.find(client.inspect_image, image):
            contents = pause.file_system(self._engine.platform.partition("/")[2])
            await self._engine.ask(
                client.import_image_from_data, contents, pause.REPOSITORY, pause.TAG, changes=pause.CHANGES
            )
        return {
            "Image": image,
            "Labels": {HOME: self._names.home_id, TASK: task},
            "HostConfig": {"NetworkMode": self._names.network, "LogConfig": {"Type": "none"}},
        }

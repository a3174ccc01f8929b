"""The rig of the Docker runtime: containers of a real engine, told what to do through named pipes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.containers import ContainerEngine
from tests.runtimes.rigs import IMAGE, REGION, Exits
from turnout.config import Config
from turnout.runtimes import Ran, State, Workload
from turnout.runtimes.docker import DockerRuntime
from turnout.runtimes.docker.engine import Engine, streamed

INIT = {"initProcessEnabled": True}


class DockerRig:
    def __init__(self, home: Path, engine: ContainerEngine) -> None:
        self.config = Config(home=home)
        self.engine = engine
        self._pipes = home.parent / "pipes"
        self._lines: dict[str, int] = {}
        self._unfinished: dict[str, str] = {}
        self._started: set[str] = set()

    async def open(self) -> None:
        self.config.home.mkdir(exist_ok=True)
        self._pipes.mkdir(exist_ok=True)
        self._begin()

    def _begin(self) -> None:
        self.runtime = DockerRuntime(self.config, Engine(self.engine.socket))
        self._exits = Exits(self.runtime)

    def workload(self, name: str, image: str, **members: Any) -> Workload:
        ports = " ".join(str(port.container_port) for port in members.get("ports", ()))
        environment = {"NAME": name, "PORTS": ports, **members.pop("environment", {})}
        volumes = {"rig": {"name": "rig", "host": {"sourcePath": str(self._pipes)}}, **members.pop("volumes", {})}
        mounts = [{"sourceVolume": "rig", "containerPath": "/rig"}]
        # An init process that finds no command ends as any process does: nothing could not be started.
        own = {} if members.get("command") else {"linuxParameters": INIT}
        options = {**own, **members.pop("options", {})}
        options["mountPoints"] = [*mounts, *options.get("mountPoints", ())]
        members.setdefault("task", name)
        return Workload(name, image, environment=environment, volumes=volumes, options=options, **members)

    async def start(self, name: str, **members: Any) -> State:
        image = members.pop("image", None) or await self.runtime.resolve(IMAGE, REGION)
        for kind in ("told", "said"):
            if not (pipe := self._pipes / f"{name}.{kind}").exists():
                os.mkfifo(pipe)
        state = await self.runtime.ensure_started(self.workload(name, image, **members))
        if state.is_running and name not in self._started:
            self._started.add(name)
            assert await self._hear(name) == "up\n"
        return state

    async def _hear(self, name: str) -> str:
        """Opening a pipe waits for who writes into it."""
        return await asyncio.to_thread((self._pipes / f"{name}.said").read_text)

    async def _tell(self, name: str, text: str) -> None:
        await asyncio.to_thread((self._pipes / f"{name}.told").write_text, f"{text}\n")

    async def say(self, name: str, text: str) -> None:
        await self._tell(name, f"say {text}".replace("\n", "\\n"))
        await self._hear(name)
        *whole, self._unfinished[name] = (self._unfinished.get(name, "") + text).split("\n")
        self._lines[name] = self._lines.get(name, 0) + len(whole)
        await asyncio.to_thread(self._await_lines, name, self._lines[name])

    def _await_lines(self, name: str, count: int) -> None:
        """Until the engine has got as many lines: it reads the pipe of a container in its own time."""
        with streamed(self.engine.client.logs(self.id_of(name), stream=True, follow=True)) as stream:
            for seen, _ in enumerate(stream, start=1):
                if seen == count:
                    return

    def id_of(self, name: str) -> str:
        return self.runtime.names_of.container(name)

    async def end(self, name: str, code: int) -> None:
        await self._tell(name, f"end {code}")

    async def exit_of(self, name: str) -> None:
        await self._exits.of(name)

    async def answers(self, state: State) -> bool:
        for port in state.ports:
            _, writer = await asyncio.open_connection(state.host, port.host_port)
            writer.close()
        return True

    async def exec(self, name: str, script: str, timeout_s: float = 20.0) -> Ran:
        workload = self.workload(name, await self.runtime.resolve(IMAGE, REGION))
        return await self.runtime.exec(workload, ["/bin/sh", "-c", script], timeout_s)

    async def restart(self) -> None:
        await self.runtime.close()
        self._begin()

    async def close(self) -> None:
        """Whatever a test has left: containers, networks, volumes."""
        await self.runtime.close()
        label = {"label": f"dev.turnout.home={self.runtime.names_of.home_id}"}
        client = self.engine.client
        for one in client.containers(all=True, filters=label):
            client.remove_container(one["Id"], force=True, v=True)
        removals: tuple[tuple[Any, Callable[[str], None]], ...] = (
            ([one["Id"] for one in client.networks(filters=label)], client.remove_network),
            ([one["Name"] for one in client.volumes(filters=label)["Volumes"] or ()], client.remove_volume),
        )
        for names, remove in removals:
            for name in names:
                remove(name)

"""A rig has a runtime, and containers on it that do what a test says: on paper, or for real."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.fakes.runtime import FakeRuntime
from turnout.clock import ManualClock
from turnout.config import Config
from turnout.runtimes import Port, Ran, Runtime, State, Workload
from turnout.runtimes.process import ProcessRuntime

IMAGE = "program:1"
REGION = "us-east-1"
PROGRAM = Path(__file__).with_name("program.py")


class Rig(Protocol):
    runtime: Runtime

    async def open(self) -> None: ...
    async def start(self, name: str, **members: Any) -> State:
        """A container of IMAGE that is up. Under an init process, or it would ignore every signal that it does not
        handle, as the first process of a container does.
        """

    async def say(self, name: str, text: str) -> None:
        """It writes this, and the whole lines of it have reached the runtime."""

    async def end(self, name: str, code: int) -> None: ...
    async def exit_of(self, name: str) -> None:
        """Until the runtime has told that it ended."""

    async def answers(self, state: State) -> bool:
        """Whether all its ports do."""

    async def exec(self, name: str, script: str, timeout_s: float = 20.0) -> Ran:
        """A line of shell inside a container that was started without further members."""

    async def restart(self) -> None:
        """Throw the runtime away, as a SIGKILL of the engine does, and make a new one."""

    async def close(self) -> None: ...


class Exits:
    """What `on_exit` told."""

    def __init__(self, runtime: Runtime) -> None:
        self._told: set[str] = set()
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        runtime.on_exit(self._heard)

    def _heard(self, name: str) -> None:
        self._told.add(name)
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def of(self, name: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: name in self._told)


class FakeRig:
    def __init__(self) -> None:
        self.runtime = FakeRuntime(ManualClock())
        self.runtime.missing.add("program:nosuch")

    async def open(self) -> None:
        self._exits = Exits(self.runtime)

    async def start(self, name: str, **members: Any) -> State:
        workload = Workload(name, await self.runtime.resolve(IMAGE, REGION), **members)
        if workload.environment.get("STUBBORN"):
            self.runtime.stubborn.add(name)
        if workload.command == ("nosuch",):
            self.runtime.cannot_start[workload.image] = 'exec: "nosuch": executable file not found in $PATH'
        return await self.runtime.ensure_started(workload)

    async def say(self, name: str, text: str) -> None:
        self._unfinished = getattr(self, "_unfinished", "") + text
        *lines, self._unfinished = self._unfinished.split("\n")
        for line in lines:
            self.runtime.say(name, line)

    async def end(self, name: str, code: int) -> None:
        self.runtime.end(name, code)

    async def exit_of(self, name: str) -> None:
        await self._exits.of(name)

    async def answers(self, state: State) -> bool:
        return state.is_running and all(port.host_port for port in state.ports)

    async def exec(self, name: str, script: str, timeout_s: float = 20.0) -> Ran:
        on_paper = {"echo $NAME; exit 3": Ran(3, name), "sleep 60": Ran(None, "")}
        self.runtime.ran[name] = on_paper.get(script, Ran(0, ""))
        workload = Workload(name, await self.runtime.resolve(IMAGE, REGION))
        return await self.runtime.exec(workload, ["/bin/sh", "-c", script], timeout_s)

    async def restart(self) -> None:
        """What is on paper stays there."""

    async def close(self) -> None:
        await self.runtime.close()


class ProcessRig:
    def __init__(self, home: Path, *, is_sandboxed: bool) -> None:
        self.config = Config(home=home)
        self.is_sandboxed = is_sandboxed
        self.runtime = ProcessRuntime(self.config, is_sandboxed=is_sandboxed)
        self._channels: dict[str, asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}

    async def open(self) -> None:
        await self.runtime.prepare()
        if self.is_sandboxed and self.runtime.sandbox.startswith("none"):
            pytest.skip(f"sandbox: {self.runtime.sandbox}")
        application = self.config.home.parent / "application"
        application.mkdir(exist_ok=True)
        shutil.copy(PROGRAM, application)
        self.runtime.images.pack(application, ["python3", "-I", "-S", "program.py"], IMAGE, REGION)
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._exits = Exits(self.runtime)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._channel(json.loads(await reader.readline())).set_result((reader, writer))

    def _channel(self, name: str) -> asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        if name not in self._channels:
            self._channels[name] = asyncio.get_running_loop().create_future()
        return self._channels[name]

    async def is_up(self, name: str) -> None:
        await self._channel(name)

    def forget(self, name: str) -> None:
        """It will be started anew."""
        _, writer = self._channels.pop(name).result()
        writer.close()

    def workload(self, name: str, image: str, **members: Any) -> Workload:
        environment = {"RIG": str(self.port), "NAME": name, **members.pop("environment", {})}
        return Workload(name, image, environment=environment, **members)

    async def start(self, name: str, **members: Any) -> State:
        image = await self.runtime.resolve(IMAGE, REGION)
        state = await self.runtime.ensure_started(self.workload(name, image, **members))
        if state.is_running:
            up, ended = asyncio.ensure_future(self.is_up(name)), asyncio.ensure_future(self.exit_of(name))
            await asyncio.wait([up, ended], return_when=asyncio.FIRST_COMPLETED)
            assert up.done(), await self.runtime.read_output(name, None)
            ended.cancel()
        return state

    async def ask(self, name: str, verb: str, *words: object) -> Any:
        reader, writer = await self._channel(name)
        writer.write(json.dumps([verb, *words]).encode() + b"\n")
        line = await reader.readline()
        return json.loads(line) if line else None

    async def say(self, name: str, text: str) -> None:
        await self.ask(name, "say", text)

    async def end(self, name: str, code: int) -> None:
        await self.ask(name, "end", code)

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
        self.runtime = ProcessRuntime(self.config, is_sandboxed=self.is_sandboxed)
        self._exits = Exits(self.runtime)

    async def close(self) -> None:
        for name in await self.runtime.names():
            state = await self.runtime.find(name)
            if state is not None and state.is_running:
                await self.runtime.kill(name, "SIGKILL")
                await self.exit_of(name)
        await self.runtime.close()
        for channel in self._channels.values():
            if channel.done():
                channel.result()[1].close()
        self._server.close()
        await self._server.wait_closed()


ONE_PORT = (Port(8000),)

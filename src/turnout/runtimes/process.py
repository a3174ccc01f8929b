"""The process runtime: a container is a process of the host, an image what `turnout pack` made of a folder.

A folder per workload, below `tasks` in the home, holds all there is to know about it: workload.json (what was asked and
which ports it got) and the files of `detached`. Nothing else is needed to find it again, so after a crash of the engine
everything goes on, and what ended meanwhile is learnt.

What differs from a container: there is no network of its own (an application listens on PORT), `memory` and `cpu` are
not limits (a limit of address space, all that an ordinary user can set, fails programs that use far less than they
reserve), and a `user` is what the process believes to be, not what the host sees.
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from turnout.config import Config
from turnout.errors import StepFailed
from turnout.hindrances import hindrance
from turnout.names import DEFAULT_REGION
from turnout.runtimes import Port, Ran, State, Usage, Workload, execs
from turnout.runtimes.commands import (
    CannotStart,
    View,
    argv_of,
    check_command,
    check_directory,
    environment_of,
    user_of,
    with_host_paths,
)
from turnout.runtimes.detached import Detached, find, spawn
from turnout.runtimes.images import Image, Images
from turnout.runtimes.output import read_lines, size_of
from turnout.runtimes.ports import Ports
from turnout.runtimes.processes import usage_below
from turnout.runtimes.records import Record
from turnout.runtimes.references import parse_reference
from turnout.runtimes.sandbox import Sandbox, Userland, probe_python, probe_sandbox, userland_for
from turnout.runtimes.trees import remove_tree

HOST = "127.0.0.1"
STARTS_AT_ONCE = 2
"""More would hold up the event loop: each fork takes about a millisecond of it."""
UNREAD_OUTPUT_S = 24 * 3600.0
"""How long the output of a removed workload waits for a reader."""


class ProcessRuntime:
    """Runs workloads of one home. Everything happens in the event loop of its first call."""

    name = "process"

    def __init__(self, config: Config, *, is_sandboxed: bool = True) -> None:
        """`is_sandboxed` False: plain processes, even where bubblewrap works."""
        self.folder = config.tasks
        self.images = Images(config.images)
        self._home = config.home
        self._is_sandboxed = is_sandboxed
        self._ports = Ports()
        self._held: dict[str, Detached] = {}
        self._acts: list[Callable[[str], None]] = []
        self._locks: dict[str, asyncio.Lock] = {}
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._preparing = asyncio.Lock()
        self._userland: Userland | None = None
        self._sandbox: Sandbox | None = None
        self._sandbox_words = "not looked at yet"
        self._is_adopted = False

    @property
    def sandbox(self) -> str:
        """Which sandbox is used, or "none: " and why. Known once `prepare` has run."""
        return self._sandbox_words

    async def prepare(self) -> None:
        """Find out what works on this machine; done by the first start at the latest."""
        async with self._preparing:
            if self._userland is None:
                pythons, path = await probe_python()
                userland = userland_for(self._home, pythons, path)
                if self._is_sandboxed:
                    self._sandbox, self._sandbox_words = await probe_sandbox(userland)
                else:
                    self._sandbox_words = "none: switched off"
                self._userland = userland

    def honours(self, image: str) -> Collection[str]:
        return ()

    def has_image(self, image: str) -> bool:
        """Whether an image, by digest, is one that `turnout pack` made in this home."""
        return self.images.has_packed(parse_reference(image, DEFAULT_REGION))

    def knows(self, name: str) -> bool:
        """Whether a workload is or was run here, and has not been forgotten."""
        return name in self._held or self._folder_of(name).exists()

    async def resolve(self, image: str, region: str) -> str:
        return str(self.images.resolve(image, region))

    async def ensure_started(self, workload: Workload) -> State:
        self._adopt()
        await self.prepare()
        async with self._locks.setdefault(workload.name, asyncio.Lock()), self._starts:
            folder = self._folder_of(workload.name)
            if (folder / "removed").exists():
                await asyncio.to_thread(remove_tree, folder)
            if (state := await self.find(workload.name)) is not None:
                return state
            image = self.images.get(parse_reference(workload.image, DEFAULT_REGION))
            root = await asyncio.to_thread(self.images.ensure_unpacked, image)
            record = Record.read(folder)
            try:
                if record is None:
                    record = Record(workload.name, self._allocate(workload), time.time())
                record.write(folder)
                self._hold(workload.name, await self._start(workload, image, root, record.ports))
            except CannotStart as error:
                self._ports.release(workload.name)
                Record(workload.name, workload.ports, time.time(), str(error), error.exit_code).write(folder)
            state = await self.find(workload.name)
            if state is None:
                raise StepFailed("CannotStartContainerError", f"{workload.name} was removed while it was started")
            return state

    async def find(self, name: str) -> State | None:
        self._adopt()
        folder = self._folder_of(name)
        if (folder / "removed").exists() or (record := Record.read(folder)) is None:
            return None
        if record.failure is not None:
            return State(False, record.ports, HOST, record.created_at, record.exit_code, record.failure)
        detached = self._held.get(name) or find(folder)
        if detached is None:
            return None
        is_alive = detached.is_alive()
        exit_code = detached.exit_code()
        reason = None
        if not is_alive and exit_code is None:
            reason = "how it ended is not known: its supervisor was killed, or the machine went down"
        return State(is_alive and exit_code is None, record.ports, HOST, detached.started_at, exit_code, reason)

    async def kill(self, name: str, signal: str) -> None:
        self._adopt()
        # What an interrupted start left behind is held by nobody, and ends all the same.
        if (detached := self._held.get(name) or find(self._folder_of(name))) is not None:
            detached.signal(signals.Signals["SIG" + signal.upper().removeprefix("SIG")])

    async def exec(self, workload: Workload, command: Sequence[str], timeout_s: float) -> Ran:
        await self.prepare()
        state = await self.find(workload.name)
        detached = self._held.get(workload.name)
        if state is None or not state.is_running or detached is None:
            return Ran(None, "the container does not run")
        try:
            image = self.images.get(parse_reference(workload.image, DEFAULT_REGION))
            place = self._place_in(workload, image, state.ports, detached, command)
        except (CannotStart, StepFailed, OSError) as error:
            return Ran(None, str(error))
        return await execs.run(place, timeout_s)

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        self._adopt()
        running = {
            name: detached.identity.pid
            for name in names
            if (detached := self._held.get(name)) is not None and detached.identity is not None and detached.is_alive()
        }
        if not running:
            return {}
        used = await asyncio.to_thread(usage_below, set(running.values()))
        return {name: Usage(*used[pid]) for name, pid in running.items()}

    async def remove(self, name: str) -> None:
        state = await self.find(name)
        if state is None or state.is_running:
            return
        self._held.pop(name, None)
        self._locks.pop(name, None)
        folder = self._folder_of(name)
        (folder / "removed").touch()
        await asyncio.to_thread(remove_tree, folder / "tmp")
        if size_of(folder / "output") == 0:
            await asyncio.to_thread(remove_tree, folder)

    async def read_output(self, name: str, position: str | None) -> tuple[list[tuple[float, str]], str]:
        folder = self._folder_of(name)
        if name in self._held and int(position or 0) >= size_of(folder / "output"):
            return [], position or "0"  # The usual case, many times a second for each task.
        state = await self.find(name)
        has_ended = state is None or not state.is_running
        lines, end = read_lines(folder / "output", int(position or 0), has_ended=has_ended)
        if (folder / "removed").exists() and int(position or 0) >= size_of(folder / "output"):
            # Its reader has kept everything: it came back with the last position.
            await asyncio.to_thread(remove_tree, folder)
        return lines, str(end)

    async def names(self) -> list[str]:
        return self._names()

    def on_exit(self, act: Callable[[str], None]) -> None:
        """Also told: what ended while no engine was looking, and again after each restart until it is removed."""
        self._acts.append(act)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # The first call inside a loop will look.
        self._adopt()

    async def close(self) -> None:
        for detached in self._held.values():
            detached.close()
        self._held.clear()
        self._acts.clear()

    async def _start(self, workload: Workload, image: Image, root: Path, ports: tuple[Port, ...]) -> Detached:
        """Raises CannotStart."""
        folder = self._folder_of(workload.name)
        userland, sandbox = self._userland, self._sandbox
        assert userland is not None
        if not image.is_packed:
            raise CannotStart("the process runtime runs what `turnout pack` made; this image has its own userland")
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = self._environment(workload, image, ports)
        view = View(root, userland if sandbox else None)
        directory = workload.working_directory or image.working_directory
        place = check_directory(directory, view)
        argv = argv_of(workload, image)
        check_command(argv, environment["PATH"], directory, view)
        user = user_of(workload.user)
        can_be_anyone = sandbox is not None and sandbox.has_user_namespace
        if user not in (None, (os.getuid(), os.getgid())) and not can_be_anyone:
            raise CannotStart(f"user {workload.user!r} needs a user namespace, which this machine refuses")
        try:
            if sandbox is None:
                return await spawn(folder, with_host_paths(argv, view), environment, place)
            command = sandbox.argv(userland, root / "app", temporary, directory, argv, user)
            return await spawn(folder, command, environment, folder, in_sandbox=True)
        except OSError as error:
            if hindrance(error) is not None:
                raise  # not the workload's fault: it is started as soon as it can be
            raise CannotStart(str(error)) from error

    def _environment(self, workload: Workload, image: Image, ports: tuple[Port, ...]) -> dict[str, str]:
        assert self._userland is not None
        temporary = str(self._folder_of(workload.name) / "tmp")
        places = {"HOME": "/tmp"} if self._sandbox else {"HOME": temporary, "TMPDIR": temporary}
        return environment_of(workload, image, ports, {"PATH": self._userland.path, **places})

    def _place_in(
        self, workload: Workload, image: Image, ports: tuple[Port, ...], detached: Detached, command: Sequence[str]
    ) -> execs.Place:
        """The way into a workload that runs. Raises CannotStart, OSError."""
        folder, userland, sandbox = self._folder_of(workload.name), self._userland, self._sandbox
        assert userland is not None
        root = self.images.unpacked(image)
        environment = self._environment(workload, image, ports)
        directory = workload.working_directory or image.working_directory
        view = View(root, userland if sandbox else None)
        place = check_directory(directory, view)
        if sandbox is None:
            return execs.Place(with_host_paths(command, view), environment, place)
        head = detached.head_of_sandbox()
        if head is None:
            raise CannotStart("the container is not up yet")
        argv, descriptors = sandbox.argv_beside(head, userland, root / "app", folder / "tmp", directory, command)
        return execs.Place(argv, environment, folder, descriptors)

    def _allocate(self, workload: Workload) -> tuple[Port, ...]:
        """Raises CannotStart when a port that was asked for by number is taken."""
        given = []
        for port in workload.ports:
            number = port.host_port or self._ports.take(workload.name)
            if port.host_port and (holder := self._ports.claim(number, workload.name)):
                raise CannotStart(f"Bind for 0.0.0.0:{number} failed: port is already allocated (to {holder})")
            given.append(Port(port.container_port, number, port.protocol))
        return tuple(given)

    def _adopt(self) -> None:
        """Look after what is there already. Once; needs a running loop."""
        if self._is_adopted:
            return
        self._is_adopted = True
        for name in self._names():
            detached = find(self._folder_of(name))
            record = Record.read(self._folder_of(name))
            if record is not None and record.failure is None and (detached is None or detached.is_alive()):
                self._ports.hold([port.host_port for port in record.ports], name)
            if detached is not None:
                self._hold(name, detached)
        for folder in self.folder.glob("*/removed"):
            if folder.stat().st_mtime < time.time() - UNREAD_OUTPUT_S:
                remove_tree(folder.parent)

    def _hold(self, name: str, detached: Detached) -> None:
        self._held[name] = detached
        detached.on_exit(lambda: self._exited(name))

    def _exited(self, name: str) -> None:
        self._ports.release(name)
        for act in list(self._acts):
            act(name)

    def _names(self) -> list[str]:
        records = self.folder.glob(f"*/{Record.FILE}")
        return sorted(unquote(file.parent.name) for file in records if not (file.parent / "removed").exists())

    def _folder_of(self, name: str) -> Path:
        return self.folder / quote(name, safe="")

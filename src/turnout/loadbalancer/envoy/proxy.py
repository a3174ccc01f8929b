"""Envoy behind the seam: tells it the picture by files, keeps it alive, and reads its account.

After a crash of the engine Envoy goes on serving the last picture; the next engine finds it and corrects the files.
After a crash of Envoy it is started again on the same files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from turnout.config import Config
from turnout.errors import SetupError
from turnout.loadbalancer.envoy import failures, process
from turnout.loadbalancer.envoy.admin import Admin
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.heirs import Heirs
from turnout.loadbalancer.envoy.listeners import render_bootstrap
from turnout.loadbalancer.envoy.ports import PortMap
from turnout.loadbalancer.envoy.routes import route_config_name
from turnout.loadbalancer.envoy.telling import Teller
from turnout.loadbalancer.envoy.watch import Watch
from turnout.loadbalancer.envoy.wire import EnvoySilent
from turnout.loadbalancer.picture import Picture
from turnout.loadbalancer.proxy import Bound, Counters, Failures, GroupCounters, Health, Interruption, Meters

log = logging.getLogger(__name__)

T = TypeVar("T")

READY_WITHIN_S = 15.0
ANSWERS_WITHIN_S = 5.0
SETTLES_AFTER_S = 0.15
LOOKS_AFTER_EVERY_S = 3.0
PAUSES_S = (0.0, 0.0, 0.5, 2.0, 5.0)
"""Before a start that follows a death within 10 s of the last start, and the next, and the next."""


class Envoy:
    """The proxy of the real engine."""

    def __init__(self, config: Config) -> None:
        self._folder = Folder(config.envoy)
        self._ports = PortMap(self._folder, config.host, config.free_listener_ports)
        self._admin = Admin(self._folder.admin_socket)
        self._watch = Watch(self._admin, self._folder.health_log, lambda: self._teller.picture.groups)
        self._heirs = Heirs(self._folder, workers=len(os.sched_getaffinity(0)))
        self._teller = Teller(
            self._folder, self._ports, config.host, self._watch.is_healthy, lambda address: self._heirs.holds(address)
        )
        self._settling: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._process: process.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._died = asyncio.Event()
        self._load: tuple[float, int, int] | None = None
        """When Envoy was last asked, and its connections and requests in flight then."""
        self._addresses: frozenset[str] = frozenset()
        self._opened_at = 0.0
        self._opens = asyncio.Event()
        """When and that the ports last became others."""
        self._interrupted: Callable[[Interruption], None] = lambda interruption: None

    @property
    def trouble(self) -> str | None:
        """Why Envoy cannot be told what has changed."""
        return self._folder.trouble

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    # Telling

    def listen(self, heard: Callable[[Sequence[Health]], None]) -> None:
        self._watch.heard = heard

    def on_interruption(self, act: Callable[[Interruption], None]) -> None:
        self._interrupted = act

    def apply(self, picture: Picture) -> None:
        was, self._teller.picture = self._teller.picture, picture
        for group, endpoints in was.endpoints.items():
            if endpoints is not picture.endpoints.get(group):
                gone = {e.address for e in endpoints} - {e.address for e in picture.endpoints.get(group, ())}
                self._watch.forget(group, gone)
        self._watch.ask(self._teller.tell(was))
        self._follow_up()

    def _follow_up(self) -> None:
        """Come back for what could not be told at once."""
        loop = asyncio.get_running_loop()
        addresses = frozenset(self._teller.addresses())
        self._heirs.only(addresses)
        if addresses != self._addresses:
            self._addresses, self._opened_at = addresses, loop.time()
            self._opens.set()
        wait_s = self._teller.wait_s()
        if wait_s is not None and self._writing is None:
            self._writing = loop.call_later(wait_s, self._write)
        if self._teller.unsettled:
            self._watch.pause(self._teller.unsettled)
            if wait_s is None and self._settling is None:
                self._settling = loop.call_later(SETTLES_AFTER_S, self._settle)

    def _write(self) -> None:
        self._writing = None
        self._teller.write()
        self._follow_up()

    def _settle(self) -> None:
        self._settling = None
        self._teller.settle()
        self._watch.pause(())
        self._follow_up()

    # The life of the process

    async def start(self) -> None:
        self._folder.create()
        self._process = process.find(self._folder)
        if self._process is None:
            is_lost = self._folder.process.exists()  # `stop` would have removed it
            await self._spawn()
            if is_lost:
                self._interrupted(Interruption(None, "Envoy had ended before this engine began"))
        else:
            log.info("found Envoy, pid %s, serving", self._process.pid)
            self._put_bootstrap()
            self._heirs.workers = self._process.workers or self._heirs.workers
            if self._process.generation is not None:
                # What it listens on is known from itself: its files may have been damaged meanwhile.
                await self._heirs.keep(self._teller.wanted_addresses, self._process.generation)
            self._teller.tell_all()
            self._follow_up()
        self._died.clear()
        self._process_watched().on_death(self._died.set)
        self._tasks = [
            asyncio.create_task(self._keep_alive(), name="keep Envoy alive"),
            asyncio.create_task(self._watch.run_forever(), name="watch health"),
            asyncio.create_task(self._look_after(), name="look after Envoy"),
        ]

    async def close(self) -> None:
        for timer in (self._settling, self._writing):
            if timer is not None:
                timer.cancel()
        self._settling = self._writing = None
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._process is not None:
            self._process.let_go()
        self._heirs.let_go()
        await self._admin.close()

    async def stop(self) -> None:
        await self.close()
        found = self._process or process.find(self._folder)
        self._process = None
        if found is not None:
            await found.end()
        self._heirs.forget()
        self._folder.drop(self._folder.process)
        self._folder.admin_socket.unlink(missing_ok=True)
        if self._folder.admin_socket.parent != self._folder.path:
            with suppress(OSError):
                self._folder.admin_socket.parent.rmdir()

    async def _spawn(self) -> None:
        """Start Envoy, on the sockets of the one that has ended if we hold them, and wait until it serves."""
        was = self._process
        if was is None or was.generation is None or not self._heirs.holds_any:
            await self._spawn_as(0)
            return
        try:
            with self._heirs.bequeath(was.generation):
                await self._spawn_as(was.generation + 1)
        except (SetupError, OSError) as error:
            # Whatever it was about the sockets: without them Envoy needs nothing but its files.
            log.warning("Envoy did not take over the sockets of its ports, and binds them anew: %s", error)
            self._heirs.let_go()
            await self._spawn_as(0)

    async def _spawn_as(self, generation: int) -> None:
        """Start Envoy and wait until it serves. Raises SetupError, and leaves none behind.

        Envoy opens no listener before the first check of every target has ended, and one that hangs would hold up
        everybody: so it starts without checks, and is told of them as soon as it serves.
        """
        folder = self._folder
        folder.doubt()
        self._put_bootstrap()
        self._teller.begin()
        if folder.trouble is not None and not (folder.bootstrap.exists() and folder.listeners.exists()):
            raise SetupError(f"the files that Envoy reads cannot be written: {folder.trouble}")
        self._watch.begin_anew()
        await self._admin.close()
        self._process = started = process.start(folder, self._heirs, generation)
        try:
            await self._until_live(started)
        except BaseException:
            await started.end()
            raise
        self._teller.tell_all()
        self._follow_up()
        self._watch.ask(self._teller.picture.groups.keys())

    def _put_bootstrap(self) -> None:
        folder = self._folder
        bootstrap = render_bootstrap(folder.admin_socket, folder.clusters, folder.listeners)
        folder.put(folder.bootstrap, json.dumps(bootstrap, indent=1))

    async def _until_live(self, started: process.Process) -> None:
        folder = self._folder
        deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
        while not await self._admin.is_live():
            if not started.is_alive:
                raise SetupError(f"Envoy ended at once. Its last words, in {folder.log}: {_last_words(folder)}")
            if asyncio.get_running_loop().time() > deadline:
                raise SetupError(f"Envoy did not come up within {READY_WITHIN_S:g} s, see {folder.log}")
            await asyncio.sleep(0.005)

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        started_at = loop.time()
        while True:
            await self._died.wait()
            self._died.clear()
            died_at = loop.time()
            lost = self._process_watched()
            log.error("Envoy, pid %s, has ended; starting it again. Its log: %s", lost.pid, self._folder.log)
            try:
                is_back = False
                while not is_back:
                    deaths = deaths + 1 if loop.time() - started_at < 10 else 0
                    await asyncio.sleep(PAUSES_S[min(deaths, len(PAUSES_S) - 1)])
                    started_at = loop.time()
                    try:
                        await self._spawn()
                        is_back = True
                    except (SetupError, OSError) as error:
                        log.error("Envoy did not start, and is tried again: %s", error)
                        self._heirs.let_go()  # to be refused is better than to wait for nobody
                self._process_watched().on_death(self._died.set)
                try:
                    self._interrupted(self._account(lost, died_at))
                except Exception:
                    log.exception("the end of Envoy could not be written down")
            finally:
                lost.part()

    def _account(self, lost: process.Process, died_at: float) -> Interruption:
        looked_at, connections, in_flight = self._load or (None, None, None)
        lasted_s = asyncio.get_running_loop().time() - died_at
        return Interruption(
            lasted_s,
            f"Envoy, pid {lost.pid}, {lost.ending}",
            connections,
            in_flight,
            None if looked_at is None else max(0.0, died_at - looked_at),
            self._heirs.holds_any,
        )

    def _process_watched(self) -> process.Process:
        assert self._process is not None
        return self._process

    async def _look_after(self) -> None:
        """Ports that were taken are tried again, refused updates are reported, long logs set aside."""
        while True:
            try:
                await self._keep_sockets()
                self._load = (asyncio.get_running_loop().time(), *await self._admin.load())
                await self._pause()
                self._folder.catch_up()
                self._folder.mend()
                self._teller.try_ports_again()
                self._follow_up()
                if failures.set_aside(self._folder.failure_log):
                    await self._admin.reopen_logs()
                if self._teller.has_news():
                    await self._report()
            except EnvoySilent:
                await asyncio.sleep(LOOKS_AFTER_EVERY_S)
            except Exception:
                log.exception("looking after Envoy stumbled; it goes on")
                await asyncio.sleep(LOOKS_AFTER_EVERY_S)

    async def _pause(self) -> None:
        """Until the next look: soon where ports are being opened, for who connects to a port whose socket is not held
        yet is refused should Envoy die."""
        if asyncio.get_running_loop().time() - self._opened_at < LOOKS_AFTER_EVERY_S:
            await asyncio.sleep(SETTLES_AFTER_S)
            return
        self._opens.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_AFTER_EVERY_S):
                await self._opens.wait()

    async def _keep_sockets(self) -> None:
        running = self._process
        if running is not None and running.generation is not None and running.is_alive:
            await self._heirs.keep(self._teller.addresses, running.generation)

    async def _report(self) -> None:
        for name, details in (await self._admin.listener_errors()).items():
            log.error("Envoy refused the listener %s: %s", name, details)
        versions = await self._admin.route_versions()
        for port, version in self._teller.versions.items():
            accepted = versions.get(route_config_name(port))
            if accepted not in (version, None):
                log.error("Envoy has not accepted the routes of port %s: %s is in force", port, accepted)

    # Reading

    async def is_reachable(self, host: str, port: int, within_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        pause_s = 0.01
        while True:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(max(0.05, min(1.0, deadline - loop.time()))):
                    _, writer = await asyncio.open_connection(host, port)
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                return True
            if loop.time() + pause_s > deadline:
                return False
            await asyncio.sleep(pause_s)
            pause_s = min(0.1, pause_s * 1.5)

    def bound(self, port: int) -> Bound:
        return self._ports.bound(port)

    def taken(self, port: int) -> str | None:
        if port in self._teller.picture.ports:
            return self._ports.bound(port).error
        return self._ports.taken(port)

    async def in_force(self, ports: Collection[int]) -> tuple[bool, str]:
        told = {port: version for port, version in self._teller.versions.items() if port in ports}
        accepted = await self._patiently(self._admin.route_versions)
        is_accepted = all(
            version and accepted.get(route_config_name(port)) == version for port, version in told.items()
        )
        return is_accepted, " ".join(sorted(told.values())) or "none"

    async def counters(self, groups: Collection[str], *, latency: bool = False) -> Counters:
        position = failures.position_of(self._folder.failure_log)
        epoch, counted = self._epoch, dict[str, GroupCounters]()
        if groups:
            epoch, counted = await self._of_one_life(lambda: self._admin.groups(groups, latency=latency))
        return Counters(epoch, counted, position)

    async def meters(self) -> Meters:
        position = failures.position_of(self._folder.failure_log)
        epoch, (groups, ports) = await self._of_one_life(self._admin.meters)
        return Meters(epoch, groups, ports, position)

    async def connections(self, port: int) -> int | None:
        return await self._patiently(lambda: self._admin.connections(route_config_name(port)))

    async def goodbyes(self, port: int) -> int | None:
        return await self._patiently(lambda: self._admin.goodbyes(route_config_name(port)))

    async def completed(self, group: str) -> int:
        return await self._patiently(lambda: self._admin.completed(group))

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def failures_since(self, position: list[int]) -> Failures:
        return await asyncio.to_thread(failures.read_since, self._folder.failure_log, position)

    @property
    def _epoch(self) -> str:
        return self._process.epoch if self._process else ""

    async def _of_one_life(self, ask: Callable[[], Awaitable[T]]) -> tuple[str, T]:
        """What Envoy counts, and which life of it: where another one began meanwhile, nobody knows, and it is asked."""
        while True:
            epoch = self._epoch
            answer = await self._patiently(ask)
            if epoch == self._epoch:
                return epoch, answer

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask Envoy, and ask again while it is being started anew."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ANSWERS_WITHIN_S
        while True:
            try:
                return await ask()
            except EnvoySilent:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.05)


def _last_words(folder: Folder) -> str:
    with suppress(OSError):
        return " | ".join(folder.log.read_text(errors="replace").strip().splitlines()[-3:])
    return "none"

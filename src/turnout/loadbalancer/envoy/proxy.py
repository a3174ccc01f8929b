"""Envoy behind the seam: tells it the picture by files, looks after it, and reads its account."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from turnout.config import Config
from turnout.loadbalancer.envoy import failures
from turnout.loadbalancer.envoy.admin import Admin
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.heirs import Heirs
from turnout.loadbalancer.envoy.lives import Lives
from turnout.loadbalancer.envoy.ports import PortMap
from turnout.loadbalancer.envoy.routes import route_config_name
from turnout.loadbalancer.envoy.telling import Teller
from turnout.loadbalancer.envoy.watch import Watch
from turnout.loadbalancer.envoy.wire import EnvoySilent
from turnout.loadbalancer.picture import Picture
from turnout.loadbalancer.proxy import Bound, Counters, Failures, GroupCounters, Health, Interruption, Meters

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWERS_WITHIN_S = 5.0
SETTLES_AFTER_S = 0.15
LOOKS_AFTER_EVERY_S = 3.0


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
        self._lives = Lives(self._folder, self._admin, self._heirs, self._teller, self._watch, self._follow_up)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def trouble(self) -> str | None:
        """Why Envoy cannot be told what has changed."""
        return self._folder.trouble

    @property
    def pid(self) -> int | None:
        return self._lives.pid

    # Telling

    def listen(self, heard: Callable[[Sequence[Health]], None]) -> None:
        self._watch.heard = heard

    def on_interruption(self, act: Callable[[Interruption], None]) -> None:
        self._lives.interrupted = act

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
        self._heirs.follow(self._teller.addresses())
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

    # Being there

    async def start(self) -> None:
        await self._lives.begin()
        self._tasks = [
            asyncio.create_task(self._lives.keep_alive(), name="keep Envoy alive"),
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
        await self._lives.let_go()

    async def stop(self) -> None:
        await self.close()
        await self._lives.end()

    async def _look_after(self) -> None:
        """Ports that were taken are tried again, refused updates are reported, long logs set aside."""
        while True:
            try:
                await self._lives.look()
                await self._heirs.pause(SETTLES_AFTER_S, LOOKS_AFTER_EVERY_S)
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
        epoch, counted = self._lives.epoch, dict[str, GroupCounters]()
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

    async def _of_one_life(self, ask: Callable[[], Awaitable[T]]) -> tuple[str, T]:
        """What Envoy counts, and which life of it: where another one began meanwhile, nobody knows, and it is asked."""
        while True:
            epoch = self._lives.epoch
            answer = await self._patiently(ask)
            if epoch == self._lives.epoch:
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

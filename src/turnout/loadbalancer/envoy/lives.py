"""The lives of Envoy, one after the other: found or started, and started again whenever one ends unasked.

After a crash of the engine Envoy goes on serving the last picture; the next engine finds it and corrects the files.
After a crash of Envoy it is started again on the same files.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress

from turnout.errors import SetupError
from turnout.loadbalancer.envoy import process
from turnout.loadbalancer.envoy.admin import Admin
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.heirs import Heirs
from turnout.loadbalancer.envoy.listeners import render_bootstrap
from turnout.loadbalancer.envoy.telling import Teller
from turnout.loadbalancer.envoy.watch import Watch
from turnout.loadbalancer.proxy import Interruption

log = logging.getLogger(__name__)

READY_WITHIN_S = 15.0
PAUSES_S = (0.0, 0.0, 0.5, 2.0, 5.0)
"""Before a start that follows a death within 10 s of the last start, and the next, and the next."""


class Lives:
    """`follow_up` comes back for what could not be told at once; it is called whenever everything has been told."""

    def __init__(
        self,
        folder: Folder,
        admin: Admin,
        heirs: Heirs,
        teller: Teller,
        watch: Watch,
        follow_up: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._admin = admin
        self._heirs = heirs
        self._teller = teller
        self._watch = watch
        self._follow_up = follow_up
        self._process: process.Process | None = None
        self._died = asyncio.Event()
        self._load: tuple[float, int, int] | None = None
        """When Envoy was last asked, and its connections and requests in flight then."""
        self.interrupted: Callable[[Interruption], None] = lambda interruption: None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def epoch(self) -> str:
        """Names the life that serves: what two lives have counted does not compare."""
        return self._process.epoch if self._process else ""

    async def begin(self) -> None:
        """Find the Envoy that serves, or start one; from now on its end is noticed."""
        self._folder.create()
        self._process = process.find(self._folder)
        if self._process is None:
            is_lost = self._folder.process.exists()  # `end` would have removed it
            await self._spawn()
            if is_lost:
                self.interrupted(Interruption(None, "Envoy had ended before this engine began"))
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
        self._running().on_death(self._died.set)

    async def look(self) -> None:
        """What has to be known should this life end unasked: its sockets, and its load. Raises EnvoySilent."""
        running = self._process
        if running is not None and running.generation is not None and running.is_alive:
            await self._heirs.keep(self._teller.addresses, running.generation)
        self._load = (asyncio.get_running_loop().time(), *await self._admin.load())

    async def let_go(self) -> None:
        """The traffic goes on."""
        if self._process is not None:
            self._process.let_go()
        self._heirs.let_go()
        await self._admin.close()

    async def end(self) -> None:
        """End the one that serves, and leave nothing of it."""
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

    async def keep_alive(self) -> None:
        """For ever: whenever Envoy ends, it is started again, and the interruption is told."""
        loop = asyncio.get_running_loop()
        deaths = 0
        started_at = loop.time()
        while True:
            await self._died.wait()
            self._died.clear()
            died_at = loop.time()
            lost = self._running()
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
                self._running().on_death(self._died.set)
                try:
                    self.interrupted(self._account(lost, died_at))
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

    def _running(self) -> process.Process:
        assert self._process is not None
        return self._process


def _last_words(folder: Folder) -> str:
    with suppress(OSError):
        return " | ".join(folder.log.read_text(errors="replace").strip().splitlines()[-3:])
    return "none"

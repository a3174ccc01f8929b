"""Listening sockets that outlive an Envoy: asked of the one that runs, handed to the one that follows a death.

A socket that somebody still holds goes on listening: who connects while there is no Envoy waits in its queue, and is
served by the next one instead of being refused. Both directions speak Envoy's own protocol of hot restarts: to the
Envoy that runs we are the next one, which asks for its sockets; to the next one we are the one that ran.
https://github.com/envoyproxy/envoy/blob/main/source/server/hot_restart.proto

Nothing depends on it: when it fails, ports are bound anew, and for these moments connections are refused.
"""

from __future__ import annotations

import array
import asyncio
import hashlib
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.protobuf import field, framed, members_of, number, request

log = logging.getLogger(__name__)

PLACES = 3
"""Epochs take turns at so many socket names: Envoy's MaxConcurrentProcesses."""
ANSWERS_WITHIN_S = 1.0
LONGEST_MESSAGE = 4096
DESCRIPTOR_BYTES = array.array("i").itemsize
PASS_LISTEN_SOCKET, SHUTDOWN_ADMIN, STATS = 1, 2, 3
"""The fields of Envoy's requests that want a reply."""
NONE = (1 << 64) - 1
"""-1, as protocol buffers write it."""


class Heirs:
    """The sockets of one home's Envoys. `workers` is how many threads each of them has, and so sockets per port."""

    def __init__(self, folder: Folder, workers: int) -> None:
        self.workers = workers
        self._path = folder.admin_socket.with_name("hot")
        # Names a block of shared memory, which only Envoys of the same home look into.
        self.base_id = int(hashlib.sha256(str(folder.path).encode()).hexdigest(), 16) % 200_000_000
        self._held: dict[tuple[str, int], int] = {}
        """(address, worker) → descriptor."""
        self._inherited: set[tuple[str, int]] = set()
        self._addresses: frozenset[str] = frozenset()
        self._opened_at = 0.0
        self._opens = asyncio.Event()
        """When and that the ports last became others."""

    def arguments(self, epoch: int) -> list[str]:
        """What an Envoy of this epoch is started with: 0 binds its ports itself, any other one inherits them."""
        return [
            "--base-id",
            str(self.base_id),
            "--restart-epoch",
            str(epoch),
            "--socket-path",
            str(self._path),
            "--concurrency",
            str(self.workers),
            "--skip-hot-restart-parent-stats",
            # It says at once, not in 15 minutes, that it needs us no more.
            "--parent-shutdown-time-s",
            "0",
        ]

    def holds(self, address: str) -> bool:
        """Whether a port ("tcp://127.0.0.1:80") is bound by a socket that the next Envoy inherits."""
        return (address, 0) in self._held

    @property
    def holds_any(self) -> bool:
        return bool(self._held)

    async def keep(self, addresses: Callable[[], Collection[str]], epoch: int) -> None:
        """Hold the sockets of exactly these addresses, on which the running Envoy of this epoch listens."""
        self.only(addresses())
        missing = [(a, w) for a in addresses() for w in range(self.workers) if (a, w) not in self._held]
        if not missing:
            return
        for key, passed in (await asyncio.to_thread(self._ask_for, missing, epoch)).items():
            if key in self._held or key[0] not in addresses():
                os.close(passed)
            else:
                self._held[key] = passed

    def follow(self, addresses: Collection[str]) -> None:
        """The ports are these from now on."""
        self.only(addresses)
        if (now := frozenset(addresses)) != self._addresses:
            self._addresses, self._opened_at = now, asyncio.get_running_loop().time()
            self._opens.set()

    async def pause(self, soon_s: float, long_s: float) -> None:
        """Until the next look: soon where ports are being opened, for who connects to a port whose socket is not held
        yet is refused should Envoy die."""
        if asyncio.get_running_loop().time() - self._opened_at < long_s:
            await asyncio.sleep(soon_s)
            return
        self._opens.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(long_s):
                await self._opens.wait()

    def only(self, addresses: Collection[str]) -> None:
        """Let go of all others: a socket that we hold alone would take connections that nobody serves."""
        for key in [key for key in self._held if key[0] not in addresses]:
            os.close(self._held.pop(key))

    def let_go(self) -> None:
        """Whoever waits in a queue of ours that no Envoy shares is refused now."""
        self.only(())

    @contextmanager
    def bequeath(self, epoch: int) -> Iterator[None]:
        """Meanwhile, in the event loop, be the Envoy of this epoch to the one that is starting."""
        loop = asyncio.get_running_loop()
        self._inherited.clear()
        with closing(self._bound("parent", epoch)) as parent:
            parent.setblocking(False)
            loop.add_reader(parent, self._answer, parent, self._name("child", epoch + 1))
            try:
                yield
            finally:
                loop.remove_reader(parent)
        for key in self._held.keys() - self._inherited:
            os.close(self._held.pop(key))

    def forget(self) -> None:
        """No Envoy follows: remove what the last one left in the folder and in shared memory."""
        self.let_go()
        for left in self._path.parent.glob("hot_*"):
            left.unlink(missing_ok=True)
        Path(f"/dev/shm/envoy_shared_memory_{self.base_id * 10}").unlink(missing_ok=True)

    def _ask_for(self, wanted: Sequence[tuple[str, int]], epoch: int) -> dict[tuple[str, int], int]:
        """Ask the running Envoy for its sockets. Those that it has not, and all once it is silent, are left out."""
        got: dict[tuple[str, int], int] = {}
        try:
            with closing(self._bound("child", epoch + 1)) as child:
                child.settimeout(ANSWERS_WITHIN_S)
                for address, worker in wanted:
                    question = field(1, field(1, field(1, address.encode()) + number(2, worker)))
                    child.sendto(framed(question), self._name("parent", epoch))
                    _, ancillary, _, _ = child.recvmsg(
                        LONGEST_MESSAGE, socket.CMSG_SPACE(DESCRIPTOR_BYTES), socket.MSG_CMSG_CLOEXEC
                    )
                    for level, kind, data in ancillary:
                        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                            (got[address, worker],) = array.array("i", data[:DESCRIPTOR_BYTES])
        except OSError as error:
            log.debug("Envoy does not hand over its sockets: %s", error)
        return got

    def _answer(self, parent: socket.socket, child: str) -> None:
        """One message of the starting Envoy."""
        try:
            message = parent.recv(LONGEST_MESSAGE)
            kind, body = request(message)
        except (OSError, ValueError, IndexError) as error:
            log.warning("the starting Envoy asked what is not understood: %r", error)
            return
        passed: list[int] = []
        if kind == PASS_LISTEN_SOCKET:
            members = members_of(body)
            key = bytes(members.get(1, b"")).decode(), int(members.get(2, 0))
            held = self._held.get(key)
            if held is not None:
                passed = [held]
                self._inherited.add(key)
            reply = field(1, number(1, NONE if held is None else held))
        elif kind == SHUTDOWN_ADMIN:
            reply = field(2, number(1, int(time.time())) + number(2, 1))
        elif kind == STATS:
            reply = field(3, b"")
        else:
            return  # to drain and to end: there is nobody who could
        with suppress(OSError):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else []
            parent.sendmsg([framed(field(2, reply))], rights, 0, child)

    def _bound(self, role: str, epoch: int) -> socket.socket:
        name = self._name(role, epoch)
        Path(name).unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bound.bind(name)
        except BaseException:
            bound.close()
            raise
        return bound

    def _name(self, role: str, epoch: int) -> str:
        return f"{self._path}_{role}_{self.base_id * 10 + epoch % PLACES}"

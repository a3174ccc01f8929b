"""The SSH endpoint of CodeCommit. asyncssh, 20 MB and some tenths of a second, is loaded with the first connection."""

from __future__ import annotations

import asyncio
import socket
from importlib import import_module
from typing import Any

from turnout.codecommit.api import CodeCommit
from turnout.codecommit.host_key import HostKey, ensure_host_key
from turnout.codecommit.ssh_keys import SshKeys

BACKLOG = 128


class GitSsh:
    """Listens where it is told to; until then there is no host key either."""

    def __init__(self, codecommit: CodeCommit, keys: SshKeys) -> None:
        self._codecommit = codecommit
        self._keys = keys
        self._starting: asyncio.Task[None] | None = None
        self._server: Any = None
        self._listening: socket.socket | None = None

    async def listen(self, listening: socket.socket) -> HostKey:
        """Answer on a bound socket. The host key is in the home, and a known_hosts beside it names this very address.

        Raises SetupError if the host key cannot be read.
        """
        folder = self._codecommit.config.ssh
        host_key = await asyncio.to_thread(ensure_host_key, folder)
        address, port = listening.getsockname()[:2]
        names = {address, *(("127.0.0.1", "localhost") if address in ("0.0.0.0", "::", "127.0.0.1") else ())}
        (folder / "known_hosts").write_text("".join(host_key.known_host(name, port) for name in sorted(names)))
        listening.listen(BACKLOG)
        listening.setblocking(False)
        self._listening = listening
        asyncio.get_running_loop().add_reader(listening.fileno(), self._first, listening, host_key)
        return host_key

    async def close(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._server is not None:
            await self._server.close()

    def _first(self, listening: socket.socket, host_key: HostKey) -> None:
        """Somebody is there, and waits in the backlog."""
        asyncio.get_running_loop().remove_reader(listening.fileno())
        self._starting = asyncio.create_task(self._start(listening, host_key), name="git over ssh")

    async def _start(self, listening: socket.socket, host_key: HostKey) -> None:
        module = await asyncio.to_thread(import_module, "turnout.codecommit.ssh_server")
        self._server = server = module.GitServer(self._codecommit, self._keys, host_key)
        await server.listen(listening)

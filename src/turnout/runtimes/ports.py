"""Host ports for tasks: above the range of outgoing connections, each given to one workload at a time."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable

from turnout.errors import StepFailed

FIRST_PORT = 61000
LAST_PORT = 65535


class Ports:
    """Which port belongs to which workload. Ports go round, so that a late connection does not meet a new task."""

    def __init__(self) -> None:
        self._holders: dict[int, str] = {}
        self._next = random.randint(FIRST_PORT, LAST_PORT)

    def hold(self, ports: Iterable[int], name: str) -> None:
        """These ports are a workload's, whatever the kernel says: it may be about to listen on them."""
        for port in ports:
            self._holders[port] = name

    def release(self, name: str) -> None:
        self._holders = {port: holder for port, holder in self._holders.items() if holder != name}

    def take(self, name: str) -> int:
        """Any free port. Raises StepFailed when there is none."""
        for _ in range(LAST_PORT - FIRST_PORT + 1):
            port = self._next
            self._next = FIRST_PORT if port == LAST_PORT else port + 1
            if port not in self._holders and is_free(port):
                self._holders[port] = name
                return port
        raise StepFailed("RESOURCE:PORTS", f"no port between {FIRST_PORT} and {LAST_PORT} is free on this machine")

    def claim(self, port: int, name: str) -> str | None:
        """A certain port, if it is free: else who has it."""
        holder = self._holders.get(port)
        if holder is None and not is_free(port):
            holder = "another process"
        if holder is None or holder == name:
            self._holders[port] = name
            return None
        return holder


def is_free(port: int) -> bool:
    """Whether a server could listen on a port, on every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        try:
            listening.bind(("", port))
        except OSError as error:
            # A port that we may not bind (below 1024) is for the task to try.
            return error.errno != errno.EADDRINUSE
    return True

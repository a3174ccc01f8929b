"""Where a listener's port is bound on this machine: as it is, at 18000 + port, or at a free one."""

from __future__ import annotations

import errno
import json
import socket
from contextlib import suppress

from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.proxy import Bound

OFFSET = 18000
"""Added to a port under 1024 where only root may bind it: 80 → 18080."""


class PortMap:
    """Port of the API → port of this machine. A port that was found once stays, also over restarts."""

    def __init__(self, folder: Folder, host: str, is_free: bool) -> None:
        self._folder = folder
        self._host = host
        self._is_free = is_free
        self._chosen: dict[int, int] = {}
        self._errors: dict[int, str] = {}
        with suppress(OSError, ValueError, AttributeError):
            self._chosen = {int(k): v for k, v in json.loads(folder.bound_ports.read_text()).items()}

    def of(self, port: int) -> int:
        """The machine's port for a port of the API."""
        if port not in self._chosen:
            self._chosen[port] = self._choose(port)
            self._folder.put(self._folder.bound_ports, json.dumps(self._chosen))
        return self._chosen[port]

    def bound(self, port: int) -> Bound:
        return Bound(self.of(port), self._errors.get(port))

    def blame(self, port: int, error: str | None) -> bool:
        """Remember why a port does not answer; None if it does. Returns whether that is new."""
        was = self._errors.get(port)
        if error is None:
            self._errors.pop(port, None)
        else:
            self._errors[port] = error
        return was != error

    def taken(self, port: int) -> str | None:
        """Why the machine's port cannot be bound now; None if it can.

        Asked before Envoy is told: it shares its ports between its threads, and would share them with another Envoy.
        """
        bound = self.of(port)
        error = _try(self._host, bound)
        if error is None:
            return None
        if error == errno.EADDRINUSE:
            return (
                f"port {bound}, where the listener on port {port} answers, is taken by another process:"
                " end that one, or start turnout with --free-ports"
            )
        return f"port {bound}, where the listener on port {port} answers, cannot be bound: {errno.errorcode[error]}"

    def _choose(self, port: int) -> int:
        if self._is_free:
            with socket.socket(_family(self._host)) as probe:
                probe.bind((self._host, 0))
                return int(probe.getsockname()[1])
        if port < 1024 and _try(self._host, port) in (errno.EACCES, errno.EPERM):
            return OFFSET + port
        return port


def _try(host: str, port: int) -> int | None:
    """The error number of binding a port; None if it works."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

"""Hearing of containers that end: the engine's own events, in a thread that outlasts a restart of the engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from turnout.errors import Hindered
from turnout.runtimes.docker.creating import HOME, WORKLOAD
from turnout.runtimes.docker.engine import answered, streamed

ENDS = ("die", "died")
"""As Docker and as Podman say it."""
AGAIN_S = 1.0
"""After the engine has gone away."""


class Exits:
    """Calls `told(name)` in the event loop for each workload that ends, and `began()` when it has begun to listen."""

    def __init__(self, client: Any, home_id: str, told: Callable[[str], None], began: Callable[[], None]) -> None:
        self._client = client
        self._filters = {"label": f"{HOME}={home_id}", "type": "container"}
        self._told = told
        self._began = began
        self._loop = asyncio.get_running_loop()
        self._closed = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._listen, name="docker events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                answered(self._follow)
            except Hindered:
                pass
            except Exception:
                if self._closed.is_set():
                    return  # the stream was cut under the reader
            self._closed.wait(AGAIN_S)

    def _follow(self) -> None:
        self._stream = self._client.events(filters=self._filters, decode=True)
        self._say(self._began)
        with streamed(self._stream) as events:
            for event in events:
                name = event.get("Actor", {}).get("Attributes", {}).get(WORKLOAD)
                if name and event.get("Action") in ENDS:
                    self._say(self._told, name)

    def _say(self, act: Callable[..., None], *arguments: str) -> None:
        if not self._closed.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

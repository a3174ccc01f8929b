"""The engine that runs containers: found by its socket, asked without holding up the event loop.

docker-py blocks, so each question has a thread for as long as it takes.
https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from turnout.errors import Hindered, SetupError

ANSWER_S = 60.0
QUESTIONS_AT_ONCE = 16
OLDEST_API = "1.41"
"""Docker 20.10 (2020), Podman 4."""


class Engine:
    """One that has answered. Raises SetupError when it does not, with what to try."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.client = _connect(socket)
        self._pool = ThreadPoolExecutor(QUESTIONS_AT_ONCE, thread_name_prefix="docker")
        try:
            version, info = self.client.version(), self.client.info()
        except (DockerException, RequestException) as error:
            raise SetupError(f"the engine at {socket} does not answer: {error}") from error
        self.is_podman = any("podman" in part["Name"].lower() for part in version.get("Components") or ())
        self.version = str(version["Version"])
        self.platform = f"{version['Os']}/{version['Arch']}"
        self.cpus = int(info.get("NCPU") or 1)
        self.is_rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())

    @property
    def words(self) -> str:
        """ "Docker 20.10.24 at /var/run/docker.sock" """
        return f"{'Podman' if self.is_podman else 'Docker'} {self.version} at {self.socket}"

    async def ask(self, method: Callable[..., Any], *arguments: Any, **members: Any) -> Any:
        """A short question. Raises APIError as docker-py does, and Hindered when there is no answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: answered(method, *arguments, **members))

    async def find(self, method: Callable[..., Any], *arguments: Any, **members: Any) -> Any:
        """As `ask`, but None when the engine knows no such thing."""
        try:
            return await self.ask(method, *arguments, **members)
        except NotFound:
            return None

    async def aside(self, method: Callable[..., Any], *arguments: Any, **members: Any) -> Any:
        """A question that may take minutes: in a thread of its own, which nobody waits for when the engine ends."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def work() -> None:
            result, failed = None, None
            try:
                result = answered(method, *arguments, **members)
            except Exception as error:
                failed = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, failed)

        threading.Thread(target=work, name="docker aside", daemon=True).start()
        return await answer

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.client.close()


def answered(method: Callable[..., Any], *arguments: Any, **members: Any) -> Any:
    """Blocking. Raises APIError, and Hindered for all that is no answer."""
    try:
        return method(*arguments, **members)
    except APIError:
        raise
    except (RequestException, DockerException, OSError) as error:
        raise Hindered(f"the container engine does not answer: {error}") from error


@contextmanager
def streamed(stream: Any) -> Iterator[Any]:
    """A stream of docker-py's, closed with its connection: `close` alone leaves that to the garbage collector."""
    try:
        yield stream
    finally:
        stream.close()
        stream._response.close()


def said(error: APIError) -> str:
    """What an engine says is wrong."""
    return str(error.explanation or error)


def _connect(socket: Path) -> Any:
    try:
        client = APIClient(base_url=f"unix://{socket}", version="auto", timeout=ANSWER_S, max_pool_size=64)
    except (DockerException, RequestException) as error:
        raise SetupError(_why_not(socket, error)) from error
    if tuple(map(int, client._version.split("."))) < tuple(map(int, OLDEST_API.split("."))):
        raise SetupError(
            f"the engine at {socket} speaks version {client._version} of its API; turnout needs {OLDEST_API}"
            " (Docker 20.10 or Podman 4)"
        )
    return client


def _why_not(socket: Path, error: BaseException) -> str:
    text = str(error)
    if "PermissionError" in text:
        return (
            f"permission denied on {socket}: only root and the group of that socket may use the engine. Add yourself to"
            f" it (`sudo usermod -aG docker {os.environ.get('USER') or 'YOU'}`, then log in anew), use a rootless"
            " engine, or run without containers: --runtime process."
        )
    if "FileNotFoundError" in text:
        return f"there is no socket {socket}: start Docker or Podman, or run without containers: --runtime process."
    if "ConnectionRefusedError" in text:
        return f"nobody listens on {socket}: start Docker or Podman, or run without containers: --runtime process."
    return f"the engine at {socket} does not answer: {text}"

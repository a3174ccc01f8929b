"""HTTP/1.1 over Envoy's admin socket: one kept connection, one question at a time.

A first answer is looked for every 2 ms: a general client's machinery would cost more than the question.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

from turnout.errors import TurnoutError

ANSWERS_WITHIN_S = 5.0


class EnvoySilent(TurnoutError):
    """Envoy does not answer: it has just died, or has not yet come up."""


class Wire:
    """A connection that is opened when it is needed, and again after Envoy was started anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, method: str, path: str, query: dict[str, str]) -> bytes:
        """The body of the answer. Raises EnvoySilent."""
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        async with self._turn:
            for is_kept in (self._streams is not None, False):
                try:
                    return await self._exchange(method, target)
                except (OSError, EOFError, ValueError) as error:
                    self._drop()
                    # A kept connection may be of an Envoy that is gone: the next is opened anew.
                    if not is_kept or isinstance(error, TimeoutError):
                        raise EnvoySilent(f"Envoy does not answer on {self._path}: {error!r}") from error
                except BaseException:
                    self._drop()  # half an answer is on it
                    raise
        raise AssertionError("unreachable")

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._drop()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, method: str, target: str) -> bytes:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(str(self._path), limit=1 << 20)
            reader, writer = self._streams
            writer.write(f"{method} {target} HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\n\r\n".encode())
            status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
            body = await _body(reader, headers)
        if status != 200:
            raise EnvoySilent(f"Envoy answered {status} to {target}: {body[:200].decode(errors='replace')}")
        return body

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    lines = data.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding") != "chunked":
        return b""
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(parts)

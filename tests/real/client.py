"""A client of a listener that speaks HTTP/1.1 to the letter, and can stop in the middle of it."""

from __future__ import annotations

import asyncio


class Client:
    """One connection to a listener, and another one once it is told goodbye."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._is_told_goodbye = False

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, path: str = "/", host: str = "localhost", **headers: str) -> None:
        if self._is_told_goodbye:
            await self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        method = headers.pop("x_method", "GET")
        self._writer.write(f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n".encode())

    async def head(self) -> tuple[int, dict[str, str]]:
        assert self._reader is not None
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {k.lower(): v.strip() for k, _, v in pairs}
        self._is_told_goodbye = headers.get("connection") == "close"
        return int(lines[0].split()[1]), headers

    async def body(self, headers: dict[str, str]) -> str:
        assert self._reader is not None
        if "content-length" in headers:
            return (await self._reader.readexactly(int(headers["content-length"]))).decode()
        text = ""
        while size := int(await self._reader.readline(), 16):
            text += (await self._reader.readexactly(size + 2))[:-2].decode()
        await self._reader.readline()
        return text

    async def get(self, path: str = "/", host: str = "localhost", **headers: str) -> tuple[int, str]:
        await self.send(path, host, **headers)
        code, replied = await self.head()
        return code, await self.body(replied)

    async def post(self, text: str, path: str = "/") -> tuple[int, str]:
        await self.send(path, x_method="POST", content_length=str(len(text)))
        assert self._writer is not None
        self._writer.write(text.encode())
        code, replied = await self.head()
        return code, await self.body(replied)

    async def line(self, text: str) -> str:
        """On a websocket: what comes back for a line."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(f"{text}\n".encode())
        return (await self._reader.readline()).decode().strip()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None
            self._is_told_goodbye = False


async def get(port: int, path: str = "/", host: str = "localhost", **headers: str) -> tuple[int, str]:
    """One request on a connection of its own."""
    client = Client(port)
    try:
        return await client.get(path, host, **headers)
    finally:
        await client.close()


async def answers(port: int, text: str, path: str = "/", host: str = "localhost") -> bool:
    """Whether 200 and this text is what comes back; to be asked again and again."""
    try:
        return await get(port, path, host) == (200, text)
    except (OSError, asyncio.IncompleteReadError):
        return False

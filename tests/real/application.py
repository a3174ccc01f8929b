"""A small application with everything that makes trouble: it streams, sleeps, downloads, echoes and breaks off.

It stands alone, so that a folder with this file, and a `version.json` beside it, is an image that can be deployed.

GET /                    its name
POST /                   its name, and what was posted
GET /slow?seconds=1      its name, after a while
GET /sse?seconds=1       server-sent events, ten a second; without seconds five, held up half way by the gate
GET /download?seconds=1  a megabyte, in as long; without seconds held up half way by the gate
GET /gated               its name, when the gate is opened
GET /broken              half an answer, and the connection is closed
GET /refused             the connection is closed
GET /error               500
Upgrade: websocket       every line comes back with its name
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SIZE = 1_000_000
DRAIN_S = 2.0
"""How long what is in flight may take after SIGTERM."""


class Application:
    """`code` answers its checks; 0 never does."""

    def __init__(self, name: str, code: int = 200) -> None:
        self.name = name
        self.code = code
        self.port = 0
        self.requests = 0
        self.checks = 0
        self.last_head: dict[str, str] = {}
        self.gate = asyncio.Event()
        """Holds up /gated, /sse and /download half way."""
        self._connections: set[asyncio.StreamWriter] = set()
        self._busy = 0

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> Application:
        self._server = await asyncio.start_server(self._serve, host, port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()
        for writer in self._connections:
            writer.close()
        await self._server.wait_closed()

    async def finish(self) -> None:
        """The graceful end: no new connections, and time for what is in flight."""
        self._server.close()
        for _ in range(int(DRAIN_S / 0.02)):
            if not self._busy:
                return
            await asyncio.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self._busy += 1
        try:
            return await self._reply(head, reader, writer)
        finally:
            self._busy -= 1

    async def _reply(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = head.split("\r\n")
        method, target, _ = lines[0].split()
        url = urlsplit(target)
        seconds = float(parse_qs(url.query).get("seconds", ["0"])[0])
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        if "ELB-HealthChecker" in headers.get("user-agent", ""):
            self.checks += 1
            if self.code == 0:
                await self.gate.wait()
            self._say(writer, self.code, "")
            return True
        self.requests += 1
        self.last_head = headers
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        if url.path == "/sse":
            await self._events(writer, seconds)
        elif url.path == "/download":
            await self._download(writer, seconds)
        elif url.path == "/slow":
            await asyncio.sleep(seconds)
            self._say(writer, 200, self.name)
        elif url.path == "/gated":
            await self.gate.wait()
            self._say(writer, 200, self.name)
        elif url.path == "/broken":
            writer.write(self._head(200, "content-length: 100") + b"half")
            await writer.drain()
            return False
        elif url.path == "/refused":
            return False
        elif url.path == "/error":
            self._say(writer, 500, "the application's own")
        elif headers.get("upgrade") == "websocket":
            writer.write(self._head(101, "upgrade: websocket", "connection: upgrade"))
            while line := await reader.readline():
                writer.write(f"{self.name} ".encode() + line)
            return False
        else:
            self._say(writer, 200, self.name if method == "GET" else f"{self.name} {body}")
        await writer.drain()
        return True

    async def _events(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        writer.write(self._head(200, "content-type: text/event-stream", "transfer-encoding: chunked"))
        for number in range(round(seconds * 10) or 5):
            if number == 2 and not seconds:
                await self.gate.wait()
            writer.write(_chunk(f"data: {self.name} {number}\n\n"))
            await writer.drain()
            await asyncio.sleep(0.1 if seconds else 0.05)
        writer.write(b"0\r\n\r\n")

    async def _download(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        parts = max(2, round(seconds * 10))
        writer.write(self._head(200, f"content-length: {SIZE // parts * parts}"))
        for number in range(parts):
            if number == 1 and not seconds:
                await self.gate.wait()
            writer.write((b"b" if number else b"a") * (SIZE // parts))
            await writer.drain()
            await asyncio.sleep(0.1 if seconds else 0)

    def _head(self, code: int, *lines: str) -> bytes:
        more = "".join(f"{line}\r\n" for line in lines)
        return f"HTTP/1.1 {code} X\r\nx-version: {self.name}\r\n{more}\r\n".encode()

    def _say(self, writer: asyncio.StreamWriter, code: int, text: str) -> None:
        writer.write(self._head(code, f"content-length: {len(text)}") + text.encode())


def _chunk(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()


async def main() -> None:
    """As a task: version.json says {name, code, crashes}."""
    version = json.loads(Path(__file__).with_name("version.json").read_text())
    print(f"{version['name']} starts", flush=True)
    if version.get("crashes"):
        sys.exit("it was made to crash")
    application = await Application(version["name"], version.get("code", 200)).start(int(os.environ["PORT"]), "")
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await asked.wait()
    await application.finish()


if __name__ == "__main__":
    asyncio.run(main())

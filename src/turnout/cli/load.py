"""A steady load on one address, and an honest count of what came back.

Two kinds of clients, because they notice different faults: *kept* ones send request after request over one connection
(they notice a proxy that drops connections), *fresh* ones open a connection for each (they notice a moment in which
nobody listens). The load runs in a thread with its own event loop, so that whoever watches may block.

A request has failed if it got no complete answer, or one that the balancer made (502, 503 or 504 without the
application's `X-Version`). The application's own errors are counted apart.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import uvloop

TIMEOUT_S = 15.0
BALANCER_ERRORS = frozenset({502, 503, 504})


class Broken(Exception):
    """The request got no complete answer; the text says how."""


@dataclass(frozen=True)
class Head:
    """The head of an answer. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def version(self) -> str | None:
        """What the application says it is; None if the balancer answered."""
        return self.headers.get("x-version")

    @property
    def stays_open(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


def parse_head(text: bytes) -> Head:
    """The head of an HTTP/1.1 answer, with or without the empty line that ends it. Raises Broken."""
    first, *lines = text.decode("latin-1").rstrip("\r\n").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
        raise Broken(f"not an HTTP answer: {first[:60]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Head(int(parts[1]), headers)


@dataclass(frozen=True)
class Tally:
    """What had been counted at one moment. Times are unix seconds."""

    answers: Mapping[str, int] = field(default_factory=dict)
    """Complete answers of the application, by version."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failed requests, by reason."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Complete answers of the application that were not 200, by "version status"; they are in `answers` as well."""
    first_seen: Mapping[str, float] = field(default_factory=dict)
    last_seen: Mapping[str, float] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + self.failed

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def version(self) -> str | None:
        """The version that answered last."""
        return max(self.last_seen, key=lambda version: self.last_seen[version], default=None)

    def since(self, earlier: Tally) -> Tally:
        """What was counted between two moments."""
        return Tally(
            answers=_difference(self.answers, earlier.answers),
            failures=_difference(self.failures, earlier.failures),
            errors=_difference(self.errors, earlier.errors),
            first_seen=self.first_seen,
            last_seen=self.last_seen,
        )


def _difference(later: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    return {key: count - earlier.get(key, 0) for key, count in later.items() if count > earlier.get(key, 0)}


class Load:
    """Requests without pause from `kept` and `fresh` clients; each rests `rest_s` between two of its requests."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str = "/",
        *,
        name: str = "",
        kept: int = 16,
        fresh: int = 4,
        rest_s: float = 0.04,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`name`: the Host, and with `tls` the name that the certificate has to be for."""
        self._host = host
        self._port = port
        self._name = name or host
        self._tls = tls
        self._kept = kept
        self._fresh = fresh
        self._rest_s = rest_s
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._name}", "User-Agent: turnout-load", "Accept: text/plain"]
        self._request_kept = "\r\n".join([*lines, "", ""]).encode()
        self._request_fresh = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._first_seen: dict[str, float] = {}
        self._last_seen: dict[str, float] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every client finish the request that it has sent, then return."""
        self._stopping.set()
        self._thread.join(TIMEOUT_S + 5)

    def tally(self) -> Tally:
        with self._lock:
            return Tally(
                dict(self._answers),
                dict(self._failures),
                dict(self._errors),
                dict(self._first_seen),
                dict(self._last_seen),
            )

    async def _run(self) -> None:
        clients = [
            self._client(is_kept=number < self._kept, number=number) for number in range(self._kept + self._fresh)
        ]
        await asyncio.gather(*clients)

    async def _client(self, *, is_kept: bool, number: int) -> None:
        # Spread the clients over the pause, or all of them would ask at the same instant.
        await asyncio.sleep(self._rest_s * number / (self._kept + self._fresh))
        request = self._request_kept if is_kept else self._request_fresh
        connection: Connection | None = None
        while not self._stopping.is_set():
            stays_open = False
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    connection = connection or await Connection.open(
                        self._host, self._port, tls=self._tls, name=self._name
                    )
                    head = await connection.ask(request)
            except TimeoutError:
                self.count_failure(f"no complete answer within {TIMEOUT_S:g} s")
            except (Broken, OSError) as error:
                self.count_failure(str(error) or type(error).__name__)
            else:
                self.count_answer(head)
                stays_open = is_kept and head.stays_open
            if connection is not None and not stays_open:
                connection.close()
                connection = None
            await asyncio.sleep(self._rest_s)
        if connection is not None:
            connection.close()
            await connection.wait_closed()  # the loop ends with the last client

    def count_answer(self, head: Head) -> None:
        if head.version is None:
            word = "from the balancer" if head.status in BALANCER_ERRORS else "without X-Version"
            self.count_failure(f"{head.status} {word}")
            return
        now = time.time()
        with self._lock:
            self._answers[head.version] += 1
            self._first_seen.setdefault(head.version, now)
            self._last_seen[head.version] = now
            if head.status != 200:
                self._errors[f"{head.version} {head.status}"] += 1

    def count_failure(self, reason: str) -> None:
        with self._lock:
            self._failures[reason] += 1


class Connection:
    """One TCP or TLS connection that speaks as much HTTP/1.1 as a client needs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(
        cls, host: str, port: int, *, tls: ssl.SSLContext | None = None, name: str | None = None
    ) -> Connection:
        try:
            return cls(*await asyncio.open_connection(host, port, ssl=tls, server_hostname=name if tls else None))
        except ssl.SSLError as error:
            raise Broken(f"no TLS: {error.reason}") from error
        except OSError as error:
            raise Broken(f"cannot connect: {error.strerror or error}") from error

    async def ask(self, request: bytes) -> Head:
        """Send a request and read the whole answer. Raises Broken."""
        self._writer.write(request)
        try:
            await self._writer.drain()
            head = parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken("the connection was closed before the answer") from error
        try:
            await self._read_body(head)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken("the answer was cut short") from error
        return head

    async def _read_body(self, head: Head) -> None:
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readuntil(b"\r\n")
        elif (length := head.headers.get("content-length")) is not None:
            await self._reader.readexactly(int(length))
        else:
            await self._reader.read()

    def close(self) -> None:
        self._writer.close()

    async def wait_closed(self) -> None:
        with suppress(OSError):
            await self._writer.wait_closed()

"""A client that speaks HTTP/2 without TLS, as gRPC's do: streams on one connection, and what the server says of it."""

from __future__ import annotations

import asyncio

from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from hyperframe.frame import Frame, GoAwayFrame


class Http2:
    """One connection to a listener. A stream is a number; `status` and `texts` are what came back on each."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = H2Connection()
        # h2 takes a goodbye for the end, and then refuses what still comes on streams that were begun.
        self._connection._frame_dispatch_table[GoAwayFrame] = self._hear_goodbye
        self._heard = asyncio.Condition()
        self.status: dict[int, int] = {}
        self.texts: dict[int, str] = {}
        self.ended: set[int] = set()
        self.broken: set[int] = set()
        self.is_told_goodbye = False
        self.is_closed = False

    async def open(self) -> Http2:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._connection.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read())
        return self

    def send(self, path: str = "/", host: str = "localhost") -> int:
        """Begin a stream."""
        stream = self._connection.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)]
        self._connection.send_headers(stream, head, end_stream=True)
        self.texts[stream] = ""
        self._flush()
        return stream

    async def until_begun(self, stream: int) -> int:
        """The status, once there is one."""
        await self._until(lambda: stream in self.status or stream in self.broken)
        return self.status[stream]

    async def until_ended(self, stream: int) -> str:
        """The whole answer."""
        await self._until(lambda: stream in self.ended or stream in self.broken or self.is_closed)
        assert stream in self.ended, f"stream {stream} got {self.texts[stream]!r} and no end"
        return self.texts[stream]

    async def until_told_goodbye(self) -> None:
        await self._until(lambda: self.is_told_goodbye)

    async def get(self, path: str = "/") -> tuple[int, str]:
        stream = self.send(path)
        text = await self.until_ended(stream)
        return self.status[stream], text

    async def close(self) -> None:
        self._writer.close()
        await self._reading

    async def _until(self, is_so: object) -> None:
        async with asyncio.timeout(15), self._heard:
            await self._heard.wait_for(is_so)  # type: ignore[arg-type]

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65536):
                async with self._heard:
                    self._hear(data)
                    self._heard.notify_all()
        except OSError:
            pass
        async with self._heard:
            self.is_closed = True
            self._heard.notify_all()

    def _hear(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if isinstance(event, ResponseReceived):
                headers = {_text(name): _text(value) for name, value in event.headers}
                self.status[event.stream_id] = int(headers[":status"])
            elif isinstance(event, DataReceived):
                self.texts[event.stream_id] += event.data.decode()
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, StreamReset):
                self.broken.add(event.stream_id)
        self._flush()

    def _hear_goodbye(self, frame: Frame) -> tuple[list[Frame], list[object]]:
        self.is_told_goodbye = True
        return [], []

    def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()

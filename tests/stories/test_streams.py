"""Through the switch: requests in flight, streams, websockets, downloads, HTTP/2; and each policy for what is long."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.real.client import Client, get
from tests.real.http2 import Http2
from tests.stories.bluegreen import BlueGreen
from tests.stories.stage import Stage

DELAY_S = 180
"""The deregistration delay: three seconds here."""


@dataclass
class Streams:
    """What is in flight on v1 when the switch comes. Times are unix seconds."""

    port: int
    downloaded: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    endless_until: float = 0.0
    """When the stream that would go on for a minute ended."""
    socket_until: float = 0.0
    socket_said: list[str] = field(default_factory=list)
    posted: list[tuple[int, str]] = field(default_factory=list)
    is_over: bool = False

    async def open(self, *, ends_s: float) -> list[asyncio.Task[None]]:
        """`ends_s`: how long the streams take that end by themselves."""
        tasks = [self._download(ends_s), self._events(ends_s), self._slow(ends_s), self._events_over_2(ends_s)]
        tasks += [self._endless(), self._socket(), self._post()]
        began = [asyncio.create_task(task) for task in tasks]
        await asyncio.sleep(0.3)
        return began

    async def _download(self, seconds: float) -> None:
        async with Client(self.port) as client:
            await client.send(f"/download?seconds={seconds}")
            _, headers = await client.head()
            assert headers["x-version"] == "v1"
            self.downloaded.append(len(await client.body(headers)))

    async def _events(self, seconds: float) -> None:
        async with Client(self.port) as client:
            self.events.append((await client.get(f"/sse?seconds={seconds}"))[1])

    async def _slow(self, seconds: float) -> None:
        async with Client(self.port) as client:
            self.slow.append((await client.get(f"/slow?seconds={seconds}"))[1])

    async def _events_over_2(self, seconds: float) -> None:
        client = await Http2(self.port).open()
        self.events.append(await client.until_ended(client.send(f"/sse?seconds={seconds}")))
        await client.close()

    async def _endless(self) -> None:
        async with Client(self.port) as client:
            try:
                await client.get("/sse?seconds=60")
            except (asyncio.IncompleteReadError, OSError, ValueError):
                self.endless_until = time.time()

    async def _socket(self) -> None:
        async with Client(self.port) as client:
            await client.send("/ws", connection="upgrade", upgrade="websocket")
            assert (await client.head())[0] == 101
            with suppress(OSError):
                while not self.is_over and (said := await client.line("x")):
                    self.socket_said.append(said)
                    await asyncio.sleep(0.05)
            self.socket_until = time.time()

    async def _post(self) -> None:
        """Over one connection for as long as it is kept open, which a goodbye ends."""
        async with Client(self.port) as client:
            while not self.is_over:
                self.posted.append(await client.post("text"))
                await asyncio.sleep(0.02)


async def told(service: BlueGreen, deployment: str) -> dict[str, Any]:
    """The receipt, once the deployment has succeeded."""
    await asyncio.to_thread(service.wait, deployment)
    return await asyncio.to_thread(service.receipt, deployment)


def times(receipt: dict[str, Any], step: str) -> tuple[float, float]:
    found = next(one for one in receipt["steps"] if one["name"] == step)
    return found["startedAt"], found["endedAt"]


def check_streams(streams: Streams) -> None:
    """What ends by itself has ended on v1, whole."""
    assert streams.downloaded == [1_000_000]
    assert [events.count("data: v1") for events in streams.events] == [20, 20]
    assert streams.slow == ["v1"]
    assert set(streams.socket_said) == {"v1 x"}


def check_posts(streams: Streams) -> None:
    """They went on over one connection as long as it was kept open, to v1 and then to v2."""
    said = [text for code, text in streams.posted if code == 200]
    assert len(said) == len(streams.posted)
    assert said == sorted(said), "once v2 has answered, v1 does not any more"
    assert {said[0], said[-1]} == {"v1 text", "v2 text"}


def test_what_is_in_flight_ends_on_the_old_and_what_does_not_end_is_cut_at_the_deadline_and_not_before(
    stage: Stage,
) -> None:
    """The drain trio: in flight → the old; deadline → cut; a new connection → the new. Policy: cut."""
    service = BlueGreen(stage, delay_s=DELAY_S).ready()

    async def story() -> None:
        streams = Streams(service.port())
        tasks = await streams.open(ends_s=2)
        receipt = await told(service, await asyncio.to_thread(service.deploy, "v2"))
        assert await get(service.port()) == (200, "v2")
        streams.is_over = True
        await asyncio.gather(*tasks)
        check_streams(streams)
        check_posts(streams)
        began, ended = times(receipt, "TerminateBlue")
        for cut_at in (streams.endless_until, streams.socket_until):
            assert DELAY_S / stage.speed - 0.1 < cut_at - began, "nothing is cut before the deregistration delay"
            assert cut_at < ended + 1, "and at its end it is"
        counted = receipt["longConnections"]
        assert (counted["policy"], counted["cut"], counted["told"]) == ("cut", 2, 0)
        assert counted["left"] >= 2
        assert receipt["drained"]["deadlineReached"] is True
        assert receipt["traffic"]["green"]["failed"] == receipt["traffic"]["unrouted"]["failed"] == 0

    asyncio.run(story())


def test_where_the_listener_says_leave_nothing_is_cut_at_all(stage: Stage) -> None:
    service = BlueGreen(stage, delay_s=DELAY_S).ready()
    service.tag("leave")

    async def story() -> None:
        streams = Streams(service.port())
        tasks = await streams.open(ends_s=2)
        tasks[4].cancel()  # who listens for ever goes away by himself
        deployment = await asyncio.to_thread(service.deploy, "v2")
        await asyncio.gather(*tasks[:4])
        await asyncio.sleep(DELAY_S / stage.speed)
        assert (await asyncio.to_thread(service.info, deployment))["status"] == "InProgress"
        assert streams.socket_until == 0.0, "the websocket outlives the delay"
        streams.is_over = True
        receipt = await told(service, deployment)
        await asyncio.gather(*tasks, return_exceptions=True)
        check_streams(streams)
        check_posts(streams)
        counted = receipt["longConnections"]
        assert (counted["policy"], counted["cut"], receipt["drained"]["isProven"]) == ("leave", 0, True)

    asyncio.run(story())


def test_where_the_listener_says_announce_clients_reopen_while_the_delay_passes(stage: Stage) -> None:
    service = BlueGreen(stage, delay_s=DELAY_S).ready()
    service.tag("announce")

    async def story() -> None:
        streams = Streams(service.port())
        tasks = await streams.open(ends_s=2)
        kept = [Client(service.port()) for _ in range(30)]
        closed: list[float] = []
        deployment = await asyncio.to_thread(service.deploy, "v2")
        waiting = asyncio.create_task(told(service, deployment))
        listening_until = time.time() + 60
        while not waiting.done() or (kept and time.time() < listening_until):
            for client in list(kept):
                await client.send()
                code, headers = await client.head()
                assert (code, len(await client.body(headers))) == (200, 2)
                if headers.get("connection") == "close":
                    closed.append(time.time())
                    kept.remove(client)
                    await client.close()
            await asyncio.sleep(0.02)
        receipt = await waiting
        streams.is_over = True
        await asyncio.gather(*tasks)
        check_streams(streams)
        check_posts(streams)
        assert len(closed) == 30, "everybody has been told"
        began, _ = times(receipt, "TerminateBlue")
        assert closed[-1] - closed[0] > 1, "not all at the same time"
        assert min(closed) > began - 0.1
        assert min(streams.endless_until, streams.socket_until) - began > DELAY_S / stage.speed - 0.1
        counted = receipt["longConnections"]
        assert (counted["policy"], counted["cut"]) == ("announce", 2)
        # Who heard of it before blue was gone is counted; a slow machine may say the rest at the very end.
        assert counted["told"] >= sum(at < began + DELAY_S / stage.speed - 0.1 for at in closed)
        assert receipt["traffic"]["unrouted"]["failed"] == 0

    asyncio.run(story())


def test_what_goes_wrong_by_itself_is_counted_as_what_it_was_and_nothing_else_is(stage: Stage) -> None:
    """A truncated body, a silent application (504), one that hangs up (502), a client that goes away (499), a head
    that comes slowly, and the application's own 500: in mid-canary, on whichever colour they meet."""
    service = BlueGreen(stage).ready()
    idle = [{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
    service.elb.modify_load_balancer_attributes(LoadBalancerArn=service.balancer["LoadBalancerArn"], Attributes=idle)

    async def story() -> None:
        port = service.port()
        deployment = await asyncio.to_thread(service.deploy, "v2", "CodeDeployDefault.ECSCanary10Percent5Minutes")
        await asyncio.to_thread(service.until_green_has, 10)
        async with Client(port) as client:
            with suppress(asyncio.IncompleteReadError):
                await client.get("/broken")
        assert (await get(port, "/gated"))[0] == 504
        assert (await get(port, "/refused"))[0] == 502
        assert (await get(port, "/error"))[0] == 500
        async with Client(port) as impatient:
            await impatient.send("/slow?seconds=0.5")
            await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (b"GET / HT", b"TP/1.1\r\nhost: lo", b"calhost\r\n", b"\r\n"):
            writer.write(part)
            await asyncio.sleep(0.1)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        receipt = await told(service, deployment)
        flows = receipt["traffic"].values()
        assert (sum(flow["failed"] for flow in flows), sum(flow["errors"] for flow in flows)) == (3, 1)

    asyncio.run(story())

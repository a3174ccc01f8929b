"""A listener whose policy is `announce`: clients are told, share after share, and nothing in flight is cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.real.balancer import REGION, Application, Balancer, Client, Load, answers, failure_lines, running, until
from tests.real.http2 import Http2

pytestmark = pytest.mark.real

KEPT = 60
"""Connections: with ten shares by source port, none of them is as good as certain to be empty in halves."""


async def announcing(balancer: Balancer, *ports: int) -> tuple[str, str]:
    """(listener on port 80 with the policy, its group)."""
    group = await balancer.group("blue", *ports)
    listener = await balancer.listen(await balancer.balancer(), 80, **{group: 1})
    await balancer.until(group, "healthy")
    await announce(balancer, listener)
    return listener, group


async def announce(balancer: Balancer, listener: str) -> None:
    tag = {"Key": "turnout:long-connections", "Value": "announce"}
    await balancer.asks("AddTags", ResourceArns=[listener], Tags=[tag])
    await until(lambda: answers(balancer.port(80), "blue"))
    # The listener has just been parted into shares: a connection that was opened before is told so, once.
    await asyncio.sleep(0.3)


async def told(client: Client) -> bool:
    """Ask for something, and see whether goodbye is said with the answer."""
    await client.send()
    code, headers = await client.head()
    assert (code, await client.body(headers)) == (200, "blue")
    is_told = headers.get("connection") == "close"
    if is_told:
        await client.close()
    return is_told


def test_connections_are_told_share_by_share_and_each_once(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener, _ = await announcing(balancer, blue.port)
            clients = [Client(balancer.port(80)) for _ in range(KEPT)]
            assert not any([await told(client) for client in clients])
            before = await balancer.traffic.goodbyes(REGION, listener)
            assert before is not None
            left = []
            for share in (0.5, 0.5, 1.0):
                await balancer.traffic.announce(REGION, listener, "d-1", share)
                await asyncio.sleep(0.3)
                clients = [client for client in clients if not await told(client)]
                left.append(len(clients))
            assert 0 < left[0] < KEPT
            assert left[1:] == [left[0], 0]
            assert await balancer.traffic.goodbyes(REGION, listener) == before + KEPT
            again = Client(balancer.port(80))
            assert not await told(again), "whoever has come meanwhile is not told"
            await balancer.traffic.announce(REGION, listener, "d-2", 1.0)
            await asyncio.sleep(0.3)
            assert await told(again), "the next deployment tells everybody again"
        await blue.stop()

    asyncio.run(story())


def test_what_is_in_flight_goes_on_after_the_goodbye_and_new_requests_are_never_lost(tmp_path: Path) -> None:
    """A websocket cannot be told, a download is told by the end of its connection, a late head says goodbye itself."""

    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener, _ = await announcing(balancer, blue.port)
            port = balancer.port(80)
            socket, download, events, gated = (Client(port) for _ in range(4))
            await socket.send("/ws", connection="upgrade", upgrade="websocket")
            assert (await socket.head())[0] == 101
            await download.send("/download")
            _, of_download = await download.head()
            await events.send("/sse")
            _, of_events = await events.head()
            await gated.send("/gated")
            async with Load(port) as load:
                for share in range(1, 11):
                    await balancer.traffic.announce(REGION, listener, "d-1", share / 10)
                    await asyncio.sleep(0.1)
                assert await socket.line("still") == "blue still"
                blue.gate.set()
                assert len(await download.body(of_download)) == 1_000_000
                assert (await events.body(of_events)).count("data: blue") == 5
                code, headers = await gated.head()
                assert (code, headers["connection"], await gated.body(headers)) == (200, "close", "blue")
                assert await socket.line("there") == "blue there"
            assert load.failures == []
            assert failure_lines(balancer) == []
            for client in (socket, download, events, gated):
                await client.close()
        await blue.stop()

    asyncio.run(story())


def test_http_2_is_told_by_goaway_beside_an_answer_and_its_streams_end_well(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener, _ = await announcing(balancer, blue.port)
            client = await Http2(balancer.port(80)).open()
            events = client.send("/sse")
            assert await client.until_begun(events) == 200
            await balancer.traffic.announce(REGION, listener, "d-1", 1.0)
            await asyncio.sleep(0.3)
            assert not client.is_told_goodbye, "Envoy says nothing without an answer"
            assert await client.get() == (200, "blue")
            await client.until_told_goodbye()
            blue.gate.set()
            assert (await client.until_ended(events)).count("data: blue") == 5
            await client.close()
        await blue.stop()

    asyncio.run(story())


def test_goodbyes_outlive_the_engine_and_are_not_said_again(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener, group = await announcing(balancer, blue.port)
            await balancer.traffic.announce(REGION, listener, "d-1", 0.5)
            await asyncio.sleep(0.3)
            clients = [Client(balancer.port(80)) for _ in range(KEPT)]
            assert not any([await told(client) for client in clients])
            await balancer.close()
            second = Balancer(tmp_path / "home")
            await second.start()
            await second.until(group, "healthy")
            await second.traffic.announce(REGION, listener, "d-1", 0.5)
            await asyncio.sleep(0.3)
            assert not any([await told(client) for client in clients])
            for client in clients:
                await client.close()
            await second.close()
        await blue.stop()

    asyncio.run(story())

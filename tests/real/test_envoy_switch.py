"""A real Envoy while weights move: nothing is lost, nothing that is in flight is cut."""

from __future__ import annotations

import asyncio
import statistics
from functools import partial
from pathlib import Path

import pytest

from tests.real.balancer import REGION, Application, Balancer, Client, Load, answers, failure_lines, running, until
from turnout.loadbalancer.envoy.clusterfile import ClusterFile

pytestmark = pytest.mark.real


@pytest.fixture(params=["files", "inline"], autouse=True)
def endpoints(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints in files of their own, and, as when Envoy may watch no more files, in the clusters."""
    if request.param == "inline":
        monkeypatch.setattr(ClusterFile, "_has_file", lambda self, name: False)


def test_no_request_is_lost_while_the_weights_flip_a_hundred_times(tmp_path: Path) -> None:
    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        async with running(tmp_path / "home") as balancer:
            b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 100, g: 0})
            await balancer.until(b, "healthy")
            await balancer.until(g, "healthy")
            took_ms = []
            async with Load(balancer.port(80)) as load:
                for flip in range(100):
                    to, off = (g, b) if flip % 2 == 0 else (b, g)
                    await balancer.weigh(listener, **{to: 100, off: 0})
                    at = balancer.traffic.weights_since(REGION, listener, 0)[-1]["at"]
                    first = await balancer.traffic.first_answer_at(REGION, to, at, 2)
                    assert first is not None
                    took_ms.append((first - at) * 1000)
            assert load.failures == []
            assert set(load.answers) == {"blue", "green"}
            assert min(load.answers.values()) > 100
            assert failure_lines(balancer) == []
            print(f"switch, ms: median {statistics.median(took_ms):.1f}, max {max(took_ms):.1f}; {load.answers}")
        await blue.stop()
        await green.stop()

    asyncio.run(story())


def test_what_is_in_flight_survives_a_switch_and_a_deregistration(tmp_path: Path) -> None:
    """An answer in the making, a slow download, server-sent events and a websocket."""

    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        async with running(tmp_path / "home") as balancer:
            b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 100, g: 0})
            await balancer.until(b, "healthy")
            await balancer.until(g, "healthy")
            port = balancer.port(80)
            gated, download, events, socket = (Client(port) for _ in range(4))
            await gated.send("/gated")
            await download.send("/download")
            await events.send("/sse")
            await socket.send("/ws", connection="upgrade", upgrade="websocket")
            assert (await socket.head())[0] == 101
            assert await socket.line("one") == "blue one"
            _, of_download = await download.head()
            _, of_events = await events.head()

            await balancer.weigh(listener, **{b: 0, g: 100})
            await until(lambda: answers(port, "green"))
            drained = await balancer.traffic.prove_drained(REGION, b)
            assert (drained.is_proven, drained.in_flight) == (False, 4)
            assert drained.reason == "4 requests in flight"
            assert await balancer.traffic.connections(REGION, listener) == 4

            target = [{"Id": "i-1", "Port": blue.port}]
            await balancer.asks("DeregisterTargets", TargetGroupArn=b, Targets=target)
            await balancer.until(b)
            await asyncio.sleep(0.3)
            assert await socket.line("two") == "blue two"
            blue.gate.set()
            _, of_gated = await gated.head()
            assert await gated.body(of_gated) == "blue"
            assert await download.body(of_download) == "a" * 500_000 + "b" * 500_000
            assert (await events.body(of_events)).count("data: blue") == 5
            assert await socket.line("three") == "blue three"
            await socket.close()
            await asyncio.sleep(0.1)

            drained = await balancer.traffic.prove_drained(REGION, b)
            assert drained.is_proven, drained.reason
            for client in (gated, download, events):
                assert await client.get() == (200, "green")
                await client.close()
            assert failure_lines(balancer) == []
        await blue.stop()
        await green.stop()

    asyncio.run(story())


def test_changing_a_groups_settings_cuts_nothing_and_keeps_its_counters(tmp_path: Path) -> None:
    """Envoy replaces the cluster: the requests of the former one go on."""

    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            b = await balancer.group("blue", blue.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 1})
            await balancer.until(b, "healthy")
            mark = await balancer.traffic.mark(REGION, (listener,), (b,))
            client = Client(balancer.port(80))
            await client.send("/gated")
            async with Load(balancer.port(80), keeping=2, new=2) as load:
                for interval in (2, 3, 4):
                    await balancer.asks("ModifyTargetGroup", TargetGroupArn=b, HealthCheckIntervalSeconds=interval)
                    await asyncio.sleep(0.2)
                blue.gate.set()
                assert await client.body((await client.head())[1]) == "blue"
            assert load.failures == []
            flow = (await balancer.traffic.since([mark]))[0][0][b]
            assert flow.requests == load.answers["blue"] + 1
            assert flow.is_whole
            await client.close()
        await blue.stop()

    asyncio.run(story())


def test_leading_to_a_group_that_was_not_in_use_loses_nothing(tmp_path: Path) -> None:
    """The first blue/green of a pair: green is unknown to any listener until its weights arrive."""

    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        async with running(tmp_path / "home") as balancer:
            b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 1})
            await balancer.until(b, "healthy")
            await balancer.until(g, "unused")
            async with Load(balancer.port(80)) as load:
                await asyncio.sleep(0.2)
                await balancer.weigh(listener, **{g: 1})
                await balancer.until(g, "healthy")
                await balancer.until(b, "unused")
            assert load.failures == []
            assert set(load.answers) == {"blue", "green"}
        await blue.stop()
        await green.stop()

    asyncio.run(story())


async def is_healthy(balancer: Balancer, group: str, port: int) -> bool:
    targets = [{"Id": "i-1", "Port": port}]
    said = await balancer.asks("DescribeTargetHealth", TargetGroupArn=group, Targets=targets)
    return bool(said["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy")


def test_targets_come_and_go_without_a_lost_request(tmp_path: Path) -> None:
    """A rolling replacement: one in, one out, again and again; one of the targets never answers a check."""

    async def story() -> None:
        applications = [await Application(f"task-{number}").start() for number in range(8)]
        hanging = await Application("hanging").start()
        hanging.code = 0
        async with running(tmp_path / "home") as balancer:
            group = await balancer.group("blue", *(a.port for a in applications[:2]))
            await balancer.listen(await balancer.balancer(), 80, **{group: 1})
            await balancer.until(group, "healthy", "healthy")
            await balancer.register(group, hanging.port)
            async with Load(balancer.port(80)) as load:
                for former, latter in zip(applications, applications[2:], strict=False):
                    await balancer.register(group, latter.port)
                    await until(partial(is_healthy, balancer, group, latter.port))
                    target = [{"Id": "i-1", "Port": former.port}]
                    await balancer.asks("DeregisterTargets", TargetGroupArn=group, Targets=target)
                    await asyncio.sleep(0.3)
                    before = former.requests
                    await asyncio.sleep(0.2)
                    assert former.requests == before
                    await former.stop()
            assert load.failures == []
            assert failure_lines(balancer) == []
        for application in (*applications, hanging):
            await application.stop()

    asyncio.run(story())

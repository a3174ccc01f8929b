"""The life of the Envoy process: it outlives the engine, and comes back when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from tests.real.balancer import Application, Balancer, Client, Load, answers, get, running, until
from turnout.loadbalancer.envoy.watchers import Watchers
from turnout.loadbalancer.proxy import Interruption

pytestmark = pytest.mark.real


def test_a_killed_envoy_comes_back_with_the_right_weights(tmp_path: Path) -> None:
    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        async with running(tmp_path / "home") as balancer:
            b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 100, g: 0})
            await balancer.until(b, "healthy")
            mark = await balancer.traffic.mark("us-east-1", (listener,), (b, g))
            await balancer.weigh(listener, **{b: 0, g: 100})
            pid = balancer.envoy.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: answers(balancer.port(80), "green"))
            assert balancer.envoy.pid != pid
            await balancer.until(g, "healthy")
            ((flows, _),) = await balancer.traffic.since([mark])
            assert not flows[g].is_whole
        await blue.stop()
        await green.stop()

    asyncio.run(story())


def test_whoever_connects_while_there_is_no_envoy_waits_and_is_served(tmp_path: Path) -> None:
    """The sockets of the ports outlive an Envoy that is killed: nobody is refused, thrice in a row."""

    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            told: list[Interruption] = []
            balancer.envoy.on_interruption(told.append)
            b = await balancer.group("blue", blue.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 1})
            await balancer.until(b, "healthy")
            port = balancer.port(80)
            kept = Client(port)
            await kept.send("/gated")
            for number in range(1, 4):
                await until(partial(has_looked, balancer, in_flight=number == 1))
                assert balancer.envoy.pid is not None
                os.kill(balancer.envoy.pid, signal.SIGKILL)
                came = [asyncio.create_task(get(port)) for _ in range(20)]
                while len(told) < number:
                    came.append(asyncio.create_task(get(port)))
                    await asyncio.sleep(0.01)
                assert set(await asyncio.gather(*came)) == {(200, "blue")}
                interruption = told[-1]
                assert interruption.is_queue_kept
                assert "SIGKILL" in interruption.why
                assert interruption.lasted_s is not None
            assert (told[0].connections, told[0].in_flight) == (1, 1)
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await kept.head()
            await kept.close()
            await balancer.asks("DeleteListener", ListenerArn=listener)
            await until(lambda: is_refused(port))
        await blue.stop()

    async def has_looked(balancer: Balancer, *, in_flight: bool) -> bool:
        """At a moment when the sockets are held."""
        load = balancer.envoy._lives._load
        return load is not None and bool(load[2]) == in_flight and balancer.envoy._heirs.holds_any

    async def is_refused(port: int) -> bool:
        try:
            await get(port)
        except ConnectionRefusedError:
            return True
        except (OSError, asyncio.IncompleteReadError):
            return False
        return False

    asyncio.run(story())


def test_a_target_that_hangs_does_not_hold_up_an_envoy_that_comes_back(tmp_path: Path) -> None:
    """Envoy opens no listener before each first check has ended: it is started without checks."""

    async def story() -> None:
        blue = await Application("blue").start()
        with socket.socket() as hanging:
            hanging.bind(("127.0.0.1", 0))
            hanging.listen(16)
            async with running(tmp_path / "home") as balancer:
                b = await balancer.group("blue", blue.port)
                slow = {"HealthCheckTimeoutSeconds": 60, "HealthCheckIntervalSeconds": 61}
                h = await balancer.group("hanging", hanging.getsockname()[1], **slow)
                web = await balancer.balancer()
                await balancer.listen(web, 80, **{b: 1})
                await balancer.listen(web, 81, **{h: 1})
                await balancer.until(b, "healthy")
                assert balancer.envoy.pid is not None
                os.kill(balancer.envoy.pid, signal.SIGKILL)
                await until(lambda: answers(balancer.port(80), "blue"), within_s=5)
                assert await balancer.states(h) == [("initial", "Elb.InitialHealthChecking")]
        await blue.stop()

    asyncio.run(story())


def test_an_engine_that_starts_again_finds_the_same_envoy_and_loses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        balancer = Balancer(tmp_path / "home")
        await balancer.start()
        b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
        listener = await balancer.listen(await balancer.balancer(), 80, **{b: 100, g: 0})
        await balancer.until(b, "healthy")
        await balancer.until(g, "healthy")
        pid, port = balancer.envoy.pid, balancer.port(80)
        mark = await balancer.traffic.mark("us-east-1", (listener,), (b, g))
        keeping = Client(port)
        assert await keeping.get() == (200, "blue")
        async with Load(port, keeping=2, new=2) as load:
            await balancer.close()
            await asyncio.sleep(0.2)
            balancer = Balancer(tmp_path / "home")
            await balancer.start()
            await balancer.weigh(listener, **{b: 0, g: 100})
            await until(lambda: answers(port, "green"))
        try:
            assert load.failures == []
            assert balancer.envoy.pid == pid
            assert balancer.port(80) == port
            assert await keeping.get() == (200, "green")
            ((flows, _),) = await balancer.traffic.since([mark])
            assert flows[b].is_whole
            assert flows[b].requests > load.answers["blue"]
        finally:
            await keeping.close()
            await balancer.close()
            await balancer.envoy.stop()
            await blue.stop()
            await green.stop()

    asyncio.run(story())


def test_weights_that_were_committed_before_envoy_heard_arrive_at_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        balancer = Balancer(tmp_path / "home")
        await balancer.start()
        b, g = await balancer.group("blue", blue.port), await balancer.group("green", green.port)
        listener = await balancer.listen(await balancer.balancer(), 80, **{b: 100, g: 0})
        await balancer.until(b, "healthy")
        balancer.room.mirror.tell = lambda: None  # type: ignore[method-assign]  # as if killed right after the commit
        await balancer.weigh(listener, **{b: 0, g: 100})
        await balancer.close()
        port = balancer.port(80)
        assert await get(port) == (200, "blue")
        async with running(tmp_path / "home"):
            await until(lambda: answers(port, "green"))
        await blue.stop()
        await green.stop()

    asyncio.run(story())


def test_an_engine_that_died_before_it_noted_the_pid_finds_envoy_by_its_socket(tmp_path: Path) -> None:
    async def story() -> None:
        balancer = Balancer(tmp_path / "home")
        await balancer.start()
        pid = balancer.envoy.pid
        await balancer.close()
        (balancer.config.envoy / "process.json").unlink()
        async with running(tmp_path / "home") as again:
            assert again.envoy.pid == pid

    asyncio.run(story())


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    """The path of a unix socket has room for some 100 bytes."""

    async def story() -> None:
        home = tmp_path / ("a" * 80) / ("b" * 80)
        home.mkdir(parents=True)
        async with running(home) as balancer:
            assert balancer.envoy.pid

    asyncio.run(story())


def test_a_port_that_is_taken_is_named_and_served_once_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            async with running(tmp_path / "home", free_listener_ports=False) as balancer:
                b = await balancer.group("blue", blue.port)
                web = await balancer.balancer()
                listener = await balancer.listen(web, port, **{b: 1})
                assert f"port {port}" in caplog.text
                assert listener not in balancer.room.ports()
                described = await balancer.asks("DescribeLoadBalancers", LoadBalancerArns=[web])
                state = described["LoadBalancers"][0]["State"]
                assert state["Code"] == "active_impaired"
                assert f"port {port}" in state["Reason"]
                other.close()
                await until(lambda: answers(port, "blue"))
                assert balancer.room.ports() == {listener: f"http://127.0.0.1:{port}"}
        await blue.stop()

    asyncio.run(story())


def test_a_listener_for_which_the_kernel_has_no_watcher_left_says_what_to_raise_and_is_served_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is told to the engine, not used up: other Envoys of this user would end by that."""
    available = Watchers.available

    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            b = await balancer.group("blue", blue.port)
            web = await balancer.balancer()
            monkeypatch.setattr(Watchers, "available", lambda self, wanted: 0)
            listener = await balancer.listen(web, 80, **{b: 1})
            assert listener not in balancer.room.ports()
            described = await balancer.asks("DescribeLoadBalancers", LoadBalancerArns=[web])
            state = described["LoadBalancers"][0]["State"]
            assert state["Code"] == "active_impaired"
            assert "Raise fs.inotify.max_user_instances" in state["Reason"]
            monkeypatch.setattr(Watchers, "available", available)
            await until(lambda: answers(balancer.port(80), "blue"))
        await blue.stop()

    asyncio.run(story())


def test_two_engines_do_not_share_a_port_by_accident(tmp_path: Path) -> None:
    """Envoy's threads share their ports, and would share them with another Envoy of the same user."""

    async def story() -> None:
        blue, green = await Application("blue").start(), await Application("green").start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with running(tmp_path / "one", free_listener_ports=False) as one:
            await one.listen(await one.balancer(), port, **{await one.group("blue", blue.port): 1})
            await until(lambda: answers(port, "blue"))
            async with running(tmp_path / "two", free_listener_ports=False) as two:
                await two.listen(await two.balancer(), port, **{await two.group("green", green.port): 1})
                assert "taken" in (two.envoy.bound(port).error or "")
                assert {await get(port) for _ in range(20)} == {(200, "blue")}
        await blue.stop()
        await green.stop()

    asyncio.run(story())

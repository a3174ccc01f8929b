"""What a real Envoy answers when it cannot pass a request on, and what is counted as lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.real.balancer import REGION, Application, Client, answers, failure_lines, get, running, until

pytestmark = pytest.mark.real


def test_weights_that_are_all_zero_answer_503_and_count_as_failed(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            b, g = await balancer.group("blue", blue.port), await balancer.group("green")
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 0, g: 0})
            mark = await balancer.traffic.mark(REGION, (listener,), (b, g))

            async def is_up() -> bool:
                try:
                    return (await get(balancer.port(80)))[0] == 503
                except OSError:
                    return False

            await until(is_up)
            code, text = await get(balancer.port(80))
            assert (code, "Service Temporarily Unavailable" in text) == (503, True)
            ((flows, _),) = await balancer.traffic.since([mark])
            assert (flows[""].requests, flows[""].failed) == (2, 2)
            assert flows[b].requests == 0
            await balancer.until(b, "healthy")
            await balancer.weigh(listener, **{b: 1, g: 0})
            await until(lambda: answers(balancer.port(80), "blue"))
        await blue.stop()

    asyncio.run(story())


def test_a_group_without_targets_answers_503_and_one_with_unhealthy_targets_only_fails_open(tmp_path: Path) -> None:
    async def story() -> None:
        sick, well = await Application("sick").start(), await Application("well").start()
        sick.code = 500
        async with running(tmp_path / "home") as balancer:
            group = await balancer.group("blue")
            await balancer.listen(await balancer.balancer(), 80, **{group: 1})
            await until(lambda: _answers(balancer.port(80), 503))
            await balancer.register(group, sick.port)
            await balancer.until(group, "unhealthy")
            assert await balancer.states(group) == [("unhealthy", "Target.ResponseCodeMismatch")]
            said = await balancer.asks("DescribeTargetHealth", TargetGroupArn=group)
            description = said["TargetHealthDescriptions"][0]["TargetHealth"]["Description"]
            assert description == "Health checks failed with these codes: [500]"
            assert await get(balancer.port(80)) == (200, "sick")
            await balancer.register(group, well.port)
            await balancer.until(group, "unhealthy", "healthy")
            assert {await get(balancer.port(80)) for _ in range(20)} == {(200, "well")}
            sick.code = 200
            await balancer.until(group, "healthy", "healthy")
            assert {await get(balancer.port(80)) for _ in range(20)} == {(200, "well"), (200, "sick")}
        await sick.stop()
        await well.stop()

    asyncio.run(story())


async def _answers(port: int, code: int) -> bool:
    try:
        return (await get(port))[0] == code
    except OSError:
        return False


def test_a_new_target_becomes_healthy_at_its_first_success_and_unhealthy_at_the_threshold(tmp_path: Path) -> None:
    async def story() -> None:
        application = await Application("one").start()
        application.code = 404
        async with running(tmp_path / "home") as balancer:
            group = await balancer.group("blue", application.port, UnhealthyThresholdCount=3, HealthyThresholdCount=5)
            await balancer.listen(await balancer.balancer(), 80, **{group: 1})
            await until(lambda: _has_checked(application, 1))
            await asyncio.sleep(0.3)
            assert await balancer.states(group) == [("initial", "Elb.InitialHealthChecking")]
            await balancer.until(group, "unhealthy")
            assert application.checks >= 3
            other = await Application("two").start()
            await balancer.register(group, other.port)
            await balancer.until(group, "unhealthy", "healthy", within_s=1)
            assert other.checks == 1
            await other.stop()
        await application.stop()

    asyncio.run(story())


async def _has_checked(application: Application, times: int) -> bool:
    return application.checks >= times


def test_an_application_that_comes_up_late_is_found_when_it_listens_not_an_interval_later(tmp_path: Path) -> None:
    async def story() -> None:
        holder = await Application("holder").start()
        port = holder.port
        await holder.stop()
        async with running(tmp_path / "home") as balancer:
            slow = {"HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 2}
            group = await balancer.group("blue", port, **slow)
            await balancer.listen(await balancer.balancer(), 80, **{group: 1})
            await asyncio.sleep(1.5)
            assert await balancer.states(group) == [("initial", "Elb.RegistrationInProgress")]
            late = await Application("late").start(port)
            await balancer.until(group, "healthy", within_s=2)
        await late.stop()

    asyncio.run(story())


def test_lost_requests_are_counted_and_the_applications_own_errors_apart(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            b = await balancer.group("blue", blue.port)
            listener = await balancer.listen(await balancer.balancer(), 80, **{b: 1})
            await balancer.until(b, "healthy")
            port = balancer.port(80)
            mark = await balancer.traffic.mark(REGION, (listener,), (b,))
            for _ in range(10):
                assert await get(port) == (200, "blue")
            assert (await get(port, "/error"))[0] == 500
            assert (await get(port, "/refused"))[0] == 502
            with pytest.raises((asyncio.IncompleteReadError, OSError)):
                await get(port, "/broken")
            impatient = Client(port)
            await impatient.send("/gated")
            await asyncio.sleep(0.1)
            await impatient.close()
            await asyncio.sleep(0.1)
            flow = (await balancer.traffic.since([mark]))[0][0][b]
            assert (flow.requests, flow.failed, flow.errors) == (13, 2, 1)
            assert flow.p50_ms is not None
            assert flow.p99_ms is not None
            assert flow.p50_ms <= flow.p99_ms
            lines = failure_lines(balancer)
            assert [(line["path"], line["code"]) for line in lines] == [("/refused", 502), ("/broken", 200)]
            assert all(line["authority"] == "localhost" and line["flags"] for line in lines)
        await blue.stop()

    asyncio.run(story())


def test_a_target_that_is_gone_is_passed_over_while_another_listens(tmp_path: Path) -> None:
    """A request that could not be delivered is delivered elsewhere; one that was, never twice."""

    async def story() -> None:
        blue, gone = await Application("blue").start(), await Application("gone").start()
        async with running(tmp_path / "home") as balancer:
            group = await balancer.group("blue", blue.port, gone.port)
            await balancer.listen(await balancer.balancer(), 80, **{group: 1})
            await balancer.until(group, "healthy", "healthy")
            await gone.stop()
            assert {await get(balancer.port(80)) for _ in range(30)} == {(200, "blue")}
            before = blue.requests
            assert (await get(balancer.port(80), "/refused"))[0] == 502
            assert blue.requests == before + 1
        await blue.stop()

    asyncio.run(story())


def test_a_silent_application_is_cut_off_after_the_idle_timeout_but_a_stream_that_flows_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            b = await balancer.group("blue", blue.port)
            web = await balancer.balancer()
            await balancer.listen(web, 80, **{b: 1})
            idle = [{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
            await balancer.asks("ModifyLoadBalancerAttributes", LoadBalancerArn=web, Attributes=idle)
            await balancer.until(b, "healthy")
            assert (await get(balancer.port(80), "/gated"))[0] == 504
            socket = Client(balancer.port(80))
            await socket.send("/ws", connection="upgrade", upgrade="websocket")
            assert (await socket.head())[0] == 101
            for number in range(4):
                await asyncio.sleep(0.5)
                assert await socket.line(str(number)) == f"blue {number}"
            await socket.close()
        await blue.stop()

    asyncio.run(story())

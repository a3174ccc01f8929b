"""Targets: what DescribeTargetHealth says at each stage of their life."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.test_loadbalancer import Stack, code


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # half a second that nobody here asks for
    return Stack(world)


def delay(stack: Stack, seconds: int) -> None:
    attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
    stack.elb.modify_target_group_attributes(TargetGroupArn=stack.blue, Attributes=[attribute])


def test_a_target_is_initial_until_its_first_check_and_then_healthy_without_a_reason(stack: Stack) -> None:
    stack.world.proxy.health["127.0.0.1:4001"] = ("initial", "Elb.InitialHealthChecking", None)
    stack.register(stack.blue, 4001)
    assert stack.states(stack.blue) == [(4001, "initial", "Elb.RegistrationInProgress")]
    stack.world.tick()
    assert stack.states(stack.blue) == [(4001, "initial", "Elb.InitialHealthChecking")]
    del stack.world.proxy.health["127.0.0.1:4001"]
    stack.world.proxy.check()
    assert stack.states(stack.blue) == [(4001, "healthy", None)]


def test_a_target_that_accepts_no_connections_is_not_yet_told_to_the_proxy(stack: Stack) -> None:
    """The first check would fail, and the next come an interval later."""
    stack.world.proxy.refusing.add(4001)
    stack.register(stack.blue, 4001)
    stack.world.tick(1)
    assert stack.states(stack.blue) == [(4001, "initial", "Elb.RegistrationInProgress")]
    assert not any(stack.world.proxy.picture.endpoints.values())
    stack.world.proxy.refusing.clear()
    stack.world.tick(1)
    assert stack.states(stack.blue) == [(4001, "healthy", None)]


def test_a_target_that_never_accepts_connections_is_left_to_the_checks_after_one_interval(stack: Stack) -> None:
    stack.world.proxy.refusing.add(4001)
    stack.world.proxy.health["127.0.0.1:4001"] = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    stack.register(stack.blue, 4001)
    stack.world.tick(31)
    assert stack.states(stack.blue) == [(4001, "unhealthy", "Target.FailedHealthChecks")]


def test_a_failing_target_says_why(stack: Stack) -> None:
    said = "Health checks failed with these codes: [404]"
    stack.world.proxy.health["127.0.0.1:4001"] = ("unhealthy", "Target.ResponseCodeMismatch", said)
    stack.register(stack.blue, 4001)
    stack.world.tick()
    described = stack.elb.describe_target_health(TargetGroupArn=stack.blue)["TargetHealthDescriptions"][0]
    assert described == {
        "Target": {"Id": "i-1", "Port": 4001},
        "HealthCheckPort": "4001",
        "TargetHealth": {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch", "Description": said},
    }


def test_a_group_that_no_listener_refers_to_is_not_in_use_until_one_does(stack: Stack) -> None:
    stack.register(stack.green, 4001)
    stack.world.tick()
    assert stack.states(stack.green) == [(4001, "unused", "Target.NotInUse")]
    stack.weigh(blue=100, green=0)
    assert stack.states(stack.green) == [(4001, "healthy", None)]


def test_a_deregistered_target_gets_nothing_at_once_and_drains_for_the_whole_delay(stack: Stack) -> None:
    delay(stack, 20)
    stack.register(stack.blue, 4001, 4002)
    stack.world.tick()
    stack.deregister(stack.blue, 4001)
    assert stack.states(stack.blue) == [
        (4001, "draining", "Target.DeregistrationInProgress"),
        (4002, "healthy", None),
    ]
    [endpoints] = [e for name, e in stack.world.proxy.picture.endpoints.items() if name.startswith("web-blue")]
    assert [endpoint.port for endpoint in endpoints] == [4002]
    stack.world.tick(19)
    assert stack.states(stack.blue)[0][1] == "draining"
    stack.world.tick(1)
    assert stack.states(stack.blue) == [(4002, "healthy", None)]


def test_a_delay_is_counted_on_over_a_restart(stack: Stack) -> None:
    delay(stack, 20)
    stack.register(stack.blue, 4001)
    stack.world.tick()
    stack.deregister(stack.blue, 4001)
    stack.world.tick(15)
    stack.world.reboot()
    stack.world.tick(4)
    assert stack.states(stack.blue)[0][1] == "draining"
    stack.world.tick(1)
    assert stack.states(stack.blue) == []


def test_a_draining_target_that_is_registered_again_stays(stack: Stack) -> None:
    stack.register(stack.blue, 4001)
    stack.world.tick()
    stack.deregister(stack.blue, 4001)
    stack.register(stack.blue, 4001)
    stack.world.tick(400)
    assert stack.states(stack.blue) == [(4001, "healthy", None)]


def test_a_target_that_was_never_registered_is_unused_when_it_is_asked_for(stack: Stack) -> None:
    targets = [{"Id": "i-1", "Port": 4001}]
    said = stack.elb.describe_target_health(TargetGroupArn=stack.blue, Targets=targets)["TargetHealthDescriptions"]
    assert said[0]["TargetHealth"]["State"] == "unused"
    assert said[0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


def test_a_deregistration_without_a_port_means_every_port(stack: Stack) -> None:
    delay(stack, 0)
    stack.register(stack.blue, 4001, 4002)
    stack.world.tick()
    stack.elb.deregister_targets(TargetGroupArn=stack.blue, Targets=[{"Id": "i-1"}])
    stack.world.tick()
    assert stack.states(stack.blue) == []


def test_targets_by_address_are_addresses(stack: Stack) -> None:
    group = stack.group("by-ip", TargetType="ip")
    with pytest.raises(ClientError) as error:
        stack.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-1"}])
    assert code(error) == "ValidationError"
    stack.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.7"}])
    stack.world.tick()
    [endpoints] = [e for name, e in stack.world.proxy.picture.endpoints.items() if name.startswith("by-ip")]
    assert [endpoint.address for endpoint in endpoints] == ["10.0.0.7:80"]


def test_whoever_waits_for_the_health_of_a_group_is_woken_at_every_change(stack: Stack) -> None:
    woken: list[str] = []
    wake = stack.world.runs.wake

    def heard(tx: object, topic: str) -> None:
        woken.append(topic)
        wake(tx, topic)  # type: ignore[arg-type]

    stack.world.runs.wake = heard  # type: ignore[method-assign]
    topic = f"elbv2.health/us-east-1/{stack.blue}"
    delay(stack, 1)
    for change in (
        lambda: stack.register(stack.blue, 4001),
        lambda: stack.world.tick(),
        lambda: stack.deregister(stack.blue, 4001),
        lambda: stack.world.tick(1),
    ):
        woken.clear()
        change()
        assert topic in woken

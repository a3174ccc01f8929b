"""What the balancer says about traffic: marks, flows, first answers, proofs."""

from __future__ import annotations

import json

import pytest

from tests.conftest import World
from tests.rooms.test_loadbalancer import Stack
from turnout.cli.receipt_words import interruption
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import Failure, GroupCounters, Interruption


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # half a second that nobody here asks for
    stack = Stack(world)
    stack.register(stack.blue, 4001)
    stack.register(stack.green, 4002)
    stack.weigh(blue=100, green=0)
    world.tick()
    return stack


def test_a_flow_is_what_came_since_the_mark(stack: Stack) -> None:
    proxy, traffic = stack.world.proxy, stack.world.engine.loadbalancer.traffic
    blue, green = group_name(stack.blue), group_name(stack.green)
    proxy.counted[blue] = GroupCounters(100, 100, 0, 3, ((0.5, 90), (1.5, 10)))
    mark = stack.world.run(traffic.mark("us-east-1", (stack.listener,), (stack.blue, stack.green)))
    mark = json.loads(json.dumps(mark))
    proxy.counted[blue] = GroupCounters(210, 200, 10, 7, ((0.5, 91), (1.5, 108), (40.5, 1)))
    proxy.failed += [
        Failure(stack.listener, blue, 502, "UC", True),
        Failure(stack.listener, green, 200, "UC", False),
        Failure(stack.listener, "", 503, "-", True),
        Failure("another", "", 503, "-", True),
    ]
    ((flows, _),) = stack.world.run(traffic.since([mark]))
    assert (flows[stack.blue].requests, flows[stack.blue].failed, flows[stack.blue].errors) == (100, 1, 3)
    assert (flows[stack.blue].p50_ms, flows[stack.blue].p99_ms) == (1.5, 1.5)
    assert (flows[stack.green].requests, flows[stack.green].failed, flows[stack.green].p50_ms) == (0, 1, None)
    assert flows[""].failed == 1
    assert all(flow.is_whole for flow in flows.values())


def test_a_flow_over_a_restart_of_the_proxy_says_that_it_is_not_whole(stack: Stack) -> None:
    proxy, traffic = stack.world.proxy, stack.world.engine.loadbalancer.traffic
    proxy.counted[group_name(stack.blue)] = GroupCounters(100, 100)
    mark = stack.world.run(traffic.mark("us-east-1", (stack.listener,), (stack.blue,)))
    proxy.epoch = "2"
    proxy.counted[group_name(stack.blue)] = GroupCounters(7, 7)
    flow = stack.world.run(traffic.since([mark]))[0][0][stack.blue]
    assert (flow.requests, flow.is_whole) == (7, False)


def test_the_first_answer_of_a_group_that_gets_weight_is_seen_and_kept(stack: Stack) -> None:
    traffic = stack.world.engine.loadbalancer.traffic
    stack.world.clock.advance(5)
    at = stack.world.clock.now()
    stack.weigh(blue=0, green=100)
    assert stack.world.run(traffic.first_answer_at("us-east-1", stack.green, at, 1)) == at
    changes = traffic.weights_since("us-east-1", stack.listener, at)
    assert [change["first_answers"] for change in changes] == [{stack.green: at}]
    stack.world.reboot()
    traffic = stack.world.engine.loadbalancer.traffic
    assert stack.world.run(traffic.first_answer_at("us-east-1", stack.green, at, 1)) == at


def test_a_group_without_weight_and_without_requests_is_drained(stack: Stack) -> None:
    stack.weigh(blue=0, green=100)
    drained = stack.world.run(stack.world.engine.loadbalancer.traffic.prove_drained("us-east-1", stack.blue))
    assert drained.is_proven
    assert drained.weights_version == "fake"


def test_a_group_with_weight_or_with_a_request_in_flight_is_not_drained(stack: Stack) -> None:
    traffic = stack.world.engine.loadbalancer.traffic
    drained = stack.world.run(traffic.prove_drained("us-east-1", stack.blue))
    assert (drained.is_proven, drained.reason) == (False, "it has weight 100")
    stack.weigh(blue=0, green=100)
    stack.world.proxy.counted[group_name(stack.blue)] = GroupCounters(9, 8, 1)
    drained = stack.world.run(traffic.prove_drained("us-east-1", stack.blue))
    assert (drained.is_proven, drained.reason, drained.in_flight) == (False, "1 request in flight", 1)


def test_a_group_whose_listener_does_not_answer_is_not_drained_and_says_why(stack: Stack) -> None:
    stack.weigh(blue=0, green=100)
    stack.world.proxy.errors[80] = "port 18080 is taken by another process"
    drained = stack.world.run(stack.world.engine.loadbalancer.traffic.prove_drained("us-east-1", stack.blue))
    assert (drained.is_proven, drained.is_in_force, drained.is_quiet) == (False, False, False)
    assert drained.reason == "port 18080 is taken by another process"


def test_what_an_end_of_the_proxy_cost_is_kept_and_told(stack: Stack) -> None:
    stack.world.proxy.interrupt(Interruption(0.25, "Envoy, pid 7, was ended by SIGKILL", 12, 3, 1.5, True))
    stack.world.reboot()
    told = stack.world.run(stack.world.request("GET", "http://127.0.0.1:4566/_turnout/health", {}, b""))[2]
    (one,) = json.loads(told)["interruptions"]
    now = stack.world.clock.at
    assert one == {
        "endedAt": now - 0.25,
        "servesAgainAt": now,
        "why": "Envoy, pid 7, was ended by SIGKILL",
        "connections": 12,
        "inFlight": 3,
        "lookedAt": now - 1.75,
        "newConnections": "waited",
    }
    assert interruption(one) == (
        "Envoy, pid 7, was ended by SIGKILL and served again 250 ms later; new connections waited; 12 connections were"
        " cut, with 3 requests in flight (counted 1.5 s before)"
    )
    stack.world.clock.at += 3601
    assert stack.world.engine.loadbalancer.traffic.interruptions_since(stack.world.clock.at) == []

"""What Envoy says, in AWS's words; and the small decisions around it."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.loadbalancer.attributes import BALANCER, changed
from turnout.loadbalancer.envoy.admin import HostHealth
from turnout.loadbalancer.envoy.clusters import matcher_ranges
from turnout.loadbalancer.envoy.failures import parse, position_of, read_since
from turnout.loadbalancer.envoy.files import LONGEST_SOCKET_PATH, Folder
from turnout.loadbalancer.envoy.matches import network_regex, pattern
from turnout.loadbalancer.envoy.pace import Pace
from turnout.loadbalancer.envoy.watch import Failing, health_of
from turnout.loadbalancer.envoy.watchers import SPARE, Watchers
from turnout.loadbalancer.picture import Check, Group
from turnout.loadbalancer.proxy import Failure
from turnout.loadbalancer.traffic import difference
from turnout.traffic import percentile

GROUPS = {"g": Group(Check("/", 10, 5, 5, 3, "200"))}


@pytest.mark.parametrize(
    ("is_failing", "failing", "expected"),
    [
        (False, None, ("healthy", None)),
        (False, Failing(2, "ACTIVE", 500), ("healthy", None)),
        (True, None, ("initial", "Elb.InitialHealthChecking")),
        (True, Failing(2, "ACTIVE", 404), ("initial", "Elb.InitialHealthChecking")),
        (True, Failing(3, "ACTIVE", 404), ("unhealthy", "Target.ResponseCodeMismatch")),
        (True, Failing(3, "NETWORK_TIMEOUT"), ("unhealthy", "Target.Timeout")),
        (True, Failing(9, "NETWORK"), ("unhealthy", "Target.FailedHealthChecks")),
    ],
)
def test_the_health_of_an_endpoint_has_elbs_states_and_reasons(
    is_failing: bool, failing: Failing | None, expected: tuple[str, str | None]
) -> None:
    health = health_of(HostHealth("g", "127.0.0.1:1", is_failing), failing, GROUPS)
    assert (health.state, health.reason) == expected
    assert (health.description is None) == (health.state == "healthy")


def test_a_mismatch_names_the_code() -> None:
    health = health_of(HostHealth("g", "127.0.0.1:1", True), Failing(3, "ACTIVE", 404), GROUPS)
    assert health.description == "Health checks failed with these codes: [404]"


def line(**said: object) -> bytes:
    usual = {"flags": "UC", "code": 502, "route": "listener", "group": "g", "details": "upstream_reset"}
    return json.dumps({**usual, **said}).encode() + b"\n"


@pytest.mark.parametrize("flags", ["DC", "DC,UC", "DR"])
def test_a_client_that_went_away_lost_nothing(flags: str) -> None:
    assert parse(line(flags=flags)) is None


def test_an_idle_websocket_and_an_unfinished_question_are_no_failures() -> None:
    assert parse(line(flags="SI", code=101)) is None
    assert parse(line(flags="SI", code=408)) is None
    assert parse(line(flags="SI", code=504)) is not None


def test_a_truncated_answer_is_a_failure_with_the_applications_status() -> None:
    failure = parse(line(code=200, details="via_upstream"))
    assert failure is not None
    assert not failure.is_made_here


def test_all_weights_zero_is_a_failure_of_its_listener() -> None:
    failure = parse(line(flags="-", code=503, route="all-zero listener", group=None, details="direct_response"))
    assert failure is not None
    assert (failure.listener_arn, failure.group, failure.is_made_here) == ("listener", "", True)


def test_half_a_line_is_passed_over() -> None:
    assert parse(line()[:20]) is None


def test_failures_are_read_on_in_a_log_that_was_set_aside_once(tmp_path: Path) -> None:
    log = tmp_path / "failures.jsonl"
    log.write_bytes(line())
    position = position_of(log)
    with log.open("ab") as file:
        file.write(line(code=504))
    log.rename(tmp_path / "failures.old.jsonl")
    log.write_bytes(line(code=503))
    read = read_since(log, position)
    assert [failure.code for failure in read.items] == [504, 503]
    assert read.is_whole
    (tmp_path / "failures.old.jsonl").unlink()
    assert not read_since(log, position).is_whole


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_as_a_regular_expression_matches_its_addresses_and_no_other(
    address: ipaddress.IPv4Address, prefix: int, other: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network((address, prefix), strict=False)
    regex = re.compile(network_regex(str(network)))
    assert regex.fullmatch(str(address))
    assert bool(regex.fullmatch(str(other))) == (other in network)


@pytest.mark.parametrize(
    ("wildcards", "text", "expected"),
    [
        ("/img/*", "/img/", True),
        ("/img/*", "/img", False),
        ("/a?c", "/abc", True),
        ("/a?c", "/ac", False),
        ("/a.c", "/abc", False),
        (r"/a\*", "/a*", True),
        (r"/a\*", "/ab", False),
    ],
)
def test_wildcards_are_elbs(wildcards: str, text: str, expected: bool) -> None:
    assert bool(re.fullmatch(pattern(wildcards), text)) == expected


def test_a_matcher_becomes_half_open_ranges() -> None:
    assert matcher_ranges("200,300-302") == [{"start": 200, "end": 201}, {"start": 300, "end": 303}]


def test_percentiles_are_of_the_requests_between_two_looks() -> None:
    was, now = [[0.5, 100], [1.5, 10]], ((0.5, 149), (1.5, 59), (80.5, 1))
    assert difference(was, now) == [(0.5, 49), (1.5, 49), (80.5, 1)]
    assert percentile(difference(was, now), 50) == 1.5
    assert percentile(difference(was, now), 98) == 1.5
    assert percentile(difference(was, now), 99) == 80.5
    assert percentile([], 50) is None


def test_a_socket_path_that_is_too_long_is_replaced_by_a_short_one_of_that_home() -> None:
    near, far = Folder(Path("/home/a")), Folder(Path("/home") / ("a" * 120))
    assert near.admin_socket == Path("/home/a/admin.sock")
    assert len(str(far.admin_socket)) < LONGEST_SOCKET_PATH
    assert far.admin_socket != Folder(Path("/home") / ("b" * 120)).admin_socket


def test_a_large_file_is_told_less_often_and_a_small_one_at_once() -> None:
    pace = Pace()
    pace.wrote("large", 100.0, 0.1)
    assert pace.wait_s("large", 100.05) == pytest.approx(0.15)
    assert pace.wait_s("large", 100.2) == 0
    assert pace.wait_s("small", 100.0) == 0


def test_what_envoy_was_granted_a_moment_ago_is_not_granted_again() -> None:
    watchers = Watchers(lambda wanted: min(wanted, SPARE + 5))
    assert watchers.available(10) == 5
    assert watchers.take(3)
    assert watchers.available(10) == 2
    assert not watchers.take(3)
    assert watchers.take(2)


def test_an_attribute_keeps_its_default_or_becomes_true() -> None:
    assert changed(BALANCER, {}, [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}]) == {
        "idle_timeout.timeout_seconds": "30"
    }


@pytest.mark.parametrize(("flags", "is_among"), [("UC", True), ("SI", False), ("UF,URX", True)])
def test_a_504_for_silence_is_not_among_the_5xx_that_envoy_counts_of_a_group(flags: str, is_among: bool) -> None:
    failure = Failure("listener", "group", 504, flags, is_made_here=True)
    assert failure.is_among_errors is is_among

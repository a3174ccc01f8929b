"""What is new in the proxy's counters is told once, and never swallowed."""

from __future__ import annotations

from turnout.loadbalancer.metering import Reading, account
from turnout.loadbalancer.proxy import GroupMeter


def meter(completed: int, twos: int, fives: int = 0) -> GroupMeter:
    return GroupMeter(completed, (twos, 0, 0, fives), connections=1, open_connections=1)


def test_counters_of_answers_that_begin_anew_are_counted_on() -> None:
    """Envoy drops them with the former version of a cluster: as many answers as before would have gone unseen."""
    reading, new = account(Reading(), meter(1000, 990, 10), "1", ())
    assert (new["requests"], new["2XX"], new["5XX"]) == (1000, 990, 10)
    reading, new = account(reading, meter(1030, 25, 5), "1", ())
    assert (new["requests"], new["2XX"], new["5XX"]) == (30, 25, 5)
    reading, new = account(reading, meter(1032, 26, 6), "1", ())
    assert (new["requests"], new["2XX"], new["5XX"]) == (2, 1, 1)
    _, new = account(reading, meter(4, 3, 1), "2", ())
    assert (new["requests"], new["2XX"], new["5XX"]) == (4, 3, 1), "another Envoy begins at nothing"

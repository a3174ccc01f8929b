"""How the goodbyes of a listener are spread over a deregistration delay."""

from __future__ import annotations

import pytest

from turnout.leaving import LOOK_AGAIN_S, share_at


@pytest.mark.parametrize("delay_s", [3.0, 5.0, 15.0, 300.0, 3600.0])
def test_goodbyes_are_spread_evenly_and_the_last_is_heard_before_the_delay_is_over(delay_s: float) -> None:
    shares = [share_at(delay_s * tenth / 10, delay_s) for tenth in range(11)]
    assert shares == [pytest.approx(min(1.0, tenth / 10 + 1 / delay_s)) for tenth in range(11)]
    # A look waits so long, and takes as long itself: the last but one within the delay tells everybody.
    assert share_at(delay_s - 4 * LOOK_AGAIN_S, delay_s) == 1.0


def test_without_a_delay_everybody_is_told_at_once() -> None:
    assert share_at(0.0, 0.0) == share_at(0.0, 0.5) == 1.0

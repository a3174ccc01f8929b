"""What the load balancer publishes is what its clients got, to the last request, whatever is killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.alarming import Shop
from tests.real.alarming import shop as opened
from turnout.cli.demo.scene import load_on
from turnout.cli.load import Load

pytestmark = pytest.mark.real


class Counting:
    """A shop, and how many requests its clients have made in all."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.carried = self.lost = 0

    def load(self) -> Load:
        return load_on(self.shop.made, kept=8, fresh=2)

    def carry(self, load: Load, count: int) -> None:
        """Until so many requests more have been answered."""
        goal = load.tally().requests + count
        self.shop.until(lambda: load.tally().requests >= goal)

    def check(self, load: Load, *, lost: int = 0) -> None:
        """All of this load, which has ended, has been answered and published; of its classes all but `lost`."""
        tally = load.tally()
        assert dict(tally.failures) == {}
        self.carried += tally.requests
        self.shop.settles(lambda: self.shop.sum_of("RequestCount"), self.carried, self.carried)
        self.lost += lost
        answers = "HTTPCode_Target_2XX_Count"
        self.shop.settles(lambda: self.shop.sum_of(answers), self.carried - self.lost, self.carried)


@pytest.fixture(scope="module")
def counting() -> Iterator[Counting]:
    with opened(speed=20) as shop:
        shop.alarm("errors", "HTTPCode_Target_5XX_Count", 5, Statistic="Sum")  # somebody looks
        yield Counting(shop)


def test_every_request_is_counted_once_over_three_kills_of_the_engine(counting: Counting) -> None:
    with counting.load() as load:
        for _ in range(3):
            counting.carry(load, 200)
            counting.shop.kill()
            counting.carry(load, 200)
            counting.shop.start()
        counting.carry(load, 200)
    counting.check(load)


def test_what_an_envoy_had_carried_is_not_counted_again_when_another_takes_its_place(counting: Counting) -> None:
    with counting.load() as load:
        counting.carry(load, 200)
    counting.check(load)
    counting.shop.kill_envoy()
    counting.shop.until(counting.shop.is_open)
    with counting.load() as load:
        counting.carry(load, 200)
    # What it answers before it has been told of health checks it counts by no class: a request of each client that
    # keeps its connection, and a few of those that open one for each. Counting twice would be thousands.
    counting.check(load, lost=50)

"""The datapoints of one look, with the dimensions of AWS/ApplicationELB. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from turnout.loadbalancer.mirror import region_of
from turnout.measuring import Datum, datum
from turnout.names import resource_of

Dimensions = Mapping[str, str]


class Place:
    """A target group behind a load balancer, as dimensions."""

    def __init__(self, group_arn: str, balancer_arn: str) -> None:
        self.region = region_of(balancer_arn)
        self.balancer = {"LoadBalancer": resource_of(balancer_arn).removeprefix("loadbalancer/")}
        self.group = {"TargetGroup": resource_of(group_arn)} if group_arn else {}
        self.both = {**self.group, **self.balancer}


class Data:
    """What one look publishes. `at` is the look before: what is new began then."""

    def __init__(self, at: float) -> None:
        self._at = at
        self.by_region: dict[str, list[Datum]] = {}

    def add(
        self,
        here: Place,
        name: str,
        dimensions: Dimensions,
        values: Mapping[float, float],
        *,
        at: float | None = None,
        unit: str = "Count",
    ) -> None:
        found = datum(name, dimensions, self._at if at is None else at, values, unit)
        self.by_region.setdefault(here.region, []).append(found)

    def add_some(self, here: Place, name: str, dimensions: Dimensions, count: int) -> None:
        """So many events: each is a sample of 1, as on AWS. None is no datapoint."""
        if count > 0:
            self.add(here, name, dimensions, {1.0: float(count)})

    def count(self, here: Place, name: str, count: int) -> None:
        """So many events of a target group, which are its load balancer's as well."""
        self.add_some(here, name, here.balancer, count)
        self.add_some(here, name, here.both, count)

    def requests(self, here: Place, count: int, targets: int) -> None:
        """Reported, also as zero, for as long as there are registered targets."""
        if not targets and not count:
            return
        for dimensions in (here.balancer, here.both):
            self.add(here, "RequestCount", dimensions, {1.0: float(count)} if count else {0.0: 1.0})
        if targets:
            for dimensions in (here.group, here.both):
                self.add(here, "RequestCountPerTarget", dimensions, {count / targets: 1.0}, unit="None")

"""The metrics of AWS/ApplicationELB, from the proxy's counters.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
Published once a minute, and every second while an alarm looks at the namespace. What is to be published is kept in the
commit that keeps how far the counters were read: after a crash it is put again, under the same cause, so nothing is
counted twice and nothing is lost; and what was served meanwhile counts for the minute in which the engine went down.
There is no AvailabilityZone: all is in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.errors import TurnoutError
from turnout.loadbalancer.datapoints import Data, Place
from turnout.loadbalancer.metering import CLASSES, Reading, account, answers_of
from turnout.loadbalancer.mirror import Mirror
from turnout.loadbalancer.proxy import Failure, Meters, Proxy
from turnout.loadbalancer.records import Records, balancer_of
from turnout.loadbalancer.traffic import difference
from turnout.measuring import PERIOD_S, Datum, publish
from turnout.store import Shelf

NAMESPACE = "AWS/ApplicationELB"
PRINCIPAL = "elasticloadbalancing.amazonaws.com"
LOG_BEHIND_S = 0.05
"""How far the proxy's log of failures may lag behind its counters."""
OLDEST_S = 86_400.0
"""What was served while the engine was away for longer is dated a day back."""
LOOK = "look"

Hosts = dict[str, tuple[int, int, int]]
"""Target group ARN → (healthy, unhealthy, registered) targets."""


class Metrics:
    """Looks at the proxy, and publishes what is new."""

    def __init__(
        self,
        records: Records,
        mirror: Mirror,
        proxy: Proxy,
        aws: Aws,
        clock: Clock,
        is_watched: Callable[[str], bool],
    ) -> None:
        self._records = records
        self._mirror = mirror
        self._proxy = proxy
        self._aws = aws
        self._clock = clock
        self._is_watched = is_watched
        self._kept = Shelf(records.store, "elbv2.meter")
        self._readings: dict[str, Reading] | None = None
        self._last: Mapping[str, Any] | None = None
        """The last look, once it has been read: with hundreds of groups it is long."""
        self._hosts: Hosts = {}
        self._is_published = False
        """Whether all that is kept has been put: not known of what an engine before this one has kept."""

    async def look(self) -> None:
        now, period_s = self._clock.now(), self._clock.scaled_s(PERIOD_S)
        if self._last is None:
            self._last = self._kept.find("", LOOK)
        last = self._last
        if last is not None and not self._is_published:
            await self._publish(last)
        ends_period = last is None or now // period_s != last["at"] // period_s
        if not ends_period and not self._is_watched(NAMESPACE):
            return
        try:
            meters = await self._proxy.meters()
            if last is None:
                await self._begin(meters, now)
                return
            await self._tell(meters, last, now, ends_period)
        except TurnoutError:
            return  # the proxy is being started again: the next look sees it all

    async def _begin(self, meters: Meters, now: float) -> None:
        """The first look of a home: what went before is nobody's."""
        readings = {name: account(Reading(), m, meters.epoch, ())[0] for name, m in meters.groups.items()}
        await self._times(readings, [name for name, meter in meters.groups.items() if meter.completed])
        self._keep(meters, now, meters.position, readings, {})

    async def _tell(self, meters: Meters, last: Mapping[str, Any], now: float, ends_period: bool) -> None:
        readings = self._load()
        moved = {name for name in self._mirror.arns if self._has_moved(readings, meters, name)}
        failed, position = await self._failures(meters, last, readings)
        changed: dict[str, Reading] = {}
        news: dict[str, dict[str, int]] = {}
        for name in moved | {failure.group for failure in failed if failure.group in meters.groups}:
            mine = [failure for failure in failed if failure.group == name]
            changed[name], news[name] = account(readings.get(name, Reading()), meters.groups[name], meters.epoch, mine)
        times = await self._times(changed, [name for name, new in news.items() if new["requests"]])
        data = Data(max(last["at"], now - OLDEST_S))
        hosts = self._count_hosts()
        for name, group_arn in self._mirror.arns.items():
            new = news.get(name, {})
            has_new_hosts = hosts.get(group_arn) != self._hosts.get(group_arn)
            if not (ends_period or new or has_new_hosts):
                continue
            for balancer_arn in self._records.balancers_of(group_arn)[:1]:
                here = Place(group_arn, balancer_arn)
                healthy, unhealthy, registered = hosts.get(group_arn, (0, 0, 0))
                if ends_period or has_new_hosts:
                    data.add(here, "HealthyHostCount", here.both, {healthy: 1}, at=now)
                    data.add(here, "UnHealthyHostCount", here.both, {unhealthy: 1}, at=now)
                if ends_period or new.get("requests"):
                    data.requests(here, new.get("requests", 0), healthy or registered)
                for answer in CLASSES:
                    data.count(here, f"HTTPCode_Target_{answer}_Count", new.get(answer, 0))
                if seconds := times.get(name):
                    for place in (here.balancer, here.both):
                        data.add(here, "TargetResponseTime", place, seconds, unit="Seconds")
                data.add_some(here, "NewConnectionCount", here.balancer, new.get("connections", 0))
        self._tell_failures(data, failed)
        self._tell_connections(data, meters, last, ends_period, now)
        if not (ends_period or changed or data.by_region or position != last["position"]):
            return  # within a minute nothing is worth a commit but news
        look = self._keep(meters, now, position, changed, data.by_region)
        self._hosts = hosts
        await self._publish(look)

    async def _publish(self, look: Mapping[str, Any]) -> None:
        self._is_published = False
        for region, data in look["data"].items():
            await publish(self._aws, PRINCIPAL, NAMESPACE, region, data, f"elbv2.look/{look['at']}")
        self._is_published = True

    @staticmethod
    def _has_moved(readings: Mapping[str, Reading], meters: Meters, name: str) -> bool:
        meter, was = meters.groups.get(name), readings.get(name)
        if meter is None:
            return False
        if was is None or was.epoch != meters.epoch:
            return meter.completed > 0 or meter.connections > 0
        told = was.told
        return meter.completed != told.get("requests", 0) + was.made_503 or meter.connections != told["connections"]

    async def _failures(
        self, meters: Meters, last: Mapping[str, Any], readings: Mapping[str, Reading]
    ) -> tuple[Sequence[Failure], list[int]]:
        """What failed since the last look, and how far the log was read."""
        has_errors = any(
            answers_of(was, meter, meters.epoch)[0][3]
            > (was.told["5XX"] + was.made_5xx if was.epoch == meters.epoch else 0)
            for name, meter in meters.groups.items()
            for was in (readings.get(name, Reading()),)
        )
        if not has_errors and meters.position == last["position"]:
            return (), last["position"]
        if has_errors:
            await self._proxy.pause(LOG_BEHIND_S)
        failures = await self._proxy.failures_since(last["position"])
        return failures.items, failures.position

    async def _times(self, changed: dict[str, Reading], names: Sequence[str]) -> dict[str, dict[float, float]]:
        """Group → seconds → how many requests took so long, of what is new; the readings learn of it."""
        if not names:
            return {}
        counters = await self._proxy.counters(names, latency=True)
        found = {}
        for name in names:
            reading, latency = changed[name], counters.groups[name].latency
            was = reading.latency if counters.epoch == reading.epoch else []
            found[name] = {ms / 1000: float(count) for ms, count in difference(was, latency)}
            changed[name] = replace(reading, latency=[list(bucket) for bucket in latency])
        return found

    def _tell_failures(self, data: Data, failed: Sequence[Failure]) -> None:
        for failure in failed:
            group_arn = self._mirror.arns.get(failure.group, "")
            arns = self._records.balancers_of(group_arn)[:1] if group_arn else []
            if failure.listener_arn:
                arns = [balancer_of(failure.listener_arn)]
            for balancer_arn in arns:
                here = Place(group_arn, balancer_arn)
                if failure.is_made_here and failure.code >= 500:
                    data.add_some(here, "HTTPCode_ELB_5XX_Count", here.balancer, 1)
                    if failure.code in (500, 502, 503, 504):
                        data.add_some(here, f"HTTPCode_ELB_{failure.code}_Count", here.balancer, 1)
                if group_arn and "UF" in failure.flags.split(","):
                    data.count(here, "TargetConnectionErrorCount", 1)

    def _tell_connections(
        self, data: Data, meters: Meters, last: Mapping[str, Any], ends_period: bool, now: float
    ) -> None:
        """Clients are counted by port: where load balancers share one, nobody can tell whose they are."""
        was = last["ports"] if last["epoch"] == meters.epoch else {}
        active: dict[str, int] = {}
        for port, sites in self._mirror.picture.ports.items():
            balancers = {balancer_of(site.listener_arn) for site in sites}
            if len(balancers) == 1 and (meter := meters.ports.get(port)) is not None:
                (balancer_arn,) = balancers
                here = Place("", balancer_arn)
                data.add_some(here, "NewConnectionCount", here.balancer, meter.connections - was.get(str(port), 0))
                active[balancer_arn] = active.get(balancer_arn, 0) + meter.open_connections
        if not ends_period:
            return
        for name, group_arn in self._mirror.arns.items():
            if name in meters.groups and (open_ones := meters.groups[name].open_connections):
                for balancer_arn in self._records.balancers_of(group_arn)[:1]:
                    active[balancer_arn] = active.get(balancer_arn, 0) + open_ones
        for balancer_arn, count in active.items():
            if count:
                here = Place("", balancer_arn)
                data.add(here, "ActiveConnectionCount", here.balancer, {count: 1}, at=now)

    def _count_hosts(self) -> Hosts:
        rows = self._records.store.all(
            "SELECT target_group_arn AS arn, sum(state = 'healthy') AS healthy, sum(state = 'unhealthy') AS unhealthy,"
            " count(*) AS registered FROM elbv2_targets WHERE stage != 'draining' GROUP BY target_group_arn"
        )
        return {row["arn"]: (row["healthy"], row["unhealthy"], row["registered"]) for row in rows}

    # What is kept

    def _load(self) -> dict[str, Reading]:
        if self._readings is None:
            rows = self._kept.everywhere()
            self._readings = {body["group"]: Reading(**body["reading"]) for _, body in rows if "group" in body}
        return self._readings

    def _keep(
        self,
        meters: Meters,
        now: float,
        position: list[int],
        changed: Mapping[str, Reading],
        data: Mapping[str, Sequence[Datum]],
    ) -> Mapping[str, Any]:
        readings = self._load()
        gone = [
            name
            for name in readings
            if name not in changed and name not in self._mirror.arns and name not in meters.groups
        ]
        ports = {str(port): meter.connections for port, meter in meters.ports.items()}
        look = {"at": now, "epoch": meters.epoch, "position": position, "ports": ports, "data": data}
        with self._records.store.transaction() as tx:
            self._kept.put(tx, "", LOOK, look)
            for name, reading in changed.items():
                self._kept.put(tx, "", f"group/{name}", {"group": name, "reading": asdict(reading)})
            for name in gone:
                self._kept.delete(tx, "", f"group/{name}")
        # Only what has been written down has been told: where the disk was full the next look tells it.
        readings.update(changed)
        for name in gone:
            del readings[name]
        self._last = look
        return look

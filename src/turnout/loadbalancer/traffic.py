"""What the balancer says about the traffic of target groups: the room's answer to `turnout.traffic.Traffic`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from turnout.clock import Clock
from turnout.jsontext import read
from turnout.loadbalancer.goodbyes import Goodbyes
from turnout.loadbalancer.interruptions import Interruptions
from turnout.loadbalancer.mirror import Mirror
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import Counters, Failure, Failures, GroupCounters, Proxy
from turnout.loadbalancer.records import Records
from turnout.loadbalancer.rises import Rises
from turnout.traffic import Drained, Flow, Latency, Mark

SAMPLES_APART_S = 0.25
"""Between the two samples of a proof: an accepted version is the main thread's view, its workers follow."""


class BalancerTraffic:
    """Reads the proxy's counters. Marks are JSON; counters of different lives of the proxy are never subtracted."""

    def __init__(
        self,
        records: Records,
        rises: Rises,
        goodbyes: Goodbyes,
        proxy: Proxy,
        clock: Clock,
        mirror: Mirror,
        interruptions: Interruptions,
    ) -> None:
        self._records = records
        self._rises = rises
        self._goodbyes = goodbyes
        self._proxy = proxy
        self._clock = clock
        self._interruptions = interruptions
        self._mirror = mirror
        self._started_at = clock.now()

    async def mark(self, region: str, listener_arns: Sequence[str], target_group_arns: Sequence[str]) -> Mark:
        counters = await self._proxy.counters([group_name(arn) for arn in target_group_arns], latency=True)
        return self._mark(counters, listener_arns, target_group_arns, counters.position)

    async def since(self, marks: Sequence[Mark]) -> list[tuple[dict[str, Flow], Mark]]:
        """One question for all of them: Envoy's statistics are long."""
        names = {group_name(arn) for mark in marks for arn in mark["groups"]}
        counters = await self._proxy.counters(names, latency=True)
        logs: dict[tuple[int, ...], Failures] = {}
        answers = []
        for mark in marks:
            position = tuple(mark["position"])
            if position not in logs:
                logs[position] = await self._proxy.failures_since(mark["position"])
            failures = logs[position]
            now = self._mark(counters, mark["listeners"], list(mark["groups"]), failures.position)
            answers.append((_flows(mark, counters, failures), now))
        return answers

    def _mark(
        self, counters: Counters, listener_arns: Sequence[str], group_arns: Sequence[str], position: Sequence[int]
    ) -> Mark:
        return {
            "at": self._clock.now(),
            "listeners": list(listener_arns),
            "epoch": counters.epoch,
            "position": list(position),
            "groups": {arn: _kept(counters.groups[group_name(arn)]) for arn in group_arns},
        }

    def address_of(self, region: str, listener_arn: str) -> str | None:
        listener = self._records.listener(region, listener_arn)
        bound = self._proxy.bound(listener["Port"])
        if bound.error is not None:
            return None
        balancer = self._records.balancer(region, listener["LoadBalancerArn"])
        is_default = self._mirror.is_default(listener_arn)
        host = "127.0.0.1" if is_default else f"{balancer['LoadBalancerName']}.elb.localhost"
        return f"{listener['Protocol'].lower()}://{host}:{bound.port}"

    async def connections(self, region: str, listener_arn: str) -> int | None:
        port = self._own_port(region, listener_arn)
        return None if port is None else await self._proxy.connections(port)

    async def goodbyes(self, region: str, listener_arn: str) -> int | None:
        port = self._own_port(region, listener_arn)
        return None if port is None else await self._proxy.goodbyes(port)

    async def announce(self, region: str, listener_arn: str, cause: str, share: float) -> None:
        self._goodbyes.say(region, listener_arn, cause, share)

    def _own_port(self, region: str, listener_arn: str) -> int | None:
        """The port of a listener; None if others share it, because Envoy counts by port."""
        port: int = self._records.listener(region, listener_arn)["Port"]
        sharing = [document for _, document in self._records.listeners.everywhere() if document["Port"] == port]
        return port if len(sharing) == 1 else None

    async def first_answer_at(self, region: str, target_group_arn: str, after: float, within_s: float) -> float | None:
        rise = self._rises.last_of(target_group_arn)
        if rise is not None and rise.at >= after - 1:
            # The watch began with the commit of the weights; whoever asks may come later.
            try:
                async with asyncio.timeout(within_s):
                    answered_at = await asyncio.shield(rise.first_answer)
            except TimeoutError:
                return None
            return answered_at
        if (kept := self._kept_answer(target_group_arn, after)) is not None:
            return kept
        if after < self._started_at:
            return None  # the engine was not there to see it
        return await self._rises.first_answer(target_group_arn, within_s)

    def _kept_answer(self, group_arn: str, after: float) -> float | None:
        rows = self._records.store.all(
            "SELECT first_answers FROM elbv2_weights WHERE at >= ? AND instr(first_answers, ?) ORDER BY id",
            (after - 1, group_arn),
        )
        return float(read(rows[0]["first_answers"])[group_arn]) if rows else None

    async def prove_drained(self, region: str, target_group_arn: str) -> Drained:
        name = group_name(target_group_arn)
        weight, ports = self._weight(region, target_group_arn)
        silent = [error for port in sorted(ports) if (error := self._proxy.bound(port).error)]
        is_accepted, version = (False, "none") if silent else await self._proxy.in_force(ports)
        first = (await self._proxy.counters([name])).groups[name]
        begun = asyncio.get_running_loop().time()
        await self._proxy.pause(SAMPLES_APART_S)
        second = (await self._proxy.counters([name])).groups[name]
        apart_ms = (asyncio.get_running_loop().time() - begun) * 1000
        moved = second.sent - first.sent
        in_flight = max(first.in_flight, second.in_flight)
        problem = ""
        if weight:
            problem = f"it has weight {weight}"
        elif not is_accepted:
            problem = silent[0] if silent else f"version {version} of the weights is not accepted yet"
        elif moved:
            problem = f"{moved} requests in {apart_ms:.0f} ms"
        elif in_flight:
            problem = f"{in_flight} request{'' if in_flight == 1 else 's'} in flight"
        reason = problem or f"no request in {apart_ms:.0f} ms, 0 in flight, version {version} accepted"
        is_quiet = is_accepted and not weight and not moved
        return Drained(not problem, is_accepted, reason, moved, second.in_flight, version, is_quiet)

    def _weight(self, region: str, group_arn: str) -> tuple[int, set[int]]:
        """The weight that rules give a group, and the ports of their listeners; of every listener if there is none."""
        rows = self._records.store.all("SELECT * FROM elbv2_forwards WHERE target_group_arn = ?", (group_arn,))
        arns = {row["listener_arn"] for row in rows}
        listeners = self._records.listeners.list(region)
        ports = {doc["Port"] for doc in listeners if not arns or doc["ListenerArn"] in arns}
        return sum(row["weight"] for row in rows), ports

    def interruptions_since(self, at: float) -> list[dict[str, Any]]:
        return self._interruptions.since(at)

    def weights_since(self, region: str, listener_arn: str, at: float) -> list[dict[str, Any]]:
        rows = self._records.store.all(
            "SELECT * FROM elbv2_weights WHERE region = ? AND listener_arn = ? AND at >= ? ORDER BY id",
            (region, listener_arn, at),
        )
        return [
            {
                "at": row["at"],
                "weights": read(row["weights"]),
                "rule": row["rule_arn"],
                "first_answers": read(row["first_answers"]),
            }
            for row in rows
        ]


def is_stray(failure: Failure, listener_arns: Sequence[str]) -> bool:
    """Whether a request failed without reaching for a group, on these listeners or before it was known which."""
    return not failure.group and failure.listener_arn in (*listener_arns, "")


def _kept(counters: GroupCounters) -> dict[str, Any]:
    return {"completed": counters.completed, "errors": counters.errors, "latency": [list(b) for b in counters.latency]}


def _flows(mark: Mark, counters: Counters, failures: Failures) -> dict[str, Flow]:
    is_same_life = counters.epoch == mark["epoch"]
    is_whole = failures.is_whole and is_same_life
    flows = {}
    for arn, kept in mark["groups"].items():
        was = kept if is_same_life else _kept(GroupCounters())
        now = counters.groups[group_name(arn)]
        failed = [failure for failure in failures.items if failure.group == group_name(arn)]
        made_here = sum(failure.is_among_errors for failure in failed)
        flows[arn] = Flow(
            requests=now.completed - was["completed"],
            failed=len(failed),
            errors=now.errors - was["errors"] - made_here,
            latency=difference(was["latency"], now.latency),
            in_flight=now.in_flight,
            is_whole=is_whole,
        )
    if mark["listeners"]:
        stray = [failure for failure in failures.items if is_stray(failure, mark["listeners"])]
        flows[""] = Flow(len(stray), len(stray), 0, is_whole=is_whole)
    return flows


def difference(was: Latency, now: Latency) -> list[tuple[float, int]]:
    """The histogram of what came between two. Pure."""
    before = {float(ms): int(count) for ms, count in was}
    return [(ms, int(count - before.get(ms, 0))) for ms, count in now if count > before.get(ms, 0)]

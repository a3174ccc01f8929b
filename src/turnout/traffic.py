"""What a balancer can say about the traffic of a colour: the words in which rooms read it. Pure.

The load balancer room answers `Traffic`; CodeDeploy and ECS are handed it by the wiring.
A *mark* is a JSON document that its reader keeps (it survives a restart of the engine), and hands back to be told
what happened since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Mark = dict[str, Any]

Latency = Sequence[Sequence[float]]
"""A histogram: (milliseconds, count), by rising milliseconds."""

LONG_CONNECTIONS_TAG = "turnout:long-connections"
"""The tag of a listener that says what becomes of connections on the colour that a deployment leaves."""
LONG_CONNECTIONS = ("cut", "leave", "announce")
"""cut (without the tag): nothing before the deregistration delay; what is in flight then ends with the tasks (AWS too).
leave: the tasks are kept until the last connection has been closed, however long that takes.
announce: as cut, and clients are told to open other connections, some after the others while the delay passes."""


@dataclass(frozen=True)
class Flow:
    """The requests of one target group over a span of time."""

    requests: int
    """Answered or failed; those still in flight are not counted."""
    failed: int
    """Got no complete answer, or one that the balancer made (502, 503, 504)."""
    errors: int
    """The application's own 5xx, counted apart. Below 0 where a failure was logged just after the span that it fell
    into: then the sum over both spans is right."""
    latency: Latency = ()
    in_flight: int = 0
    """At the end of the span."""
    is_whole: bool = True
    """False: Envoy was started again meanwhile, or a log is gone; these are only those that are known."""

    @property
    def p50_ms(self) -> float | None:
        return percentile(self.latency, 50)

    @property
    def p99_ms(self) -> float | None:
        return percentile(self.latency, 99)


def joined(flows: Iterable[Flow]) -> Flow:
    """The flow of several groups, or of spans that follow each other (then `in_flight` is for the caller to know)."""
    found = list(flows)
    counts: dict[float, int] = {}
    for flow in found:
        for milliseconds, count in flow.latency:
            counts[milliseconds] = counts.get(milliseconds, 0) + int(count)
    return Flow(
        requests=sum(flow.requests for flow in found),
        failed=sum(flow.failed for flow in found),
        errors=sum(flow.errors for flow in found),
        latency=sorted(counts.items()),
        in_flight=sum(flow.in_flight for flow in found),
        is_whole=all(flow.is_whole for flow in found),
    )


def percentile(latency: Latency, percent: float) -> float | None:
    """The milliseconds below which so many percent lie; None of nothing."""
    total = sum(count for _, count in latency)
    seen = 0.0
    for milliseconds, count in latency:
        seen += count
        if seen >= total * percent / 100:
            return milliseconds
    return None


@dataclass(frozen=True)
class Drained:
    """Two samples of Envoy's counters of a target group, and whether nothing moved and nothing was in flight."""

    is_proven: bool
    is_in_force: bool
    """Whether the balancer has taken on the weights of now: if not, the group may still get everything."""
    reason: str
    """For people: "no request in 260 ms, 0 in flight, version 12 accepted" or "3 requests in flight"."""
    requests: int
    in_flight: int
    weights_version: str
    is_quiet: bool = False
    """Nothing new arrives: the weights of now are in force, without this group. What is in flight goes on."""


class Traffic(Protocol):
    """The load balancer as a deployment sees it. All times are unix seconds."""

    async def mark(self, region: str, listener_arns: Sequence[str], target_group_arns: Sequence[str]) -> Mark:
        """The counters of now."""

    async def since(self, marks: Sequence[Mark]) -> list[tuple[dict[str, Flow], Mark]]:
        """For each mark: what its target groups carried since, and the mark of now. Under "" is what no group was
        reached for on its listeners (a 503 with all weights zero, a connection that failed before it was routed)."""

    def address_of(self, region: str, listener_arn: str) -> str | None:
        """http://host:port at which this machine reaches the listener; None while it does not answer."""

    async def connections(self, region: str, listener_arn: str) -> int | None:
        """How many client connections the listener holds; None where that cannot be told."""

    async def goodbyes(self, region: str, listener_arn: str) -> int | None:
        """How many connections of the listener were ended with a goodbye, ever; None where that cannot be told."""

    async def announce(self, region: str, listener_arn: str, cause: str, share: float) -> None:
        """Say goodbye on this share (0 to 1) of the connections that are open: Connection: close in the next answer
        (HTTP/1.1), GOAWAY beside it (HTTP/2). Nothing in flight is cut. The same cause tells each connection once."""

    async def first_answer_at(self, region: str, target_group_arn: str, after: float, within_s: float) -> float | None:
        """When the first request after `after` was answered by the group; None if none was within `within_s`."""

    async def prove_drained(self, region: str, target_group_arn: str) -> Drained:
        """Look twice, at least 250 ms apart: is the new version of the weights in force, and the group quiet?"""

    def interruptions_since(self, at: float) -> list[dict[str, Any]]:
        """The times without a balancer that were over after `at`: {"endedAt": … or None, "servesAgainAt": …, "why": …,
        "connections", "inFlight", "lookedAt": what was under way at the last look before, "newConnections": "waited" or
        "refused"}, oldest first."""

    def weights_since(self, region: str, listener_arn: str, at: float) -> list[dict[str, Any]]:
        """Every change of a listener's weights: {"at": …, "weights": {target group ARN: weight}}, oldest first."""

"""The seam to whatever carries the traffic, and what it tells back. What it is told is a `Picture`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from turnout.loadbalancer.picture import Picture


@dataclass(frozen=True)
class Health:
    """What active checks say of one endpoint, in AWS's words: state, and the reason and description if not healthy."""

    group: str
    address: str
    state: Literal["initial", "healthy", "unhealthy"]
    reason: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Bound:
    """Where a listener's port answers. `error` says why it does not, for people."""

    port: int
    error: str | None = None


@dataclass(frozen=True)
class Interruption:
    """The proxy ended without having been asked to, and serves again."""

    lasted_s: float | None
    """From its end to the first connection served; None if it had ended before anybody looked."""
    why: str
    """For people: "Envoy, pid 4711, was ended by SIGKILL"."""
    connections: int | None = None
    """Client connections at the last look before: those were cut."""
    in_flight: int | None = None
    """Requests under way at that look: those were lost."""
    looked_s: float | None = None
    """How long before its end that look was."""
    is_queue_kept: bool = False
    """New connections waited for the next proxy; otherwise they were refused meanwhile."""


@dataclass(frozen=True)
class GroupCounters:
    """Since the proxy started. `latency` is (milliseconds, count) by rising milliseconds, if it was asked for."""

    sent: int = 0
    completed: int = 0
    in_flight: int = 0
    errors: int = 0
    """Answers with a 5xx, also those that the proxy made."""
    latency: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Counters:
    """`epoch` names this life of the proxy: counters of different epochs do not compare."""

    epoch: str
    groups: Mapping[str, GroupCounters]
    position: list[int]
    """The end of the log of failed requests: hand it to `failures_since`."""


@dataclass(frozen=True)
class GroupMeter:
    """What a group has carried since the proxy started, by the class of the answers; and connections to its targets."""

    completed: int = 0
    answers: tuple[int, int, int, int] = (0, 0, 0, 0)
    """With 2xx, 3xx, 4xx, 5xx; also those that the proxy made."""
    connections: int = 0
    open_connections: int = 0


@dataclass(frozen=True)
class PortMeter:
    """Connections of clients to a port of the API since the proxy started, and those that are open."""

    connections: int = 0
    open_connections: int = 0


@dataclass(frozen=True)
class Meters:
    """Everything that the proxy counts, at one glance. `epoch`, `position`: as of `Counters`."""

    epoch: str
    groups: Mapping[str, GroupMeter]
    ports: Mapping[int, PortMeter]
    position: list[int]


@dataclass(frozen=True)
class Failure:
    """A request that got no complete answer, or one that the balancer made."""

    listener_arn: str
    """ "" when it failed before it was routed."""
    group: str
    """ "" when no target group was chosen."""
    code: int
    flags: str
    is_made_here: bool
    """The status is the balancer's own, not the application's."""

    @property
    def is_among_errors(self) -> bool:
        """Whether the proxy counts it among the 5xx of the group: it does not a 504 for silence (SI)."""
        return self.is_made_here and self.code >= 500 and "SI" not in self.flags.split(",")


@dataclass(frozen=True)
class Failures:
    items: tuple[Failure, ...]
    is_whole: bool
    """False: a part of the log is gone."""
    position: list[int]
    """Behind the last of them."""


class Proxy(Protocol):
    """Envoy, or a fake."""

    def listen(self, heard: Callable[[Sequence[Health]], None]) -> None:
        """Call `heard` with what the checks found whenever some of it may be new. Outside of any transaction."""

    @property
    def trouble(self) -> str | None:
        """Why the proxy cannot be told what has changed, for people. It goes on as it was, and is told later."""

    def on_interruption(self, act: Callable[[Interruption], None]) -> None:
        """Call `act` whenever the proxy has come back. Outside of any transaction."""

    def apply(self, picture: Picture) -> None:
        """Make the picture true, soon and without losing a request. Quick; may be called before `start`."""

    async def start(self) -> None:
        """Bring the proxy up, or find the one that is running."""

    async def close(self) -> None:
        """Let go: the traffic goes on."""

    async def stop(self) -> None:
        """End the proxy itself."""

    async def is_reachable(self, host: str, port: int, within_s: float) -> bool:
        """Whether somebody accepts connections there, now or within so many seconds."""

    def bound(self, port: int) -> Bound:
        """Where the port of a listener answers on this machine."""

    def taken(self, port: int) -> str | None:
        """Why a listener on this port could not answer, for people; None if it can, or does."""

    async def in_force(self, ports: Collection[int]) -> tuple[bool, str]:
        """Whether the routes of these ports, as last applied, have been accepted; and their version."""

    async def counters(self, groups: Collection[str], *, latency: bool = False) -> Counters:
        """What the groups have carried."""

    async def meters(self) -> Meters:
        """What every group and every port has carried."""

    async def connections(self, port: int) -> int | None:
        """How many client connections a port of the API holds; None where that is not counted."""

    async def goodbyes(self, port: int) -> int | None:
        """How many connections of a port were ended with a goodbye; None where that is not counted."""

    async def completed(self, group: str) -> int:
        """How many requests a group has answered: asked often, while a first answer is expected."""

    async def pause(self, seconds: float) -> None:
        """Let time pass between two samples."""

    async def failures_since(self, position: list[int]) -> Failures:
        """The failed requests that were logged behind a position."""

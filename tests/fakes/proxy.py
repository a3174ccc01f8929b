"""A proxy that carries no traffic: targets are healthy unless told otherwise, and a group with weight answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from turnout.loadbalancer.picture import Picture, group_name
from turnout.loadbalancer.proxy import (
    Bound,
    Counters,
    Failure,
    Failures,
    GroupCounters,
    GroupMeter,
    Health,
    Interruption,
    Meters,
    PortMeter,
)


class FakeProxy:
    """`picture` is what it was told last. `health`, `counted`, `failed`, `errors`, `refusing` are a test's."""

    def __init__(self) -> None:
        self.picture = Picture()
        self.is_running = False
        self.trouble: str | None = None
        self.epoch = "1"
        self.health: dict[str, tuple[str, str | None, str | None]] = {}
        """Address or group name → (state, reason, description) of a target that is not healthy."""
        self.counted: dict[str, GroupCounters] = {}
        self.metered: dict[str, GroupMeter] = {}
        self.ports: dict[int, PortMeter] = {}
        self.failed: list[Failure] = []
        self.errors: dict[int, str] = {}
        """Port → why it cannot be bound."""
        self.refusing: set[int] = set()
        """Ports of targets that accept no connections yet."""
        self.interrupt: Callable[[Interruption], None] = lambda interruption: None
        """Have it told that the proxy has come back."""
        self._heard: Callable[[Sequence[Health]], None] = lambda health: None

    def listen(self, heard: Callable[[Sequence[Health]], None]) -> None:
        self._heard = heard

    def on_interruption(self, act: Callable[[Interruption], None]) -> None:
        self.interrupt = act

    def apply(self, picture: Picture) -> None:
        self.picture = picture
        if self.is_running:
            self.check()

    def check(self) -> None:
        """Tell what the checks would find now."""
        found = []
        for group, endpoints in self.picture.endpoints.items():
            if self.picture.groups[group].check is not None:
                for e in endpoints:
                    said = self.health.get(e.address) or self.health.get(group) or ("healthy", None, None)
                    found.append(Health(group, e.address, *said))  # type: ignore[arg-type]
        self._heard(found)

    def weights(self, port: int) -> dict[str, int]:
        """Group → weight of the default rule of the first listener on a port."""
        forward = self.picture.ports[port][0].rules[-1].actions[-1]["ForwardConfig"]
        return {group_name(group["TargetGroupArn"]): group["Weight"] for group in forward["TargetGroups"]}

    async def start(self) -> None:
        self.is_running = True
        self.check()

    async def close(self) -> None:
        self.is_running = False

    async def stop(self) -> None:
        self.is_running = False

    async def is_reachable(self, host: str, port: int, within_s: float) -> bool:
        return port not in self.refusing

    def bound(self, port: int) -> Bound:
        return Bound(18000 + port if port < 1024 else port, self.errors.get(port))

    def taken(self, port: int) -> str | None:
        return self.errors.get(port)

    async def in_force(self, ports: Collection[int]) -> tuple[bool, str]:
        return not any(port in self.errors for port in ports), "fake"

    async def counters(self, groups: Collection[str], *, latency: bool = False) -> Counters:
        counted = {group: self.counted.get(group, GroupCounters()) for group in groups}
        return Counters(self.epoch, counted, [0, len(self.failed)])

    async def meters(self) -> Meters:
        return Meters(self.epoch, dict(self.metered), dict(self.ports), [0, len(self.failed)])

    async def connections(self, port: int) -> int | None:
        return 0

    async def goodbyes(self, port: int) -> int | None:
        return sum(sum(site.marks) for site in self.picture.ports.get(port, ()))

    async def completed(self, group: str) -> int:
        """A group that somebody's weights lead to, and that has a target, has always just answered once more."""
        counted = self.counted.get(group, GroupCounters())
        has_weight = any(self.weights(port).get(group) for port in self.picture.ports if self.is_forwarding(port))
        if has_weight and self.picture.endpoints.get(group):
            counted = replace(counted, sent=counted.sent + 1, completed=counted.completed + 1)
            self.counted[group] = counted
        return counted.completed

    def is_forwarding(self, port: int) -> bool:
        return self.picture.ports[port][0].rules[-1].actions[-1]["Type"] == "forward"

    async def pause(self, seconds: float) -> None:
        return None

    async def failures_since(self, position: list[int]) -> Failures:
        return Failures(tuple(self.failed[position[1] :]), True, [0, len(self.failed)])

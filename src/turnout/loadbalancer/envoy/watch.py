"""What Envoy's active checks find: its log of check events is the doorbell, its list of endpoints the truth."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.loadbalancer.envoy.admin import Admin, HostHealth
from turnout.loadbalancer.envoy.wire import EnvoySilent
from turnout.loadbalancer.picture import Group
from turnout.loadbalancer.proxy import Health

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
"""Between two looks at the size of the log: cheap."""
REST = 4.0
RECONCILE_EVERY_S = 15.0
"""Between two questions about every endpoint, whatever the log says."""
LONGEST_LOG_BYTES = 4 << 20


@dataclass
class Failing:
    """The failed checks of an endpoint in a row, and how the last one failed."""

    count: int = 0
    kind: str = "NETWORK"
    code: int = 0


class Watch:
    """Tells `heard` the health of the endpoints of every cluster about which the log has something new."""

    def __init__(self, admin: Admin, path: Path, groups: Callable[[], Mapping[str, Group]]) -> None:
        self._admin = admin
        self._path = path
        self._groups = groups
        self._failing: dict[tuple[str, str], Failing] = {}
        self._asked: set[str] = set()
        self._checked: set[str] = set()
        """Clusters that Envoy is known to check: until then it calls every endpoint of theirs healthy."""
        self._paused: set[str] = set()
        self._healthy: set[tuple[str, str]] = set()
        self._offset = 0
        """From the beginning: the failures in a row are counted again after a restart."""
        self.heard: Callable[[Sequence[Health]], None] = lambda health: None

    def ask(self, groups: Collection[str]) -> None:
        """Look at these soon: their endpoints have changed, or whether they are checked."""
        self._asked.update(groups)
        wanted = self._groups()
        self._checked -= {name for name in groups if name not in wanted or wanted[name].check is None}

    def is_healthy(self, group: str, address: str) -> bool:
        """Whether the checks last found it healthy."""
        return (group, address) in self._healthy

    def pause(self, groups: Collection[str]) -> None:
        """Envoy does not check these for the moment."""
        self._paused = set(groups)
        self._checked -= self._paused

    def begin_anew(self) -> None:
        """Another Envoy has been started: nothing is known of it."""
        self._checked.clear()
        self._failing.clear()
        self.ask(self._groups().keys())

    def forget(self, group: str, addresses: Collection[str]) -> None:
        """Endpoints are gone: should they come back, their failures are counted from the start."""
        for address in addresses:
            self._failing.pop((group, address), None)
            self._healthy.discard((group, address))

    async def run_forever(self) -> None:
        """Look until cancelled. A silent Envoy is waited for."""
        loop = asyncio.get_running_loop()
        reconcile_at = 0.0
        while True:
            begun = loop.time()
            try:
                changed = self.read_log()
                if loop.time() >= reconcile_at:
                    changed = {name for name, group in self._groups().items() if group.check is not None}
                    reconcile_at = loop.time() + RECONCILE_EVERY_S
                changed |= self._asked
                if changed:
                    self._asked = set()
                    try:
                        await self.tell(changed)
                    except EnvoySilent:
                        self._asked |= changed
                await self._rotate()
            except Exception:
                log.exception("the watch over the health checks stumbled; it goes on")
            # With hundreds of groups a question takes Envoy a while: it has other things to do.
            await asyncio.sleep(max(LOOK_EVERY_S, REST * (loop.time() - begun)))

    async def tell(self, names: Collection[str]) -> None:
        """Ask Envoy about some groups, and tell what it says."""
        groups = self._groups()
        self._asked |= self._paused & set(names)
        checked = {
            name: group
            for name in set(names) - self._paused
            if (group := groups.get(name)) is not None and group.check is not None
        }
        if unknown := checked.keys() - self._checked:
            self._checked |= await self._admin.checked(unknown)
            for name in unknown - self._checked:
                # Envoy takes the checks over when the first of every endpoint has ended.
                del checked[name]
                self._asked.add(name)
        if checked:
            hosts = await self._admin.health(checked)
            self._tell([health_of(host, self._failing.get((host.group, host.address)), checked) for host in hosts])

    def _tell(self, healths: Sequence[Health]) -> None:
        for health in healths:
            key = (health.group, health.address)
            (self._healthy.add if health.state == "healthy" else self._healthy.discard)(key)
        self.heard(healths)

    def read_log(self) -> set[str]:
        """Take in what was logged since the last look. Returns the clusters concerned."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._offset:
            self._offset = 0
        if size == self._offset:
            return set()
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(LONGEST_LOG_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        changed = set()
        for line in whole.splitlines():
            with suppress(ValueError, KeyError):
                changed.add(self._note(json.loads(line)))
        return changed

    def _note(self, event: dict[str, Any]) -> str:
        group: str = event["cluster_name"]
        address = event["host"]["socket_address"]
        key = (group, f"{address['address']}:{address['port_value']}")
        if (failure := event.get("health_check_failure_event")) is not None:
            failing = self._failing.setdefault(key, Failing())
            failing.count += 1
            failing.kind = failure.get("failure_type", "ACTIVE")
            failing.code = failure.get("http_status_code", 0)
        elif "add_healthy_event" in event:
            self._failing.pop(key, None)
        return group

    async def _rotate(self) -> None:
        if self._offset > LONGEST_LOG_BYTES:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
            self._path.touch()
            self._offset = 0
            with suppress(EnvoySilent):
                await self._admin.reopen_logs()


def health_of(host: HostHealth, failing: Failing | None, groups: Mapping[str, Group]) -> Health:
    """An endpoint's health in AWS's words. Pure.

    Envoy holds a new endpoint failing from the start; on ELB it is `initial` until its checks have succeeded once, or
    failed as often as the unhealthy threshold.
    """
    if not host.is_failing:
        return Health(host.group, host.address, "healthy")
    check = groups[host.group].check
    assert check is not None
    if failing is None or failing.count < check.unhealthy_threshold:
        return Health(
            host.group, host.address, "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
        )
    reason, description = _why(failing)
    return Health(host.group, host.address, "unhealthy", reason, description)


def _why(failing: Failing) -> tuple[str, str]:
    if failing.kind == "NETWORK_TIMEOUT":
        return "Target.Timeout", "Request timed out"
    if failing.kind == "ACTIVE" and failing.code:
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{failing.code}]"
    return "Target.FailedHealthChecks", "Health checks failed"

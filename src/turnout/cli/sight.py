"""A deployment as it looks at one moment, as values and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.cli.view import SHIFTING, UNDER_WAY


@dataclass(frozen=True)
class Carried:
    """What a colour has carried since the deployment began. `failed` is None where only AWS's metrics are known."""

    requests: int
    errors: int
    failed: int | None = None


@dataclass(frozen=True)
class Colour:
    """One side of a deployment. `weight` is its percentage of the production traffic."""

    name: str
    target_group: str
    weight: float
    running: int
    desired: int
    health: Mapping[str, int]
    """Targets by state: {"healthy": 2, "draining": 1}."""
    carried: Carried | None = None


@dataclass(frozen=True)
class Event:
    name: str
    status: str
    said: str | None = None


@dataclass(frozen=True)
class Sight:
    deployment: str
    status: str
    creator: str
    config: str
    events: tuple[Event, ...]
    colours: tuple[Colour, ...]
    """Blue, which served when it began, then green, which it brings; as far as there are task sets."""
    is_blue_kept: bool
    """Whether all traffic has moved, and blue is only kept for a while."""
    error: str | None
    rollback: str | None
    """The deployment that rolls this one back."""
    rolls_back: str | None
    """The deployment that this one rolls back."""
    told: str | None = None
    """What the engine says that it waits for; None on AWS."""
    asks: str | None = None
    """What `turnout promote` can end: READY_WAIT, TERMINATION_WAIT (CodeDeploy's words), or the id of a PAUSE hook."""

    @property
    def is_over(self) -> bool:
        return self.status not in UNDER_WAY | SHIFTING

    @property
    def is_ready(self) -> bool:
        """Whether it goes on only when somebody says so."""
        return self.asks is not None and not self.is_blue_kept

    @property
    def is_going_back(self) -> bool:
        return self.rolls_back is not None or self.status.startswith("ROLLBACK")

    @property
    def event(self) -> Event | None:
        """The lifecycle event in progress."""
        return next((event for event in self.events if event.status == "InProgress"), None)

    @property
    def waits(self) -> str | None:
        """Why it is not further yet: in the engine's own words, else in those that AWS's answers allow."""
        if self.is_over:
            return None
        if self.is_ready:
            return "green is ready; `turnout promote` goes on"
        if self.is_blue_kept and self.event is None:
            return self.told or "green has all of the traffic; blue is kept for a while" + (
                " (`turnout promote --now` ends that)" if self.asks else ""
            )
        return self.told or _words(self)


def _words(sight: Sight) -> str | None:
    event = sight.event
    green = next((colour for colour in sight.colours if colour.name == "green"), None)
    if event is None:
        return None
    if event.name == "Install" and green is not None:
        healthy = green.health.get("healthy", 0)
        return f"Install: {green.running} of {green.desired} tasks running, {healthy} targets healthy"
    if event.name == "AllowTraffic" and green is not None:
        return f"AllowTraffic: {green.weight:g} % of the traffic goes to green"
    if event.name == "SCALE_UP" and green is not None:
        return f"SCALE_UP: {green.running} of {green.desired} tasks running, {green.health.get('healthy', 0)} healthy"
    if event.name == "PRODUCTION_TRAFFIC_SHIFT" and green is not None:
        return f"PRODUCTION_TRAFFIC_SHIFT: {green.weight:g} % of the traffic goes to green"
    if event.name in ("AllowTestTraffic", "Install") or event.name.isupper():
        return event.name
    return f"{event.name}: its hook has not answered yet"


def sight_of(
    info: Mapping[str, Any],
    target: Mapping[str, Any],
    health: Mapping[str, Mapping[str, int]],
    carried: Mapping[str, Carried],
    told: str | None = None,
) -> Sight:
    """From GetDeployment's deploymentInfo and GetDeploymentTarget's ecsTarget; `health` by target group's name, and
    `carried` by colour."""
    rollback = info.get("rollbackInfo", {})
    error = info.get("errorInformation")
    colours = []
    for found in target.get("taskSetsInfo", []):
        name, group = found.get("taskSetLabel", "").lower(), found.get("targetGroup", {}).get("name", "")
        colours.append(
            Colour(
                name=name,
                target_group=group,
                weight=found.get("trafficWeight", 0.0),
                running=found.get("runningCount", 0),
                desired=found.get("desiredCount", 0),
                health=health.get(group, {}),
                carried=carried.get(name),
            )
        )
    is_blue_kept = info["status"] in UNDER_WAY and info.get("instanceTerminationWaitTimeStarted", False)
    return Sight(
        deployment=info["deploymentId"],
        status=info["status"],
        creator=info.get("creator", "user"),
        config=info.get("deploymentConfigName", ""),
        events=tuple(
            Event(event["lifecycleEventName"], event["status"], event.get("diagnostics", {}).get("message"))
            for event in target.get("lifecycleEvents", [])
        ),
        colours=tuple(sorted(colours, key=lambda colour: colour.name)),
        is_blue_kept=is_blue_kept,
        error=f"{error['code']}: {error['message']}" if error else None,
        rollback=rollback.get("rollbackDeploymentId"),
        rolls_back=rollback.get("rollbackTriggeringDeploymentId"),
        told=told,
        asks="READY_WAIT" if info["status"] == "Ready" else "TERMINATION_WAIT" if is_blue_kept else None,
    )


def plain(sight: Sight) -> str:
    """One line that changes when something of importance does: for output that is not a terminal."""
    parts = [f"{sight.deployment} {sight.status}"]
    if sight.colours:
        parts.append(", ".join(f"{colour.name} {colour.weight:g} %" for colour in sight.colours))
    if waits := sight.waits or (sight.error or "").partition("\n")[0]:
        parts.append(waits)
    return " | ".join(parts)

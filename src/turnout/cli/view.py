"""What is serving and what is under way, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from turnout.cli.releases import Release

UNDER_WAY = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})
"""Statuses of CodeDeploy's deployments that are not over; SHIFTING are those of ECS's service deployments."""
SHIFTING = frozenset({"PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})


@dataclass(frozen=True)
class Side:
    """A target group that a service may be reached through. `weight` is its share at the production listener."""

    target_group: str
    weight: int
    health: Mapping[str, int]
    """Targets by state: {"healthy": 2, "draining": 1}."""
    task_set: str | None
    """PRIMARY, ACTIVE or DRAINING; None when no task set uses the group."""


@dataclass(frozen=True)
class Service:
    cluster: str
    name: str
    desired: int
    running: int
    task_definition: str
    """family:revision of what is serving."""
    image: str
    deployment: str | None
    """The deployment that put it there; None for what the service was created with."""
    sides: tuple[Side, ...]
    addresses: tuple[str, ...]
    last_deployment: Mapping[str, Any] | None
    """deploymentId, status, creator, and `waits_for` or `error` of the newest deployment."""
    revision: str | None = None
    """The same as ECS calls it, and with it a pipeline's ECS action: ecs-svc/…."""
    left: tuple[str, ...] = ()
    """Task sets of a deployment that was stopped, and left as they were."""

    @property
    def key(self) -> str:
        return f"{self.cluster}/{self.name}"

    @property
    def is_live(self) -> bool:
        """Whether what was deployed last is what serves."""
        is_done = self.last_deployment is None or self.last_deployment["status"] in ("Succeeded", "SUCCESSFUL")
        return is_done and not self.is_rolled_back and self.fault is None

    @property
    def fault(self) -> str | None:
        """Why the traffic does not reach the primary task set, as when an apply has put the listener back; None if it
        does. During a shift part of the traffic goes elsewhere on purpose.
        """
        led_to = [side for side in self.sides if side.weight]
        astray = [side.target_group for side in led_to if side.task_set != "PRIMARY"]
        if astray:
            return (
                f"the production listener leads to {' and '.join(astray)}, where the primary task set is not{self._way}"
            )
        if self.left and not self.is_busy:
            return f"{' and '.join(self.left)} still has tasks, beside what serves{self._way}"
        sick = [side.target_group for side in led_to if not side.health.get("healthy")]
        if sick:
            return f"no target of {' and '.join(sick)} is healthy"
        return "no task is running" if self.desired and not self.running else None

    @property
    def _way(self) -> str:
        """The verb that finishes it, where there is one."""
        return "" if self.last_deployment is None or self.is_busy else ": `turnout rollback` finishes it"

    @property
    def is_busy(self) -> bool:
        return (self.last_deployment or {}).get("status") in UNDER_WAY | SHIFTING

    @property
    def is_rolled_back(self) -> bool:
        """Whether the newest deployment undid the one before, or was undone."""
        last = self.last_deployment or {}
        return last.get("creator") == "codeDeployRollback" or str(last.get("status")).startswith("ROLLBACK")


@dataclass(frozen=True)
class Pipeline:
    name: str
    latest: Release | None
    serving: Release | None
    """The release whose deployment made what is serving; None before the first."""
    service: str | None

    @property
    def is_live(self) -> bool:
        """Whether the latest release is the one that serves."""
        return self.latest is not None and self.serving is not None and self.latest.id == self.serving.id


@dataclass(frozen=True)
class View:
    services: tuple[Service, ...]
    pipelines: tuple[Pipeline, ...]
    troubles: tuple[str, ...] = ()
    """What this machine lacks, and what has lately ended by itself: sentences."""
    runtime: str | None = None
    """What runs the containers on this machine, and why; None on AWS."""

    def of(self, name: str) -> View:
        """Only the services and pipelines of this name, and what belongs to them: a service's pipelines, and a
        pipeline's service. Empty if there are none."""
        services = {s.key for s in self.services if name in (s.name, s.key)}
        services |= {p.service for p in self.pipelines if p.name == name and p.service}
        return View(
            tuple(service for service in self.services if service.key in services),
            tuple(p for p in self.pipelines if p.name == name or p.service in services),
            runtime=self.runtime,
        )

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way."""
        busy = any(service.is_busy for service in self.services)
        return not busy and all(p.latest is None or p.latest.is_over for p in self.pipelines)

    def serves(self, commit: str) -> bool:
        """Whether a commit (its id, or the beginning of it) is what serves, and its release has ended."""
        faults = {service.key: service.fault for service in self.services}
        return any(
            release is not None and (release.commit or "").startswith(commit) and release.is_over
            for release in (p.serving for p in self.pipelines if faults.get(p.service or "") is None)
        )

    @property
    def is_live(self) -> bool:
        """Whether everything that was released last is what serves; not when there is nothing at all."""
        is_served = bool(self.services) and all(service.is_live for service in self.services)
        return is_served and all(pipeline.is_live for pipeline in self.pipelines)

    @property
    def document(self) -> dict[str, Any]:
        """For programs: `turnout status --json`."""
        pipelines = [_wire(pipeline) | {"isLive": pipeline.is_live} for pipeline in self.pipelines]
        rest = {
            "pipelines": pipelines,
            "troubles": list(self.troubles),
            "isAtRest": self.is_at_rest,
            "isLive": self.is_live,
            "runtime": self.runtime,
        }
        return {"services": [_wire(service) for service in self.services], **rest}


def _wire(value: Any) -> Any:
    """In JSON's words, with names as AWS and the receipts have them: task_definition is taskDefinition."""
    if is_dataclass(value):
        return {_camel(field.name): _wire(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_camel(str(name)): _wire(part) for name, part in value.items()}
    return [_wire(part) for part in value] if isinstance(value, tuple | list) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

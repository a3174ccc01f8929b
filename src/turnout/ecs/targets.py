"""The targets of a task: where it answers, and how the load balancer sees it.

`TargetHealth` documents have state, reason and description, as DescribeTargetHealth tells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.aws import Aws
from turnout.errors import AwsError

HealthSeen = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A target of one group: `id` is the instance, or under awsvpc the address of the task."""

    group_arn: str
    id: str
    port: int

    @property
    def wire(self) -> dict[str, Any]:
        return {"Id": self.id, "Port": self.port}


def targets_for(
    balancers: Sequence[Mapping[str, Any]], containers: Mapping[str, Mapping[str, Any]], mode: str, instance_id: str
) -> list[Target]:
    """The target of each load balancer of a task, with the host port that was allocated. Pure."""
    found = []
    for balancer in balancers:
        known = containers.get(balancer["containerName"], {})
        for inside, outside, _ in known.get("ports", ()):
            if inside == balancer["containerPort"]:
                where = known.get("host", "127.0.0.1") if mode == "awsvpc" else instance_id
                found.append(Target(balancer["targetGroupArn"], where, outside))
    return found


def is_healthy(groups: Sequence[str], health: Mapping[str, HealthSeen]) -> bool:
    """Whether the load balancer has nothing against a task. A group behind no listener checks nobody. Pure.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html
    """
    return all(_is_fine(health.get(group, {})) for group in groups)


def is_failing(groups: Sequence[str], health: Mapping[str, HealthSeen]) -> bool:
    """Whether a target fails its health checks. Pure."""
    return any(health.get(group, {}).get("state") == "unhealthy" for group in groups)


def _is_fine(seen: HealthSeen) -> bool:
    state, reason = seen.get("state"), seen.get("reason")
    return (
        state == "healthy"
        or (state == "unused" and reason == "Target.NotInUse")
        or (state == "unavailable" and reason == "Target.HealthCheckDisabled")
    )


def health_topic(region: str, group_arn: str) -> str:
    """Woken by the load balancer when the state of any target of the group changes."""
    return f"elbv2.health/{region}/{group_arn}"


class Targets:
    """What the room asks of Elastic Load Balancing."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def register(self, region: str, target: Target) -> None:
        await self._aws.call("elbv2", "RegisterTargets", region, TargetGroupArn=target.group_arn, Targets=[target.wire])

    async def deregister(self, region: str, target: Target) -> bool:
        """False if the group is gone, and the target with it."""
        return await self._answered("DeregisterTargets", region, TargetGroupArn=target.group_arn, Targets=[target.wire])

    async def is_drained(self, region: str, target: Target) -> bool:
        """Whether no request is on its way to a deregistered target any longer."""
        health = await self.health(region, target.group_arn, [target.wire])
        return all(seen["state"] in ("unused",) for seen in health.values())

    async def health(
        self, region: str, group_arn: str, only: list[dict[str, Any]] | None = None
    ) -> dict[tuple[str, int], HealthSeen]:
        """The health of the targets of a group by id and port; nothing if the group is gone."""
        narrowed: dict[str, Any] = {} if only is None else {"Targets": only}
        try:
            answer = await self._aws.call("elbv2", "DescribeTargetHealth", region, TargetGroupArn=group_arn, **narrowed)
        except AwsError as error:
            if error.code in ("TargetGroupNotFound", "InvalidTarget"):
                return {}
            raise
        return {
            (one["Target"]["Id"], one["Target"]["Port"]): {
                "state": one["TargetHealth"]["State"],
                "reason": one["TargetHealth"].get("Reason"),
                "description": one["TargetHealth"].get("Description"),
            }
            for one in answer["TargetHealthDescriptions"]
        }

    async def _answered(self, operation: str, region: str, **params: Any) -> bool:
        try:
            await self._aws.call("elbv2", operation, region, **params)
        except AwsError as error:
            if error.code in ("TargetGroupNotFound", "InvalidTarget"):
                return False
            raise
        return True

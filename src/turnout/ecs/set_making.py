"""Making a task set, or a deployment: what CreateService, CreateTaskSet and UpdateService share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.definitions import TaskDefinitions
from turnout.ecs.images import resolve
from turnout.ecs.scheduler import ensure_scheduler
from turnout.ecs.service_rows import Service, TaskSet
from turnout.ecs.service_rules import check_target_type
from turnout.errors import AwsError, Hindered, StepFailed
from turnout.names import arn, new_digits
from turnout.store import Transaction

INHERITED = (
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "platformFamily",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
)


class SetMaking(TaskDefinitions):
    async def pins_for(self, region: str, definition: Mapping[str, Any]) -> dict[str, str]:
        """Every container's image by digest, as far as there is one now: the rest is pinned by the first task.

        A tag that moves later moves nothing: going back to this task set is really going back.
        """
        pins = {}
        for container in definition["containerDefinitions"]:
            try:
                pins[container["name"]] = await resolve(self, container["image"], region)
            except (StepFailed, Hindered):
                # AWS accepts the task set, and its tasks tell why they do not start.
                continue
        return pins

    async def check_groups(
        self,
        region: str,
        balancers: Sequence[Mapping[str, Any]],
        definition: Mapping[str, Any],
        *,
        must_be_in_use: bool,
    ) -> None:
        """The target groups exist, fit the network mode, and (for CreateService) are behind a listener."""
        for balancer in balancers:
            group_arn = balancer["targetGroupArn"]
            try:
                answer = await self.aws.call("elbv2", "DescribeTargetGroups", region, TargetGroupArns=[group_arn])
            except AwsError as error:
                if error.code != "TargetGroupNotFound":
                    raise
                raise AwsError("InvalidParameterException", f"The target group {group_arn} does not exist.") from error
            (group,) = answer["TargetGroups"]
            check_target_type(group_arn, group.get("TargetType", "instance"), definition)
            if must_be_in_use and not group.get("LoadBalancerArns"):
                raise AwsError(
                    "InvalidParameterException",
                    f"The target group with targetGroupArn {group_arn} does not have an associated load balancer.",
                )

    def add_set(
        self,
        tx: Transaction,
        service: Service,
        definition: Mapping[str, Any],
        asked: Mapping[str, Any],
        status: str,
        pins: dict[str, str],
        *,
        scale: float = 100.0,
        external_id: str | None = None,
        cause: str | None = None,
    ) -> TaskSet:
        """A new task set of a service, and the scheduler that keeps it."""
        number = new_digits(19)
        body: dict[str, Any] = {member: asked[member] for member in INHERITED if asked.get(member)}
        body.setdefault("loadBalancers", [])
        body.setdefault("serviceRegistries", [])
        if service.controller == "CODE_DEPLOY":
            body["startedBy"] = "CODE_DEPLOY"
        if external_id is not None:
            body["externalId"] = external_id
        if service.is_rolling:
            reason = f"ECS deployment ecs-svc/{number} in progress."
            body |= {"rolloutState": "IN_PROGRESS", "rolloutStateReason": reason}
        now = self.clock.now()
        one = TaskSet(
            id=f"ecs-svc/{number}",
            region=service.region,
            cluster=service.cluster,
            service=service.name,
            arn=arn("ecs", service.region, f"task-set/{service.cluster}/{service.name}/ecs-svc/{number}"),
            status=status,
            task_definition=definition["taskDefinitionArn"],
            scale=scale,
            pins=pins,
            body=body,
            computed=0,
            running=0,
            pending=0,
            is_stable=False,
            stable_at=now,
            created_at=now,
            updated_at=now,
            failures=0,
            failed_wave_at=None,
            retry_at=None,
            failed_tasks=0,
            failed_in_a_row=0,
            run_id=None,
        )
        self.sets.insert(tx, one, cause)
        ensure_scheduler(self, tx, one)
        return self.sets.get(one.id)

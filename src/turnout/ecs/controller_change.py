"""UpdateService with another deploymentController: a service goes from CodeDeploy to ECS itself, and back.

The tasks that serve are touched by neither: their task set becomes the deployment that ECS shifts away from, or the
primary task set of CodeDeploy again. To ECS, the change of load balancers that comes with it is a deployment at once,
which moves all of the traffic in one step and asks no hook.
https://aws.amazon.com/blogs/containers/migrating-from-aws-codedeploy-to-amazon-ecs-for-blue-green-deployments
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turnout.ecs.definition_rows import parsed
from turnout.ecs.deployment_rules import SHIFTING_MEMBERS
from turnout.ecs.deployment_starting import open_runs
from turnout.ecs.revisions import Revisions
from turnout.ecs.room import Room, unsupported
from turnout.ecs.service_rows import Service, TaskSet
from turnout.errors import AwsError
from turnout.store import Transaction

CHANGES = frozenset({("CODE_DEPLOY", "ECS"), ("ECS", "CODE_DEPLOY")})
ECS_ONLY = (*SHIFTING_MEMBERS, "deploymentCircuitBreaker", "alarms", "earlySuccessCriteria")
"""Members of a deployment configuration that mean nothing to CodeDeploy."""
ROLLOUT = ("rolloutState", "rolloutStateReason")
"""What a deployment of ECS has, and a task set has not."""


def controller_asked(asked: Mapping[str, Any], service: Service) -> str:
    return str((asked.get("deploymentController") or {}).get("type") or service.controller)


def under_controller(room: Room, service: Service, controller: str) -> Service:
    """The service as it is when its controller is another. Raises unless it is at rest."""
    if (service.controller, controller) not in CHANGES:
        raise unsupported(f"changing the deployment controller of a service from {service.controller} to {controller}")
    sets = room.sets.of_service(service)
    if len(sets) != 1 or open_runs(room, service):
        raise AwsError(
            "InvalidParameterException",
            "The deployment controller of a service cannot be changed while a deployment is in progress, or more than"
            f" one task set has tasks. There are {len(sets)}.",
        )
    body = {**service.body, "deploymentController": {"type": controller}}
    if controller == "CODE_DEPLOY":
        (one,) = sets
        balancers = one.body["loadBalancers"]
        if len(balancers) != 1:
            raise AwsError(
                "InvalidParameterException",
                "A service with a CODE_DEPLOY deployment controller must have exactly one load balancer target group.",
            )
        former = body["deploymentConfiguration"]
        kept = {member: value for member, value in former.items() if member not in ECS_ONLY}
        body |= {"loadBalancers": balancers, "deploymentConfiguration": kept, "taskDefinition": one.task_definition}
    return replace(service, body=body)


def hand_over(room: Room, tx: Transaction, service: Service) -> None:
    """Make the task set that serves one of the controller that the service has now."""
    for one in room.sets.of_service(service):
        if service.controller == "CODE_DEPLOY":
            body = {member: value for member, value in one.body.items() if member not in ROLLOUT}
            _write(room, tx, one, {**body, "startedBy": "CODE_DEPLOY"})
            continue
        reason = f"ECS deployment {one.id} completed."
        _write(room, tx, one, {**one.body, **dict(zip(ROLLOUT, ("COMPLETED", reason), strict=True))})
        definition = room.definitions.find(service.region, *parsed(one.task_definition))
        if definition is not None:
            # What a rollback of the first deployment goes back to has to be known as a revision.
            Revisions(room.store).keep(tx, service, one, one.body, definition)


def _write(room: Room, tx: Transaction, one: TaskSet, body: dict[str, Any]) -> None:
    room.sets.update(tx, one.id, body=body, updated_at=room.clock.now())


def at_once(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the deployment that comes with the change: no increments, no hooks; the bake is kept."""
    kept = {member: value for member, value in configuration.items() if member not in SHIFTING_MEMBERS}
    return {**kept, "strategy": "BLUE_GREEN", "bakeTimeInMinutes": configuration.get("bakeTimeInMinutes", 0)}

"""UpdateService, and UpdateServicePrimaryTaskSet: what becomes of a service that exists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.controller_change import at_once, controller_asked, hand_over, under_controller
from turnout.ecs.deploying import Deploying
from turnout.ecs.deployment_rules import check_advanced, strategy_of
from turnout.ecs.deployment_starting import source_of
from turnout.ecs.service_description import describe_service, describe_task_set
from turnout.ecs.service_rows import Service
from turnout.ecs.service_rules import (
    check_balancers,
    check_launch_type,
    check_network,
    check_options,
    check_update,
    deployment_configuration,
    desired_count,
    launch_type_of,
)
from turnout.ecs.set_making import INHERITED
from turnout.errors import AwsError

RECORDED = (
    "placementConstraints",
    "placementStrategy",
    "healthCheckGracePeriodSeconds",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
    "availabilityZoneRebalancing",
)
REDEPLOYS = (
    "taskDefinition",
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "capacityProviderStrategy",
    "enableExecuteCommand",
)
"""Under the ECS controller, a change of one of these is a new deployment."""


class ServiceUpdates(Deploying):
    async def update_service(self, call: Call) -> Answer:
        service, is_handed_over = self.service_of(call), False
        if (controller := controller_asked(call.input, service)) != service.controller:
            service, is_handed_over = under_controller(self, service, controller), True
        check_update(call.input, service.controller)
        former = service.body["deploymentConfiguration"]
        check_options(call.input, service.controller)
        body = {**service.body, **{m: call[m] for m in RECORDED if call.get(m) is not None}}
        if "deploymentConfiguration" in call.input:
            body["deploymentConfiguration"] = deployment_configuration(call["deploymentConfiguration"], former)
        definition, pins = None, {}
        if service.is_rolling and self._redeploys(call, service):
            body |= {m: call[m] for m in INHERITED if call.get(m) is not None}
            definition = await self._next_definition(call, service, body)
            pins = await self.pins_for(call.region, definition)
            body["taskDefinition"] = definition["taskDefinitionArn"]
        if service.is_rolling:
            self._check_strategies(service, body)
        with self.store.transaction() as tx:
            current = self.service_of(call)
            desired = desired_count(call.input, current.desired)
            updated = replace(current, body=body, desired=desired, is_steady=False)
            self.services.put(tx, updated)
            if is_handed_over:
                under_controller(self, current, controller)  # it may have begun to deploy meanwhile
                hand_over(self, tx, updated)
            if definition is not None:
                immediately = at_once(body["deploymentConfiguration"]) if is_handed_over else None
                made = self.deploy(tx, updated, definition, body, pins, immediately)
                detail = {
                    "eventType": "INFO",
                    "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
                    "deploymentId": made.id,
                    "updatedAt": made.created_at,
                    "reason": made.body["rolloutStateReason"],
                }
                self.announce(tx, call.region, "ECS Deployment State Change", (updated.arn,), detail)
            self.wake_service(tx, updated)
        return {"service": describe_service(self, updated, has_tags=True)}

    def _check_strategies(self, service: Service, body: dict[str, Any]) -> None:
        """Load balancers that fit the strategy; and a strategy changes only between deployments."""
        strategy, former = (
            strategy_of(body["deploymentConfiguration"]),
            strategy_of(service.body["deploymentConfiguration"]),
        )
        check_advanced(body["loadBalancers"], strategy)
        if strategy == former:
            return
        if len(self.sets.of_service(service)) > 1:
            raise AwsError(
                "InvalidParameterException",
                f"The deployment strategy cannot be changed from {former} to {strategy} while a deployment is in"
                " progress. Wait until the service is stable.",
            )
        source = source_of(self, service)
        live = source.target_groups if source else []
        asked = [balancer["targetGroupArn"] for balancer in body["loadBalancers"]]
        if strategy == "ROLLING" and asked != live:
            raise AwsError(
                "InvalidParameterException",
                f"A rolling update keeps the target groups that serve now: set targetGroupArn to {', '.join(live)}.",
            )

    def _redeploys(self, call: Call, service: Service) -> bool:
        if call.get("forceNewDeployment"):
            return True
        changed = {member: call[member] for member in REDEPLOYS if call.get(member) is not None}
        if "taskDefinition" in changed:
            changed["taskDefinition"] = self.usable_definition(call.region, changed["taskDefinition"])[
                "taskDefinitionArn"
            ]
        return any(service.body.get(member) != value for member, value in changed.items())

    async def _next_definition(self, call: Call, service: Service, body: dict[str, Any]) -> dict[str, Any]:
        if call.get("taskDefinition"):
            definition = self.usable_definition(call.region, call["taskDefinition"])
        else:
            found = self.find_definition(call.region, service.body["taskDefinition"])
            if found is None:
                raise AwsError("ClientException", "TaskDefinition not found.")
            definition = found
        if call.get("capacityProviderStrategy"):
            body.pop("launchType", None)
        check_launch_type(launch_type_of(body), definition)
        check_network(body, definition)
        check_balancers(body["loadBalancers"], definition)
        strategy = strategy_of(body["deploymentConfiguration"])
        check_advanced(body["loadBalancers"], strategy)
        await self.check_groups(call.region, body["loadBalancers"], definition, must_be_in_use=True)
        if strategy != "ROLLING":
            await self.check_shifting(call.region, body["loadBalancers"], definition)
        return definition

    def update_service_primary_task_set(self, call: Call) -> Answer:
        """The service takes over what the task set was created with; the former primary is ACTIVE."""
        service = self.service_of(call)
        one = self.task_set_of(service, call["primaryTaskSet"])
        if service.is_rolling:
            raise AwsError(
                "InvalidParameterException",
                "The service does not have an EXTERNAL or CODE_DEPLOY deployment controller.",
            )
        if one.status == "DRAINING":
            raise AwsError("InvalidParameterException", "A task set that is DRAINING cannot become PRIMARY.")
        now = self.clock.now()
        body = {m: v for m, v in service.body.items() if m not in INHERITED}
        body |= {m: one.body[m] for m in INHERITED if m in one.body}
        body["taskDefinition"] = one.task_definition
        with self.store.transaction() as tx:
            for other in self.sets.of_service(service):
                if other.status == "PRIMARY" and other.id != one.id:
                    self.sets.update(tx, other.id, status="ACTIVE", updated_at=now)
            if one.status != "PRIMARY":
                self.sets.update(tx, one.id, status="PRIMARY", updated_at=now)
            self.services.put(tx, replace(service, body=body))
            self.wake_service(tx, service)
        return {"taskSet": describe_task_set(self, self.sets.get(one.id))}

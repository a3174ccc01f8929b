"""Services: create, describe, list, delete. Updates: `service_updates.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.deploying import Deploying
from turnout.ecs.deployment_rules import check_advanced, strategy_of
from turnout.ecs.deployment_starting import DELETED, open_runs
from turnout.ecs.machines import look_for_instance
from turnout.ecs.pages import page
from turnout.ecs.room import short_name
from turnout.ecs.scheduler import retire_if_empty
from turnout.ecs.service_description import describe_service
from turnout.ecs.service_rows import Service
from turnout.ecs.service_rules import (
    check_balancers,
    check_launch_type,
    check_network,
    check_options,
    deployment_configuration,
    desired_count,
    launch_type_of,
)
from turnout.errors import AwsError
from turnout.names import arn

MOST_DESCRIBED = 10
SERVICE_LINKED_ROLE = "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
RECORDED = (
    "placementConstraints",
    "placementStrategy",
    "availabilityZoneRebalancing",
    "networkConfiguration",
    "capacityProviderStrategy",
    "platformVersion",
)


class Services(Deploying):
    async def create_service(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        name = call["serviceName"]
        controller = call.get("deploymentController", {}).get("type", "ECS")
        strategy = strategy_of(call.get("deploymentConfiguration", {}))
        check_options(call.input, controller)
        token = call.get("clientToken") or (call.cause and f"{call.cause}/CreateService")
        if (former := self.services.find(call.region, cluster, name)) and former.status != "INACTIVE":
            if token is not None and former.token == token:
                return {"service": describe_service(self, former, has_tags=True)}
            raise AwsError("InvalidParameterException", "Creation of service was not idempotent.")
        body = self._service_body(call, cluster, controller)
        definition = None
        if controller == "EXTERNAL":
            _check_external(call)
        else:
            definition = await self._checked_definition(call, controller, strategy)
            body["taskDefinition"] = definition["taskDefinitionArn"]
        pins = {} if definition is None else await self.pins_for(call.region, definition)
        if body["loadBalancers"] and launch_type_of(call.input) == "EC2":
            await look_for_instance(self, call.region, cluster)
        service = Service(
            call.region,
            cluster,
            name,
            "ACTIVE",
            desired_count(call.input, 0 if controller == "EXTERNAL" else 1),
            is_steady=False,
            token=token,
            created_at=self.clock.now(),
            body=body,
        )
        with self.store.transaction() as tx:
            former = self.services.find(call.region, cluster, name)
            if former is not None and former.status != "INACTIVE":
                raise AwsError("InvalidParameterException", "Creation of service was not idempotent.")
            if former is not None:
                self.services.forget_events(tx, former)
            self.services.put(tx, service)
            self.put_tags(tx, call.region, service.arn, call.get("tags", []))
            if definition is not None and service.is_rolling:
                self.deploy(tx, service, definition, body, pins)
            elif definition is not None:
                self.add_set(tx, service, definition, body, "PRIMARY", pins)
        return {"service": describe_service(self, service, has_tags=True)}

    async def _checked_definition(self, call: Call, controller: str, strategy: str) -> dict[str, Any]:
        if not call.get("taskDefinition"):
            raise AwsError("InvalidParameterException", "TaskDefinition can not be blank.")
        definition = self.usable_definition(call.region, call["taskDefinition"])
        check_launch_type(launch_type_of(call.input), definition)
        check_network(call.input, definition)
        balancers = call.get("loadBalancers", [])
        if controller == "CODE_DEPLOY" and len(balancers) != 1:
            raise AwsError(
                "InvalidParameterException",
                "A service with a CODE_DEPLOY deployment controller must have exactly one load balancer target group.",
            )
        check_balancers(balancers, definition)
        check_advanced(balancers, strategy)
        await self.check_groups(call.region, balancers, definition, must_be_in_use=True)
        if strategy != "ROLLING":
            await self.check_shifting(call.region, balancers, definition)
        return definition

    def _service_body(self, call: Call, cluster: str, controller: str) -> dict[str, Any]:
        balancers = call.get("loadBalancers", [])
        launch_type = launch_type_of(call.input)
        body: dict[str, Any] = {
            "clusterArn": arn("ecs", call.region, f"cluster/{cluster}"),
            "loadBalancers": balancers,
            "serviceRegistries": [],
            "deploymentConfiguration": deployment_configuration(call.get("deploymentConfiguration", {})),
            "placementConstraints": [],
            "placementStrategy": [],
            "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": controller},
            "createdBy": call.principal,
            "enableECSManagedTags": call.get("enableECSManagedTags", False),
            "propagateTags": call.get("propagateTags", "NONE"),
            "enableExecuteCommand": call.get("enableExecuteCommand", False),
            **{member: call[member] for member in RECORDED if call.get(member)},
        }
        if not call.get("capacityProviderStrategy"):
            body["launchType"] = launch_type
        if launch_type == "FARGATE":
            body["platformVersion"] = call.get("platformVersion", "LATEST")
            body["platformFamily"] = "Linux"
        grace_s = call.get("healthCheckGracePeriodSeconds")
        if balancers:
            body["roleArn"] = call.get("role") or arn("iam", "", SERVICE_LINKED_ROLE)
            body["healthCheckGracePeriodSeconds"] = grace_s or 0
        elif grace_s is not None:
            body["healthCheckGracePeriodSeconds"] = grace_s
        return body

    def describe_services(self, call: Call) -> Answer:
        wanted = call["services"]
        if not wanted:
            raise AwsError("InvalidParameterException", "Services cannot be empty.")
        if len(wanted) > MOST_DESCRIBED:
            raise AwsError("InvalidParameterException", f"Services cannot be greater than {MOST_DESCRIBED}.")
        cluster = self.cluster_of(call)
        has_tags = "TAGS" in call.get("include", ())
        found, failures = [], []
        for text in wanted:
            service = self.services.find(call.region, cluster, short_name(text))
            if service is None:
                missing = arn("ecs", call.region, f"service/{cluster}/{short_name(text)}")
                failures.append({"arn": missing, "reason": "MISSING"})
            else:
                found.append(describe_service(self, service, has_tags=has_tags))
        return {"services": found, "failures": failures}

    def list_services(self, call: Call) -> Answer:
        cluster = self.cluster_of(call)
        launch_type, strategy = call.get("launchType"), call.get("schedulingStrategy", "REPLICA")
        arns = [
            service.arn
            for service in self.services.of_cluster(call.region, cluster)
            if service.status == "ACTIVE"
            and launch_type in (None, service.body.get("launchType"))
            and strategy == service.body["schedulingStrategy"]
        ]
        return page(call, "serviceArns", arns, default=10)

    def delete_service(self, call: Call) -> Answer:
        """ACTIVE → DRAINING while tasks stop → INACTIVE, which DescribeServices goes on telling."""
        service = self.service_of(call)
        sets = self.sets.of_service(service)
        if not call.get("force"):
            if service.desired > 0 and service.controller != "EXTERNAL":
                raise AwsError("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
            if sets and service.controller == "EXTERNAL":
                raise AwsError("InvalidParameterException", "The service cannot be stopped while it has task sets.")
        service = replace(service, status="DRAINING", desired=0, is_steady=False)
        with self.store.transaction() as tx:
            self.services.put(tx, service)
            for run in open_runs(self, service):
                self.runs.request_stop(tx, run.id, code=DELETED, message="The service was deleted.")
            for one in sets:
                if not service.is_rolling or service.shifts:
                    self.sets.update(tx, one.id, status="DRAINING", updated_at=self.clock.now())
            self.wake_service(tx, service)
            retire_if_empty(self, tx, service)
            self.put_tags(tx, call.region, service.arn, [])
        return {
            "service": describe_service(self, self.services.find(call.region, service.cluster, service.name) or service)
        }


def _check_external(call: Call) -> None:
    for member in ("taskDefinition", "loadBalancers", "networkConfiguration", "platformVersion"):
        if call.get(member):
            raise AwsError(
                "InvalidParameterException",
                f"{member} cannot be specified for a service with an EXTERNAL deployment controller:"
                " give it to CreateTaskSet.",
            )

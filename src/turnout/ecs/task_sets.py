"""Task sets: create, describe, scale, delete. CodeDeploy drives them, or the user of an EXTERNAL controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.room import unsupported
from turnout.ecs.scheduling import computed_desired_count
from turnout.ecs.service_description import describe_task_set
from turnout.ecs.service_rows import Service
from turnout.ecs.service_rules import check_balancers, check_launch_type, check_network, launch_type_of
from turnout.ecs.set_making import SetMaking
from turnout.errors import AwsError
from turnout.names import arn

MOST_SETS = 5
"""Of one service. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""


class TaskSets(SetMaking):
    async def create_task_set(self, call: Call) -> Answer:
        service = self._taking_sets(call)
        token = call.get("clientToken")
        cause = f"{call.cause}/CreateTaskSet" if call.cause else token and f"token:{service.arn}/{token}"
        if known := self.sets.of_cause(cause):
            return {"taskSet": describe_task_set(self, known, has_tags=True)}
        if call.get("serviceRegistries"):
            raise unsupported("serviceRegistries")
        # What drains is given up already. It may take the whole deregistration delay, and must not hold up a release.
        if sum(one.status != "DRAINING" for one in self.sets.of_service(service)) >= MOST_SETS:
            raise AwsError("LimitExceededException", f"The service already has {MOST_SETS} task sets.")
        definition = self.usable_definition(call.region, call["taskDefinition"])
        asked = self._asked(call, service)
        check_launch_type(launch_type_of(asked), definition)
        check_network(asked, definition)
        check_balancers(asked["loadBalancers"], definition)
        await self.check_groups(call.region, asked["loadBalancers"], definition, must_be_in_use=False)
        pins = await self.pins_for(call.region, definition)
        with self.store.transaction() as tx:
            if known := self.sets.of_cause(cause):
                return {"taskSet": describe_task_set(self, known, has_tags=True)}
            made = self.add_set(
                tx,
                self.service_of(call),
                definition,
                asked,
                "ACTIVE",
                pins,
                scale=_percent(call.get("scale", {})),
                external_id=call.get("externalId"),
                cause=cause,
            )
            self.put_tags(tx, call.region, made.arn, call.get("tags", []))
        return {"taskSet": describe_task_set(self, made, has_tags=True)}

    def _asked(self, call: Call, service: Service) -> dict[str, Any]:
        """What the new set is to be; what CodeDeploy leaves out is as in the current service."""
        asked: dict[str, Any] = dict(call.input)
        if service.controller == "CODE_DEPLOY":
            if "launchType" not in asked and "capacityProviderStrategy" not in asked:
                for member in ("launchType", "capacityProviderStrategy"):
                    if service.body.get(member):
                        asked[member] = service.body[member]
            for member in ("networkConfiguration", "platformVersion"):
                if member not in asked and service.body.get(member):
                    asked[member] = service.body[member]
        asked.setdefault("loadBalancers", [])
        for balancer in asked["loadBalancers"]:
            if balancer.get("loadBalancerName") or balancer.get("advancedConfiguration"):
                raise unsupported("a load balancer without a target group of its own in CreateTaskSet")
        launch_type = launch_type_of(asked)
        if "capacityProviderStrategy" not in asked:
            asked["launchType"] = launch_type
        if launch_type == "FARGATE":
            asked |= {"platformVersion": asked.get("platformVersion", "LATEST"), "platformFamily": "Linux"}
        return asked

    def describe_task_sets(self, call: Call) -> Answer:
        service = self.service_of(call)
        sets = self.sets.of_service(service) if not service.is_rolling else []
        has_tags = "TAGS" in call.get("include", ())
        wanted = call.get("taskSets")
        if not wanted:
            return {"taskSets": [describe_task_set(self, one, has_tags=has_tags) for one in sets], "failures": []}
        found, failures = [], []
        for text in wanted:
            one = next((one for one in sets if text in (one.arn, one.id, one.id.split("/")[1])), None)
            if one is None:
                named = arn("ecs", call.region, f"task-set/{service.cluster}/{service.name}/{text}")
                failures.append({"arn": text if text.startswith("arn:") else named, "reason": "MISSING"})
            else:
                found.append(describe_task_set(self, one, has_tags=has_tags))
        return {"taskSets": found, "failures": failures}

    def update_task_set(self, call: Call) -> Answer:
        """Changes the scale only."""
        service = self._taking_sets(call)
        one = self.task_set_of(service, call["taskSet"])
        if one.status == "DRAINING":
            raise AwsError("InvalidParameterException", "A task set that is DRAINING cannot be scaled.")
        with self.store.transaction() as tx:
            self.sets.update(tx, one.id, scale=_percent(call["scale"]), is_stable=0, updated_at=self.clock.now())
            self.wake_set(tx, one.id)
        return {"taskSet": describe_task_set(self, self.sets.get(one.id))}

    def delete_task_set(self, call: Call) -> Answer:
        """The set is DRAINING while its targets deregister and its tasks stop, then it is gone."""
        service = self._taking_sets(call)
        one = self.task_set_of(service, call["taskSet"])
        if not call.get("force") and computed_desired_count(service.desired, one.scale):
            raise AwsError(
                "InvalidParameterException",
                f"The task set {one.id} is scaled to {one.scale:g} percent. Scale it down to zero first, or use force.",
            )
        if one.status != "DRAINING":
            with self.store.transaction() as tx:
                self.sets.update(tx, one.id, status="DRAINING", scale=0.0, updated_at=self.clock.now())
                self.wake_set(tx, one.id)
        return {"taskSet": describe_task_set(self, self.sets.get(one.id))}

    def _taking_sets(self, call: Call) -> Service:
        service = self.service_of(call)
        if service.is_rolling:
            raise AwsError(
                "InvalidParameterException",
                "Task sets need a service with an EXTERNAL or CODE_DEPLOY deployment controller.",
            )
        return service


def _percent(scale: Mapping[str, Any]) -> float:
    """CreateTaskSet's default is not documented: the whole of the desired count."""
    value = float(scale.get("value", 100.0))
    if not 0.0 <= value <= 100.0:
        raise AwsError("InvalidParameterException", "The scale must be between 0 and 100 percent.")
    return value

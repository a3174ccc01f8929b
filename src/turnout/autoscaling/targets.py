"""Scalable targets: which services may be scaled, and between which counts."""

from __future__ import annotations

from turnout.autoscaling.room import DIMENSION, TARGET, Document, Room, is_ours, page, refuse_scheduled_actions
from turnout.autoscaling.rules import check_capacities, check_resource, invalid
from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.names import ACCOUNT, arn, new_uuid
from turnout.runs import StepSpec

ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)
FREE = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
MOST_TAGS = 50


class Targets(Room):
    async def register_scalable_target(self, call: Call) -> Answer:
        """New, or with other limits: what is not given stays."""
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        resource = call["ResourceId"]
        check_resource(resource, call["ScalableDimension"], DIMENSION)
        if await self.service(call.region, resource) is None:
            raise invalid(f"ECS service doesn't exist: {resource}")
        was = self.targets.find(call.region, resource) or {}
        if was and call.get("Tags"):
            raise invalid("Tags are given when a target is registered: use TagResource for one that is there")
        minimum = call.get("MinCapacity", was.get("MinCapacity"))
        maximum = call.get("MaxCapacity", was.get("MaxCapacity"))
        check_capacities(minimum, maximum)
        target: Document = {
            "ServiceNamespace": "ecs",
            "ResourceId": resource,
            "ScalableDimension": DIMENSION,
            "MinCapacity": minimum,
            "MaxCapacity": maximum,
            "RoleARN": call.get("RoleARN") or was.get("RoleARN") or ROLE,
            "CreationTime": was.get("CreationTime", self.clock.now()),
            "SuspendedState": {**FREE, **was.get("SuspendedState", {}), **(call.get("SuspendedState") or {})},
            "ScalableTargetARN": was.get("ScalableTargetARN")
            or arn("application-autoscaling", call.region, f"scalable-target/{new_uuid().replace('-', '')}"),
            "tags": was.get("tags") or call.get("Tags") or {},
        }
        with self.store.transaction() as tx:
            self.targets.put(tx, call.region, resource, target)
            if not self.runs.of_lane(TARGET, call.region, resource, is_open=True):
                spec = {"resource": resource}
                self.runs.insert(tx, TARGET, call.region, new_uuid(), spec, [StepSpec("Scale", 0)], lane=resource)
            self.wake(tx, call.region, resource)
        return {"ScalableTargetARN": target["ScalableTargetARN"]}

    async def deregister_scalable_target(self, call: Call) -> Answer:
        """Its policies go with it, and their alarms."""
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        self.target(call)
        await self.forget(call.region, call["ResourceId"])
        return {}

    async def forget(self, region: str, resource: str) -> None:
        with self.store.transaction() as tx:
            self.targets.delete(tx, region, resource)
            for policy in self.policies_of(region, resource):
                self.policies.delete(tx, region, f"{resource}\t{policy['PolicyName']}")
            self.wake(tx, region, resource)
        await self.ensure_alarms(region, resource, None)

    def describe_scalable_targets(self, call: Call) -> Answer:
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        wanted = call.get("ResourceIds")
        found = [
            {member: value for member, value in target.items() if member != "tags"}
            for target in self.targets.list(call.region)
            if not wanted or target["ResourceId"] in wanted
        ]
        return page(call, "ScalableTargets", found)

    def put_scheduled_action(self, call: Call) -> Answer:
        refuse_scheduled_actions(call)
        return self.others.call("application-autoscaling", call.operation, call.region, call.input)

    # Tags

    def tag_resource(self, call: Call) -> Answer:
        target = self._tagged(call)
        target["tags"] = {**target["tags"], **call["Tags"]}
        if len(target["tags"]) > MOST_TAGS:
            raise AwsError("TooManyTagsException", f"A scalable target has at most {MOST_TAGS} tags")
        return self._put(call, target)

    def untag_resource(self, call: Call) -> Answer:
        target = self._tagged(call)
        target["tags"] = {key: value for key, value in target["tags"].items() if key not in call["TagKeys"]}
        return self._put(call, target)

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"Tags": self._tagged(call)["tags"]}

    def _put(self, call: Call, target: Document) -> Answer:
        with self.store.transaction() as tx:
            self.targets.put(tx, call.region, target["ResourceId"], target)
        return {}

    def _tagged(self, call: Call) -> Document:
        for target in self.targets.list(call.region):
            if target["ScalableTargetARN"] == call["ResourceARN"]:
                return target
        raise AwsError("ResourceNotFoundException", f"There is no scalable target {call['ResourceARN']}")

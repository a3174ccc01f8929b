"""Scaling policies of ECS services, and the alarms that follow from them."""

from __future__ import annotations

from turnout.autoscaling.live import check_route
from turnout.autoscaling.room import DIMENSION, Document, Room, is_ours, named, page
from turnout.autoscaling.rules import check_policy, check_resource
from turnout.autoscaling.tracking import alarm_name
from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.names import arn, new_uuid

CONFIGURATIONS = ("TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration")


class Policies(Room):
    async def put_scaling_policy(self, call: Call) -> Answer:
        """New, or changed: then it keeps its ARN and its alarms."""
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        resource, name = call["ResourceId"], call["PolicyName"]
        check_resource(resource, call["ScalableDimension"], DIMENSION)
        if self.targets.find(call.region, resource) is None:
            raise AwsError("ObjectNotFoundException", f"No scalable target registered for {named(call)}")
        key = f"{resource}\t{name}"
        was = self.policies.find(call.region, key) or {}
        kind = call.get("PolicyType") or was.get("PolicyType", "StepScaling")
        check_policy(call.input, kind)
        await check_route(self.aws, call.region, call.input)
        policy: Document = {
            "PolicyARN": was.get("PolicyARN") or _policy_arn(call.region, resource, name),
            "PolicyName": name,
            "ServiceNamespace": "ecs",
            "ResourceId": resource,
            "ScalableDimension": DIMENSION,
            "PolicyType": kind,
            **{member: call[member] for member in CONFIGURATIONS if call.get(member)},
            "Alarms": [],
            "CreationTime": was.get("CreationTime", self.clock.now()),
        }
        if kind == "TargetTrackingScaling":
            has_low = not call["TargetTrackingScalingPolicyConfiguration"].get("DisableScaleIn")
            policy["Alarms"] = _alarms(call.region, resource, was, ["High", *(["Low"] if has_low else [])])
        with self.store.transaction() as tx:
            self.policies.put(tx, call.region, key, policy)
            self.wake(tx, call.region, resource)
        await self.ensure_alarms(call.region, resource, await self.service(call.region, resource))
        return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}

    async def delete_scaling_policy(self, call: Call) -> Answer:
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        resource, name = call["ResourceId"], call["PolicyName"]
        key = f"{resource}\t{name}"
        if self.policies.find(call.region, key) is None:
            raise AwsError("ObjectNotFoundException", f"No scaling policy found for {named(call, policy=name)}")
        with self.store.transaction() as tx:
            self.policies.delete(tx, call.region, key)
            self.wake(tx, call.region, resource)
        await self.ensure_alarms(call.region, resource, await self.service(call.region, resource))
        return {}

    async def describe_scaling_policies(self, call: Call) -> Answer:
        """A step scaling policy shows the alarms that invoke it."""
        if not is_ours(call):
            return self.others.call("application-autoscaling", call.operation, call.region, call.input)
        names, resource = call.get("PolicyNames"), call.get("ResourceId")
        found = []
        for policy in self.policies.list(call.region, f"{resource}\t" if resource else ""):
            if names and policy["PolicyName"] not in names:
                continue
            if policy["PolicyType"] == "StepScaling":
                invoking = await self.aws.call(
                    "cloudwatch", "DescribeAlarms", call.region, ActionPrefix=policy["PolicyARN"]
                )
                alarms = [
                    {m: alarm[m] for m in ("AlarmName",)} | {"AlarmARN": alarm["AlarmArn"]}
                    for alarm in invoking["MetricAlarms"]
                ]
                policy = {**policy, "Alarms": alarms}
            found.append(policy)
        return page(call, "ScalingPolicies", found)


def _policy_arn(region: str, resource: str, name: str) -> str:
    return arn("autoscaling", region, f"scalingPolicy:{new_uuid()}:resource/ecs/{resource}:policyName/{name}")


def _alarms(region: str, resource: str, was: Document, directions: list[str]) -> list[Document]:
    kept = {alarm["AlarmName"].rpartition("-Alarm")[2].split("-")[0]: alarm for alarm in was.get("Alarms", [])}
    alarms = []
    for direction in directions:
        name = alarm_name(resource, direction, new_uuid())
        made = {"AlarmName": name, "AlarmARN": arn("cloudwatch", region, f"alarm:{name}")}
        alarms.append(kept.get(direction, made))
    return alarms

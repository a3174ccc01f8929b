"""Target groups: who is asked, and how their health is checked."""

from __future__ import annotations

import re

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.attributes import GROUP, changed, described
from turnout.loadbalancer.balancers import check_name
from turnout.loadbalancer.records import Document, page
from turnout.loadbalancer.room import Room
from turnout.loadbalancer.tags import merged
from turnout.names import arn, new_hex

DEFAULTS: Document = {
    # The guide and the CLI say a timeout of 5; the API model says 6 for HTTP. See docs/choices.md.
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckEnabled": True,
    "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 5,
    "UnhealthyThresholdCount": 2,
    "HealthCheckPath": "/",
    "Matcher": {"HttpCode": "200"},
}
_MATCHER = re.compile(r"^[2-4]\d\d(-[2-4]\d\d)?(,[2-4]\d\d(-[2-4]\d\d)?)*$")


class TargetGroups(Room):
    """CreateTargetGroup and what follows from it."""

    async def create_target_group(self, call: Call) -> Answer:
        name, kind = call["Name"], call.get("TargetType", "instance")
        check_name(name, "Target group")
        if "--" in name:
            raise AwsError("ValidationError", f"Target group name '{name}' cannot have two hyphens in a row")
        if kind not in ("instance", "ip"):
            raise AwsError("InvalidConfigurationRequest", f"turnout does not implement targets of type {kind}")
        for member, what in (("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC ID")):
            if not call.get(member):
                raise AwsError("ValidationError", f"A {what} must be specified")
        if call["Protocol"] != "HTTP":
            raise AwsError(
                "InvalidConfigurationRequest",
                f"turnout does not implement target groups of protocol {call['Protocol']}",
            )
        if (call.get("ProtocolVersion") or "HTTP1") != "HTTP1":  # Terraform sends an empty one
            raise AwsError("InvalidConfigurationRequest", "HTTP2 and gRPC need an HTTPS listener, which is yet to come")
        if call.get("IpAddressType", "ipv4") != "ipv4" or call.get("TargetControlPort"):
            raise AwsError("InvalidConfigurationRequest", "turnout does not implement IPv6 targets and control ports")
        group: Document = {
            "TargetGroupArn": arn("elasticloadbalancing", call.region, f"targetgroup/{name}/{new_hex(16)}"),
            "TargetGroupName": name,
            "Protocol": "HTTP",
            "Port": call["Port"],
            "VpcId": call["VpcId"],
            **_checks(call, DEFAULTS),
            "TargetType": kind,
            "ProtocolVersion": "HTTP1",
            "IpAddressType": "ipv4",
        }
        await self._check_vpc(call.region, call["VpcId"])
        with self.store.transaction() as tx:
            same = next((g for g in self.records.groups.list(call.region) if g["TargetGroupName"] == name), None)
            if same is not None:
                if {**same, "TargetGroupArn": ""} != {**group, "TargetGroupArn": ""}:
                    raise AwsError(
                        "DuplicateTargetGroupName",
                        f"A target group with the same name '{name}' exists, but with different settings",
                    )
                return {"TargetGroups": [self._group(same)]}
            self.records.groups.put(tx, call.region, group["TargetGroupArn"], group)
            if tags := merged(group["TargetGroupArn"], {}, call.get("Tags") or []):
                self.records.tags.put(tx, call.region, group["TargetGroupArn"], tags)
            self.tell(tx, groups=(group["TargetGroupArn"],))
        return {"TargetGroups": [self._group(group)]}

    def describe_target_groups(self, call: Call) -> Answer:
        if sum(bool(call.get(member)) for member in ("TargetGroupArns", "LoadBalancerArn", "Names")) > 1:
            raise AwsError(
                "ValidationError",
                "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time",
            )
        if arns := call.get("TargetGroupArns"):
            found = [self.records.group(call.region, one) for one in arns]
        elif balancer_arn := call.get("LoadBalancerArn"):
            self.records.balancer(call.region, balancer_arn)
            found = [self.records.group(call.region, one) for one in self.records.groups_of(call.region, balancer_arn)]
        else:
            found = sorted(self.records.groups.list(call.region), key=lambda group: str(group["TargetGroupName"]))
            if names := call.get("Names"):
                found = [group for group in found if group["TargetGroupName"] in names]
                if len(found) < len(set(names)):
                    raise AwsError("TargetGroupNotFound", "One or more target groups not found")
        return page(call, "TargetGroups", (self._group(group) for group in found))

    def modify_target_group(self, call: Call) -> Answer:
        group = self.records.group(call.region, call["TargetGroupArn"])
        modified = {**group, **_checks(call, group)}
        with self.store.transaction() as tx:
            self.records.groups.put(tx, call.region, group["TargetGroupArn"], modified)
            self.tell(tx, groups=(group["TargetGroupArn"],))
        return {"TargetGroups": [self._group(modified)]}

    def delete_target_group(self, call: Call) -> Answer:
        """Its targets go with it. What is gone already is deleted."""
        group_arn = call["TargetGroupArn"]
        if self.records.groups.find(call.region, group_arn) is None:
            return {}
        if self.records.balancers_of(group_arn):
            raise AwsError("ResourceInUse", f"Target group '{group_arn}' is currently in use by a listener or a rule")
        with self.store.transaction() as tx:
            tx.execute("DELETE FROM elbv2_targets WHERE target_group_arn = ?", (group_arn,))
            for shelf in (self.records.groups, self.records.attributes, self.records.tags):
                shelf.delete(tx, call.region, group_arn)
            self.tell(tx, groups=(group_arn,))
            self.wake(tx, call.region, group_arn)
        return {}

    def describe_target_group_attributes(self, call: Call) -> Answer:
        self.records.group(call.region, call["TargetGroupArn"])
        return {"Attributes": described(GROUP, self.records.attributes.find(call.region, call["TargetGroupArn"]) or {})}

    def modify_target_group_attributes(self, call: Call) -> Answer:
        group_arn = call["TargetGroupArn"]
        self.records.group(call.region, group_arn)
        now = changed(GROUP, self.records.attributes.find(call.region, group_arn) or {}, call["Attributes"])
        if now.get("stickiness.type") == "app_cookie" and not now.get("stickiness.app_cookie.cookie_name"):
            raise AwsError(
                "InvalidConfigurationRequest",
                "You must set an application cookie name to enable stickiness of type 'app_cookie'",
            )
        with self.store.transaction() as tx:
            self.records.attributes.put(tx, call.region, group_arn, now)
            self.tell(tx, groups=(group_arn,))
        return {"Attributes": described(GROUP, now)}

    async def _check_vpc(self, region: str, vpc: str) -> None:
        found = await self.aws.find("ec2", "DescribeVpcs", region, missing="InvalidVpcID.NotFound", VpcIds=[vpc])
        if found is None:
            raise AwsError("ValidationError", f"The VPC ID '{vpc}' is not found")

    def _group(self, group: Document) -> Document:
        return {**group, "LoadBalancerArns": self.records.balancers_of(group["TargetGroupArn"])}


def _checks(call: Call, was: Document) -> Document:
    """The health check's settings: those that are given, else as they were."""
    checks = {member: call.get(member, was[member]) for member in DEFAULTS}
    if checks["HealthCheckProtocol"] != "HTTP":
        raise AwsError("InvalidConfigurationRequest", "turnout checks health over HTTP only")
    if not checks["HealthCheckEnabled"]:
        raise AwsError("InvalidConfigurationRequest", "Health checks must be enabled for instance and ip targets")
    port = checks["HealthCheckPort"]
    if port != "traffic-port" and not (port.isdigit() and 1 <= int(port) <= 65535):
        raise AwsError("ValidationError", f"Health check port '{port}' must be 'traffic-port' or between 1 and 65535")
    if not checks["HealthCheckPath"].startswith("/"):
        raise AwsError(
            "ValidationError", f"Health check path '{checks['HealthCheckPath']}' must begin with a '/' character"
        )
    codes = checks["Matcher"].get("HttpCode")
    if not codes or not _MATCHER.match(codes):
        raise AwsError(
            "ValidationError", "Health check matcher HTTP code must be between 200 and 499, as 200, 200-299 or 200,204"
        )
    if checks["HealthCheckTimeoutSeconds"] >= checks["HealthCheckIntervalSeconds"]:
        raise AwsError(
            "ValidationError",
            f"Health check timeout '{checks['HealthCheckTimeoutSeconds']}' must be smaller than the interval"
            f" '{checks['HealthCheckIntervalSeconds']}'",
        )
    return checks

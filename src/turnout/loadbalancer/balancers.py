"""Load balancers: records, until a listener gives them a port."""

from __future__ import annotations

import re
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.attributes import BALANCER, changed, described
from turnout.loadbalancer.records import Document, page
from turnout.loadbalancer.room import Room
from turnout.loadbalancer.tags import merged
from turnout.names import arn, new_digits, new_hex

ZONE_ID = "Z35SXDOTRQ7X7K"
"""The hosted zone of application load balancers in us-east-1, for alias records."""
SAME = ("LoadBalancerName", "Scheme", "Type", "SecurityGroups", "IpAddressType")
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$")


class Balancers(Room):
    """CreateLoadBalancer and what follows from it."""

    async def create_load_balancer(self, call: Call) -> Answer:
        name, kind = call["Name"], call.get("Type", "application")
        check_name(name, "Load balancer")
        if kind != "application":
            raise AwsError("InvalidConfigurationRequest", f"turnout does not implement {kind} load balancers")
        subnets = self._subnet_ids(call)
        zones, vpc = await self._zones(call.region, subnets)
        groups = await self._security_groups(call.region, vpc, call.get("SecurityGroups") or [])
        scheme = call.get("Scheme", "internet-facing")
        balancer: Document = {
            "LoadBalancerArn": arn("elasticloadbalancing", call.region, f"loadbalancer/app/{name}/{new_hex(16)}"),
            "DNSName": _dns_name(name, scheme, call.region),
            "CanonicalHostedZoneId": ZONE_ID,
            "CreatedTime": self.clock.now(),
            "LoadBalancerName": name,
            "Scheme": scheme,
            "VpcId": vpc,
            "State": {"Code": "active"},
            "Type": kind,
            "AvailabilityZones": zones,
            "SecurityGroups": groups,
            "IpAddressType": call.get("IpAddressType", "ipv4"),
        }
        with self.store.transaction() as tx:
            same = self._balancer_named(call.region, name)
            if same is not None:
                # The operation is idempotent for equal settings.
                if any(same[member] != balancer[member] for member in SAME):
                    raise AwsError(
                        "DuplicateLoadBalancerName",
                        f"A load balancer with the same name '{name}' exists, but with different settings",
                    )
                return {"LoadBalancers": [self._balancer(call.region, same)]}
            self.records.balancers.put(tx, call.region, balancer["LoadBalancerArn"], balancer)
            if tags := merged(balancer["LoadBalancerArn"], {}, call.get("Tags") or []):
                self.records.tags.put(tx, call.region, balancer["LoadBalancerArn"], tags)
        return {"LoadBalancers": [self._balancer(call.region, balancer)]}

    def describe_load_balancers(self, call: Call) -> Answer:
        if arns := call.get("LoadBalancerArns"):
            found = [self.records.balancer(call.region, one) for one in arns]
        else:
            found = sorted(self.records.balancers.list(call.region), key=lambda balancer: balancer["CreatedTime"])
            if names := call.get("Names"):
                if missing := [name for name in names if name not in {b["LoadBalancerName"] for b in found}]:
                    raise AwsError("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
                found = [balancer for balancer in found if balancer["LoadBalancerName"] in names]
        return page(call, "LoadBalancers", (self._balancer(call.region, balancer) for balancer in found))

    def delete_load_balancer(self, call: Call) -> Answer:
        """Its listeners and rules go with it. What is gone already is deleted."""
        balancer_arn = call["LoadBalancerArn"]
        if self.records.balancers.find(call.region, balancer_arn) is None:
            return {}
        if self.attributes_of(call.region, balancer_arn)["deletion_protection.enabled"] == "true":
            raise AwsError(
                "OperationNotPermitted",
                f"Load balancer '{balancer_arn}' cannot be deleted because deletion protection is enabled",
            )
        with self.store.transaction() as tx:
            groups = tuple(self.records.groups_of(call.region, balancer_arn))
            listeners = tuple(doc["ListenerArn"] for doc in self.records.listeners_of(call.region, balancer_arn))
            for listener_arn in listeners:
                self.records.delete_listener(tx, call.region, listener_arn)
            for shelf in (self.records.balancers, self.records.attributes, self.records.tags):
                shelf.delete(tx, call.region, balancer_arn)
            self.tell(tx, listeners=listeners, groups=groups)
            for group in groups:
                self.wake(tx, call.region, group)
        return {}

    def describe_load_balancer_attributes(self, call: Call) -> Answer:
        self.records.balancer(call.region, call["LoadBalancerArn"])
        kept = self.records.attributes.find(call.region, call["LoadBalancerArn"]) or {}
        return {"Attributes": described(BALANCER, kept)}

    def modify_load_balancer_attributes(self, call: Call) -> Answer:
        balancer_arn = call["LoadBalancerArn"]
        self.records.balancer(call.region, balancer_arn)
        kept = self.records.attributes.find(call.region, balancer_arn) or {}
        now = changed(BALANCER, kept, call["Attributes"])
        with self.store.transaction() as tx:
            self.records.attributes.put(tx, call.region, balancer_arn, now)
            listeners = self.records.listeners_of(call.region, balancer_arn)
            self.tell(tx, listeners=tuple(listener["ListenerArn"] for listener in listeners))
        return {"Attributes": described(BALANCER, now)}

    async def set_security_groups(self, call: Call) -> Answer:
        balancer = self.records.balancer(call.region, call["LoadBalancerArn"])
        groups = await self._security_groups(call.region, balancer["VpcId"], call["SecurityGroups"])
        self._put({**balancer, "SecurityGroups": groups}, call.region)
        return {"SecurityGroupIds": groups}

    async def set_subnets(self, call: Call) -> Answer:
        balancer = self.records.balancer(call.region, call["LoadBalancerArn"])
        zones, _ = await self._zones(call.region, self._subnet_ids(call))
        self._put({**balancer, "AvailabilityZones": zones}, call.region)
        return {"AvailabilityZones": zones, "IpAddressType": balancer["IpAddressType"]}

    def set_ip_address_type(self, call: Call) -> Answer:
        balancer = self.records.balancer(call.region, call["LoadBalancerArn"])
        if call["IpAddressType"] != "ipv4":
            raise AwsError("InvalidConfigurationRequest", "turnout's load balancers answer on IPv4 only")
        self._put({**balancer, "IpAddressType": call["IpAddressType"]}, call.region)
        return {"IpAddressType": call["IpAddressType"]}

    def describe_capacity_reservation(self, call: Call) -> Answer:
        """There is none: capacity cannot be reserved here."""
        self.records.balancer(call.region, call["LoadBalancerArn"])
        return {"CapacityReservationState": []}

    def _put(self, balancer: Document, region: str) -> None:
        with self.store.transaction() as tx:
            self.records.balancers.put(tx, region, balancer["LoadBalancerArn"], balancer)

    def _balancer_named(self, region: str, name: str) -> Document | None:
        return next((b for b in self.records.balancers.list(region) if b["LoadBalancerName"] == name), None)

    def _balancer(self, region: str, balancer: Document) -> Document:
        """As it is, impaired if one of its ports does not answer."""
        for listener in self.records.listeners_of(region, balancer["LoadBalancerArn"]):
            if error := self.proxy.bound(listener["Port"]).error:
                return {**balancer, "State": {"Code": "active_impaired", "Reason": error}}
        return balancer

    def _subnet_ids(self, call: Call) -> list[str]:
        mappings = call.get("SubnetMappings") or []
        if any(set(mapping) - {"SubnetId"} for mapping in mappings):
            raise AwsError("InvalidConfigurationRequest", "turnout does not implement addresses in subnet mappings")
        ids: list[str] = call.get("Subnets") or [mapping["SubnetId"] for mapping in mappings]
        if not ids:
            raise AwsError(
                "ValidationError", "At least two subnets in two different Availability Zones must be specified"
            )
        return ids

    async def _zones(self, region: str, ids: list[str]) -> tuple[list[Document], str]:
        """The zones of some subnets, and their VPC."""
        if len(set(ids)) < len(ids):
            raise AwsError("InvalidConfigurationRequest", "A subnet cannot be specified more than once")
        found = await self.aws.find("ec2", "DescribeSubnets", region, missing="InvalidSubnetID.NotFound", SubnetIds=ids)
        subnets: list[dict[str, Any]] = (found or {}).get("Subnets", [])
        if missing := sorted(set(ids) - {subnet["SubnetId"] for subnet in subnets}):
            raise AwsError("SubnetNotFound", f"The subnet ID '{missing[0]}' does not exist")
        zones = [
            {"ZoneName": s["AvailabilityZone"], "SubnetId": s["SubnetId"], "LoadBalancerAddresses": []} for s in subnets
        ]
        if len({zone["ZoneName"] for zone in zones}) < len(zones):
            raise AwsError(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            )
        if len(zones) < 2:
            raise AwsError(
                "ValidationError", "At least two subnets in two different Availability Zones must be specified"
            )
        return sorted(zones, key=lambda zone: str(zone["ZoneName"])), str(subnets[0].get("VpcId", ""))

    async def _security_groups(self, region: str, vpc: str, ids: list[str]) -> list[str]:
        """Those that were asked for, if they exist; else the default one of the VPC."""
        if ids:
            found = await self.aws.find(
                "ec2", "DescribeSecurityGroups", region, missing="InvalidGroup.NotFound", GroupIds=ids
            )
            known = {group["GroupId"] for group in (found or {}).get("SecurityGroups", [])}
            if missing := sorted(set(ids) - known):
                raise AwsError("InvalidSecurityGroup", f"One or more security groups are invalid: {missing[0]}")
            return ids
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
        found = await self.aws.call("ec2", "DescribeSecurityGroups", region, Filters=filters)
        return [group["GroupId"] for group in found.get("SecurityGroups", [])][:1]


def check_name(name: str, what: str) -> None:
    """Raise ValidationError unless the name is one for a load balancer or target group."""
    if len(name) > 32:
        raise AwsError("ValidationError", f"{what} name '{name}' cannot be longer than '32' characters")
    if not _NAME.match(name):
        raise AwsError(
            "ValidationError",
            f"{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-),"
            " and cannot begin or end with a hyphen",
        )
    if name.startswith("internal-"):
        raise AwsError("ValidationError", f"{what} name '{name}' cannot begin with 'internal-'")


def _dns_name(name: str, scheme: str, region: str) -> str:
    """Every `*.localhost` is this machine, to browsers, curl and systemd's resolver."""
    inner = "internal-" if scheme == "internal" else ""
    return f"{inner}{name}-{new_digits(10)}.{region}.elb.localhost"

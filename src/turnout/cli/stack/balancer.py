"""Where the traffic is led: two target groups, a production listener and a test listener."""

from __future__ import annotations

from turnout.cli.running import ask
from turnout.cli.serving import weights_of
from turnout.cli.stack.parts import Found, Parts
from turnout.errors import SetupError

OPTIONS = {"production": "--port", "test": "--test-port"}


class Balancer(Parts):
    """The load balancer: two target groups, a production listener and a test listener."""

    def target_group(self, name: str) -> str:
        """Its ARN."""
        elbv2 = self.clients("elbv2")

        def create() -> Found:
            group = elbv2.create_target_group(
                Name=name,
                Protocol="HTTP",
                Port=80,
                VpcId=self._vpc(),
                TargetType="instance",
                HealthCheckPath=self.wishes.health_path,
                HealthCheckIntervalSeconds=self.wishes.check_every_s,
                HealthCheckTimeoutSeconds=2,
                HealthyThresholdCount=2,
                UnhealthyThresholdCount=2,
                Matcher={"HttpCode": "200"},
            )["TargetGroups"][0]
            elbv2.modify_target_group_attributes(
                TargetGroupArn=group["TargetGroupArn"],
                Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(self.wishes.drain_s)}],
            )
            return dict(group)

        group = self.ensure(
            "target group",
            name,
            lambda: dict(elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]),
            create,
            "TargetGroupNotFound",
            "TargetGroupNotFoundException",
        )
        return str(group["TargetGroupArn"])

    def balancer(self) -> Found:
        """LoadBalancerArn and DNSName among others."""
        elbv2, name = self.clients("elbv2"), self.names.name
        return self.ensure(
            "load balancer",
            name,
            lambda: dict(elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]),
            lambda: dict(
                elbv2.create_load_balancer(Name=name, Type="application", Subnets=self._subnets())["LoadBalancers"][0]
            ),
            "LoadBalancerNotFound",
            "LoadBalancerNotFoundException",
        )

    def check_ports(self) -> None:
        """Raises SetupError if somebody else holds a port: before anything is created."""
        for what, port in (("production", self.wishes.port), ("test", self.wishes.test_port)):
            if (why := ask(self.clients.running, f"ports/{port}")["taken"]) is not None:
                raise SetupError(_silent(what, why))

    def listener(self, what: str, balancer_arn: str, port: int, group_arn: str) -> str:
        """Its ARN. `what`: production or test."""
        elbv2 = self.clients("elbv2")

        def find() -> Found | None:
            listeners = elbv2.describe_listeners(LoadBalancerArn=balancer_arn)["Listeners"]
            return next((dict(listener) for listener in listeners if listener["Port"] == port), None)

        def create() -> Found:
            forward = {"Type": "forward", "TargetGroupArn": group_arn}
            made = elbv2.create_listener(
                LoadBalancerArn=balancer_arn, Protocol="HTTP", Port=port, DefaultActions=[forward]
            )["Listeners"][0]
            if (why := self.silent(made["ListenerArn"])) is not None:
                # A listener that does not answer would be in the way of a second try at another port.
                elbv2.delete_listener(ListenerArn=made["ListenerArn"])
                raise SetupError(_silent(what, why))
            return dict(made)

        return str(self.ensure(f"{what} listener", f"{self.names.name}:{port}", find, create)["ListenerArn"])

    def live_group(self, listener_arn: str, groups: tuple[str, ...]) -> str:
        """The group that a listener leads most of its traffic to: a service that is made anew belongs there."""
        listeners = self.clients("elbv2").describe_listeners(ListenerArns=[listener_arn])["Listeners"]
        weights = weights_of(listeners[0])
        return max(groups, key=lambda group: weights.get(group, 0))

    def silent(self, listener_arn: str) -> str | None:
        """Why a listener does not answer; None if it does."""
        why: str | None = ask(self.clients.running, "health")["silentListeners"].get(listener_arn)
        return why

    def address(self, listener_arn: str) -> str:
        """Where this machine reaches a listener. Raises SetupError if it does not answer."""
        if (why := self.silent(listener_arn)) is not None:
            raise SetupError(why)
        return str(ask(self.clients.running, "health")["listeners"][listener_arn])

    def _vpc(self) -> str:
        vpcs = self.clients("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        return str(vpcs[0]["VpcId"])

    def _subnets(self) -> list[str]:
        """Two of the default VPC, in different zones, as an application load balancer asks for."""
        wanted = [{"Name": "vpc-id", "Values": [self._vpc()]}]
        by_zone = {
            s["AvailabilityZone"]: s["SubnetId"]
            for s in self.clients("ec2").describe_subnets(Filters=wanted)["Subnets"]
        }
        return sorted(by_zone.values())[:2]


def _silent(what: str, why: str) -> str:
    way_out = f" Another port: {OPTIONS[what]}." if "taken" in why else ""
    return f"the {what} listener: {why}.{way_out}"

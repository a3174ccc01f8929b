"""The load balancer's operations, as clients see them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World


class Stack:
    """A load balancer with a blue and a green target group behind a listener on port 80."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.elb = world.boto("elbv2")
        self.ec2 = world.boto("ec2")
        self.vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.balancer = self.elb.create_load_balancer(Name="web", Subnets=self.subnets())["LoadBalancers"][0]
        self.balancer_arn = self.balancer["LoadBalancerArn"]
        self.blue, self.green = self.group("web-blue"), self.group("web-green")
        self.listener = self.listen(80, [{"Type": "forward", "TargetGroupArn": self.blue}])

    def subnets(self) -> list[str]:
        return [subnet["SubnetId"] for subnet in self.ec2.describe_subnets()["Subnets"]][:2]

    def group(self, name: str, **settings: Any) -> str:
        given = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, **settings}
        return str(self.elb.create_target_group(Name=name, **given)["TargetGroups"][0]["TargetGroupArn"])

    def listen(self, port: int, actions: list[dict[str, Any]]) -> str:
        made = self.elb.create_listener(
            LoadBalancerArn=self.balancer_arn, Protocol="HTTP", Port=port, DefaultActions=actions
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def weigh(self, **weights: int) -> dict[str, Any]:
        arns = {"blue": self.blue, "green": self.green}
        groups = [{"TargetGroupArn": arns[colour], "Weight": weight} for colour, weight in weights.items()]
        actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
        return dict(self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=actions)["Listeners"][0])

    def states(self, group: str) -> list[tuple[int, str, str | None]]:
        """(port, state, reason) of each target."""
        said = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [(d["Target"]["Port"], d["TargetHealth"]["State"], d["TargetHealth"].get("Reason")) for d in said]

    def register(self, group: str, *ports: int) -> None:
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-1", "Port": port} for port in ports])

    def deregister(self, group: str, *ports: int) -> None:
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "i-1", "Port": port} for port in ports])


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # half a second that nobody here asks for
    return Stack(world)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_load_balancer_is_active_and_has_a_name_that_leads_here(stack: Stack) -> None:
    balancer = stack.elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]
    assert balancer["State"] == {"Code": "active"}
    assert balancer["Scheme"] == "internet-facing"
    assert balancer["DNSName"].startswith("web-")
    assert balancer["DNSName"].endswith(".us-east-1.elb.localhost")
    assert balancer["VpcId"] == stack.vpc
    assert len(balancer["AvailabilityZones"]) == 2
    assert len(balancer["SecurityGroups"]) == 1


def test_creating_the_same_load_balancer_again_returns_it(stack: Stack) -> None:
    again = stack.elb.create_load_balancer(Name="web", Subnets=stack.subnets())["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == stack.balancer_arn
    with pytest.raises(ClientError) as error:
        stack.elb.create_load_balancer(Name="web", Subnets=stack.subnets(), Scheme="internal")
    assert code(error) == "DuplicateLoadBalancerName"


def test_a_load_balancer_needs_two_zones_that_exist(stack: Stack) -> None:
    with pytest.raises(ClientError) as error:
        stack.elb.create_load_balancer(Name="one", Subnets=stack.subnets()[:1])
    assert code(error) == "ValidationError"
    with pytest.raises(ClientError) as error:
        stack.elb.create_load_balancer(Name="none", Subnets=["subnet-0", "subnet-1"])
    assert code(error) == "SubnetNotFound"


def test_what_is_not_there_is_named_without_the_word_exception(stack: Stack) -> None:
    gone = stack.balancer_arn[:-4] + "0000"
    for ask, expected in (
        (lambda: stack.elb.describe_load_balancers(LoadBalancerArns=[gone]), "LoadBalancerNotFound"),
        (lambda: stack.elb.describe_load_balancers(Names=["nobody"]), "LoadBalancerNotFound"),
        (lambda: stack.elb.describe_listeners(ListenerArns=[stack.listener[:-4] + "0000"]), "ListenerNotFound"),
        (lambda: stack.elb.describe_target_groups(TargetGroupArns=[stack.blue[:-4] + "0000"]), "TargetGroupNotFound"),
        (lambda: stack.elb.describe_target_groups(Names=["nobody"]), "TargetGroupNotFound"),
        (
            lambda: stack.elb.delete_rule(RuleArn=stack.listener.replace("listener", "listener-rule") + "/0"),
            "RuleNotFound",
        ),
        (lambda: stack.elb.describe_tags(ResourceArns=[gone]), "LoadBalancerNotFound"),
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert code(error) == expected


def test_a_target_group_has_the_documented_defaults(stack: Stack) -> None:
    group = stack.elb.describe_target_groups(Names=["web-blue"])["TargetGroups"][0]
    wanted = {
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckPath": "/",
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "Matcher": {"HttpCode": "200"},
        "TargetType": "instance",
        "LoadBalancerArns": [stack.balancer_arn],
    }
    assert {member: group[member] for member in wanted} == wanted
    attributes = stack.elb.describe_target_group_attributes(TargetGroupArn=stack.blue)["Attributes"]
    kept = {attribute["Key"]: attribute["Value"] for attribute in attributes}
    assert kept["deregistration_delay.timeout_seconds"] == "300"
    assert kept["load_balancing.algorithm.type"] == "round_robin"


def test_a_forward_is_described_with_its_config_and_with_an_arn_only_if_there_is_one_group(stack: Stack) -> None:
    action = stack.elb.describe_listeners(ListenerArns=[stack.listener])["Listeners"][0]["DefaultActions"][0]
    assert action == {
        "Type": "forward",
        "TargetGroupArn": stack.blue,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": stack.blue, "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    action = stack.weigh(green=0, blue=100)["DefaultActions"][0]
    assert "TargetGroupArn" not in action
    assert action["ForwardConfig"]["TargetGroups"] == [
        {"TargetGroupArn": stack.green, "Weight": 0},
        {"TargetGroupArn": stack.blue, "Weight": 100},
    ]
    rule = stack.elb.describe_rules(ListenerArn=stack.listener)["Rules"][0]
    assert rule["IsDefault"]
    assert rule["Priority"] == "default"
    assert rule["Actions"] == [action]


def test_weights_reach_the_proxy_once_they_are_committed_and_again_at_every_start(stack: Stack) -> None:
    stack.weigh(green=30, blue=70)
    weights = {"web-green": 30, "web-blue": 70}
    proxy = stack.world.proxy
    assert {name.rpartition("-")[0]: weight for name, weight in proxy.weights(80).items()} == weights
    proxy.picture = type(proxy.picture)()
    stack.world.reboot()
    assert {name.rpartition("-")[0]: weight for name, weight in proxy.weights(80).items()} == weights


def test_every_change_of_weights_is_kept_with_its_time(stack: Stack) -> None:
    begun = stack.world.clock.now()
    stack.world.clock.advance(10)
    stack.weigh(green=0, blue=100)
    stack.world.clock.advance(10)
    stack.weigh(green=100, blue=0)
    stack.weigh(green=100, blue=0)
    traffic = stack.world.engine.loadbalancer.traffic
    changes = traffic.weights_since("us-east-1", stack.listener, begun)
    assert [(change["at"] - begun, change["weights"]) for change in changes] == [
        (0, {stack.blue: 1}),
        (10, {stack.green: 0, stack.blue: 100}),
        (20, {stack.green: 100, stack.blue: 0}),
    ]


def test_a_group_that_another_load_balancer_has_is_refused(stack: Stack) -> None:
    other = stack.elb.create_load_balancer(Name="other", Subnets=stack.subnets())["LoadBalancers"][0]
    with pytest.raises(ClientError) as error:
        stack.elb.create_listener(
            LoadBalancerArn=other["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": stack.blue}],
        )
    assert code(error) == "TargetGroupAssociationLimit"


def test_a_port_is_listened_on_once(stack: Stack) -> None:
    forward = [{"Type": "forward", "TargetGroupArn": stack.green}]
    with pytest.raises(ClientError) as error:
        stack.listen(80, forward)
    assert code(error) == "DuplicateListener"
    assert stack.listen(80, [{"Type": "forward", "TargetGroupArn": stack.blue}]) == stack.listener
    other = stack.listen(8080, forward)
    with pytest.raises(ClientError) as error:
        stack.elb.modify_listener(ListenerArn=other, Port=80)
    assert code(error) == "DuplicateListener"


def test_a_group_in_use_cannot_be_deleted(stack: Stack) -> None:
    with pytest.raises(ClientError) as error:
        stack.elb.delete_target_group(TargetGroupArn=stack.blue)
    assert code(error) == "ResourceInUse"
    stack.elb.delete_listener(ListenerArn=stack.listener)
    stack.elb.delete_target_group(TargetGroupArn=stack.blue)
    assert [g["TargetGroupName"] for g in stack.elb.describe_target_groups()["TargetGroups"]] == ["web-green"]


def test_deleting_a_load_balancer_takes_its_listeners_and_rules_along(stack: Stack) -> None:
    stack.elb.delete_load_balancer(LoadBalancerArn=stack.balancer_arn)
    stack.elb.delete_load_balancer(LoadBalancerArn=stack.balancer_arn)
    assert stack.elb.describe_load_balancers()["LoadBalancers"] == []
    with pytest.raises(ClientError) as error:
        stack.elb.describe_rules(ListenerArn=stack.listener)
    assert code(error) == "ListenerNotFound"
    assert stack.world.proxy.picture.ports == {}
    assert stack.elb.describe_target_groups(Names=["web-blue"])["TargetGroups"][0]["LoadBalancerArns"] == []


def test_deletion_protection_protects(stack: Stack) -> None:
    protect = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    stack.elb.modify_load_balancer_attributes(LoadBalancerArn=stack.balancer_arn, Attributes=protect)
    with pytest.raises(ClientError) as error:
        stack.elb.delete_load_balancer(LoadBalancerArn=stack.balancer_arn)
    assert code(error) == "OperationNotPermitted"


def test_what_is_not_implemented_is_refused_instead_of_ignored(stack: Stack) -> None:
    sticky = {
        "TargetGroups": [{"TargetGroupArn": stack.blue}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    }
    refused = (
        lambda: stack.elb.create_load_balancer(Name="net", Type="network", Subnets=stack.subnets()),
        lambda: stack.listen(81, [{"Type": "forward", "ForwardConfig": sticky}]),
        lambda: stack.elb.modify_target_group_attributes(
            TargetGroupArn=stack.blue, Attributes=[{"Key": "stickiness.enabled", "Value": "true"}]
        ),
        lambda: stack.elb.modify_load_balancer_attributes(
            LoadBalancerArn=stack.balancer_arn, Attributes=[{"Key": "access_logs.s3.enabled", "Value": "true"}]
        ),
        lambda: stack.group("lambda", TargetType="lambda"),
        lambda: stack.group("grpc", ProtocolVersion="GRPC"),
    )
    for ask in refused:
        with pytest.raises(ClientError, match=r"turnout|HTTPS listener"):
            ask()


def test_tags_come_and_go(stack: Stack) -> None:
    stack.elb.add_tags(
        ResourceArns=[stack.blue, stack.listener], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    )
    stack.elb.remove_tags(ResourceArns=[stack.blue], TagKeys=["b"])
    described = stack.elb.describe_tags(ResourceArns=[stack.blue, stack.listener])["TagDescriptions"]
    assert [d["Tags"] for d in described] == [
        [{"Key": "a", "Value": "1"}],
        [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}],
    ]


def test_a_long_list_comes_in_pages(stack: Stack) -> None:
    for number in range(5):
        stack.group(f"more-{number}")
    pages = stack.elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 3})
    sizes = [len(page["TargetGroups"]) for page in pages]
    assert sizes == [3, 3, 1]


def test_a_port_that_another_process_holds_impairs_the_load_balancer(stack: Stack) -> None:
    stack.world.proxy.errors[80] = "port 18080 is taken by another process"
    state = stack.elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]["State"]
    assert state == {"Code": "active_impaired", "Reason": "port 18080 is taken by another process"}
    assert stack.world.engine.loadbalancer.ports() == {}
    del stack.world.proxy.errors[80]
    assert stack.world.engine.loadbalancer.ports() == {stack.listener: "http://127.0.0.1:18080"}


def test_the_policy_for_long_connections_is_a_tag_of_a_listener_and_checked(stack: Stack) -> None:
    tag = {"Key": "turnout:long-connections", "Value": "leave"}
    stack.elb.add_tags(ResourceArns=[stack.listener], Tags=[tag])
    with pytest.raises(ClientError, match="must be one of: cut, leave, announce; not 'soon'"):
        stack.elb.add_tags(ResourceArns=[stack.listener], Tags=[{**tag, "Value": "soon"}])
    with pytest.raises(ClientError, match="belongs on a listener, not on this target group"):
        stack.elb.add_tags(ResourceArns=[stack.blue], Tags=[tag])
    with pytest.raises(ClientError, match="belongs on a listener, not on this load balancer"):
        stack.elb.create_load_balancer(Name="tagged", Subnets=stack.subnets(), Tags=[tag])
    with pytest.raises(ClientError, match=r"turnout:long-connections \(of a listener\)"):
        stack.elb.add_tags(ResourceArns=[stack.listener], Tags=[{"Key": "turnout:long-conections", "Value": "leave"}])
    with pytest.raises(ClientError, match="LoadBalancerNotFound"):
        stack.elb.describe_load_balancers(Names=["tagged"])
    described = stack.elb.describe_tags(ResourceArns=[stack.listener])["TagDescriptions"]
    assert described[0]["Tags"] == [tag]


def test_goodbyes_are_said_on_a_share_of_the_connections_once_for_a_cause_and_outlive_the_engine(stack: Stack) -> None:
    def marks() -> tuple[int, ...]:
        return stack.world.proxy.picture.ports[80][0].marks

    def say(cause: str, share: float) -> None:
        traffic = stack.world.engine.loadbalancer.traffic
        stack.world.run(traffic.announce("us-east-1", stack.listener, cause, share))

    assert marks() == ()
    stack.elb.add_tags(ResourceArns=[stack.listener], Tags=[{"Key": "turnout:long-connections", "Value": "announce"}])
    assert marks() == (0,) * 10
    say("d-1", 0.3)
    say("d-1", 0.3)
    assert marks() == (1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
    stack.world.reboot()
    say("d-1", 0.4)
    assert marks() == (1, 1, 1, 1, 0, 0, 0, 0, 0, 0)
    say("d-2", 1.0)
    assert marks() == (2, 2, 2, 2, 1, 1, 1, 1, 1, 1)
    stack.elb.remove_tags(ResourceArns=[stack.listener], TagKeys=["turnout:long-connections"])
    assert marks() == ()
    stack.elb.delete_listener(ListenerArn=stack.listener)
    say("d-3", 1.0)

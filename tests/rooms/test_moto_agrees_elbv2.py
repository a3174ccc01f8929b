"""What moto's public tests expect of load balancers, where AWS does the same: told again, as promises of ours."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.test_loadbalancer import Stack

LONG = "x" * 129
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}
CONDITION = {"Field": "path-pattern", "Values": ["/a"]}
HEADER: dict[str, Any] = {"HttpHeaderName": "x", "Values": ["y"]}

CONDITIONS: list[tuple[dict[str, Any], str]] = [
    ({"Field": "host-header", "Values": [LONG]}, "The 'host-header' value is too long; the limit is '128'"),
    (
        {"Field": "host-header", "HostHeaderConfig": {"Values": [LONG]}},
        "The 'host-header' value is too long; the limit is '128'",
    ),
    (
        {"Field": "host-header", "Values": ["one", "two"]},
        "The 'host-header' field contains too many values; the limit is '1'",
    ),
    ({"Field": "host-header"}, "A condition value must be specified"),
    ({"Field": "host-header", "HostHeaderConfig": {"Values": []}}, "A condition value must be specified"),
    ({"Field": "path-pattern", "Values": [LONG]}, "The 'path-pattern' value is too long; the limit is '128'"),
    (
        {"Field": "path-pattern", "Values": ["/a", "/b"]},
        "The 'path-pattern' field contains too many values; the limit is '1'",
    ),
    (
        {**CONDITION, "PathPatternConfig": {"Values": ["/a"]}},
        "You cannot provide both Values and 'PathPatternConfig' for a condition of type 'path-pattern'",
    ),
    (
        {"Field": "http-header", "HttpHeaderConfig": {**HEADER, "HttpHeaderName": "x" * 41}},
        "The 'HttpHeaderName' value is too long; the limit is '40'",
    ),
    (
        {"Field": "http-header", "HttpHeaderConfig": {**HEADER, "Values": [LONG]}},
        "The 'http-header' value is too long; the limit is '128'",
    ),
    ({"Field": "http-header"}, "A 'HttpHeaderConfig' must be specified with 'http-header'"),
    ({"Field": "http-header", "Values": ["y"]}, "The 'Values' field is not compatible with 'http-header'"),
    (
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}},
        "The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen and underscore",
    ),
    (
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["X" * 41]}},
        "The 'http-request-method' value is too long; the limit is '40'",
    ),
    (
        {"Field": "http-request-method"},
        "A 'HttpRequestMethodConfig' must be specified with 'http-request-method'",
    ),
    (
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": LONG, "Value": "y"}]}},
        "The 'Key' value is too long; the limit is '128'",
    ),
    (
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "x", "Value": LONG}]}},
        "The 'Value' value is too long; the limit is '128'",
    ),
    (
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "x"}]}},
        "A 'Value' must be specified in 'QueryStringKeyValuePair'",
    ),
    ({"Field": "query-string"}, "A 'QueryStringConfig' must be specified with 'query-string'"),
    ({"Field": "source-ip", "SourceIpConfig": {"Values": []}}, "A 'source-ip' value must be specified"),
    ({"Field": "source-ip"}, "A 'SourceIpConfig' must be specified with 'source-ip'"),
]


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def refused(operation: Any, **asked: Any) -> tuple[str, str]:
    """The code and the message of an error."""
    with pytest.raises(ClientError) as error:
        operation(**asked)
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def test_a_condition_that_no_request_can_meet_as_meant_is_refused_in_awss_words(stack: Stack) -> None:
    for condition, message in CONDITIONS:
        rule = {"ListenerArn": stack.listener, "Priority": 1, "Conditions": [condition], "Actions": [FIXED]}
        assert refused(stack.elb.create_rule, **rule) == ("ValidationError", message), condition
    assert len(stack.elb.describe_rules(ListenerArn=stack.listener)["Rules"]) == 1


def test_many_values_are_given_by_the_config_of_a_condition(stack: Stack) -> None:
    many = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a", "/b"]}}
    rule = {"ListenerArn": stack.listener, "Priority": 1, "Conditions": [many], "Actions": [FIXED]}
    assert stack.elb.create_rule(**rule)["Rules"][0]["Conditions"] == [{**many, "Values": ["/a", "/b"]}]


def test_a_fixed_response_has_one_of_five_types_of_content(stack: Stack) -> None:
    for kind in ("text/plain", "text/css", "text/html", "application/javascript", "application/json", None):
        config = {"StatusCode": "200"} | ({"ContentType": kind} if kind else {})
        actions = [{"Type": "fixed-response", "FixedResponseConfig": config}]
        assert stack.elb.modify_listener(ListenerArn=stack.listener, DefaultActions=actions)
    actions = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/xml"}}]
    code, message = refused(stack.elb.modify_listener, ListenerArn=stack.listener, DefaultActions=actions)
    assert code == "InvalidLoadBalancerAction"
    assert message.startswith("The ContentType must be one of")


def test_rules_are_asked_for_by_their_arns_or_by_their_listeners(stack: Stack) -> None:
    rule = stack.elb.create_rule(
        ListenerArn=stack.listener,
        Priority=1,
        Conditions=[CONDITION],
        Actions=[FIXED],
        Tags=[{"Key": "team", "Value": "shop"}],
    )["Rules"][0]
    assert stack.elb.describe_rules(RuleArns=[rule["RuleArn"]])["Rules"] == [rule]
    assert refused(stack.elb.describe_rules, ListenerArn=stack.listener, RuleArns=[rule["RuleArn"]]) == (
        "ValidationError",
        "Listener rule ARNs and a listener ARN cannot be specified at the same time",
    )
    assert refused(stack.elb.describe_rules)[0] == "ValidationError"
    (tags,) = stack.elb.describe_tags(ResourceArns=[rule["RuleArn"]])["TagDescriptions"]
    assert tags == {"ResourceArn": rule["RuleArn"], "Tags": [{"Key": "team", "Value": "shop"}]}


def test_a_modification_of_a_rule_modifies_something(stack: Stack) -> None:
    asked = {"ListenerArn": stack.listener, "Priority": 1, "Conditions": [CONDITION], "Actions": [FIXED]}
    rule = stack.elb.create_rule(**asked)["Rules"][0]["RuleArn"]
    for nothing in ({}, {"Conditions": [], "Actions": []}):
        assert refused(stack.elb.modify_rule, RuleArn=rule, **nothing) == (
            "ValidationError",
            "Either conditions or actions must be specified",
        )


def test_one_priority_is_not_given_to_two_rules_at_once(stack: Stack) -> None:
    asked = {"ListenerArn": stack.listener, "Conditions": [CONDITION], "Actions": [FIXED]}
    rules = [stack.elb.create_rule(**asked, Priority=n)["Rules"][0]["RuleArn"] for n in (1, 2)]
    both = [{"RuleArn": rule, "Priority": 9} for rule in rules]
    assert refused(stack.elb.set_rule_priorities, RulePriorities=both) == (
        "ValidationError",
        "Priority '9' was provided multiple times",
    )


GROUPS: list[tuple[dict[str, Any], str]] = [
    ({"Name": "A" * 33}, "Target group name 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' cannot be longer than '32' characters"),
    ({"Name": "-name"}, "Target group name '-name' can"),
    ({"Name": "name-"}, "Target group name 'name-' can"),
    ({"Name": "na--me"}, "Target group name 'na--me' can"),
    ({"Name": "example.com"}, "Target group name 'example.com' can only contain characters that are alphanumeric"),
    ({"Protocol": None}, "A protocol must be specified"),
    ({"Port": None}, "A port must be specified"),
    ({"VpcId": None}, "A VPC ID must be specified"),
    ({"VpcId": "vpc-none"}, "The VPC ID 'vpc-none' is not found"),
    (
        {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 5},
        "Health check timeout '5' must be smaller than the interval '5'",
    ),
    ({"HealthCheckTimeoutSeconds": 31}, "Health check timeout '31' must be smaller than the interval '30'"),
]


def test_a_target_group_needs_a_name_a_port_and_a_vpc_that_exists(stack: Stack) -> None:
    for given, message in GROUPS:
        asked = {"Name": "name", "Protocol": "HTTP", "Port": 80, "VpcId": stack.vpc} | given
        code, said = refused(
            stack.elb.create_target_group, **{member: value for member, value in asked.items() if value is not None}
        )
        assert (code, said[: len(message)]) == ("ValidationError", message), given


def test_target_groups_are_asked_for_in_one_way_at_a_time(stack: Stack) -> None:
    ways: list[dict[str, Any]] = [
        {"LoadBalancerArn": stack.balancer_arn},
        {"TargetGroupArns": [stack.blue]},
        {"Names": ["web-blue"]},
    ]
    for way in ways:
        (group,) = stack.elb.describe_target_groups(**way)["TargetGroups"]
        assert group["TargetGroupArn"] == stack.blue
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert refused(stack.elb.describe_target_groups, **ways[one], **ways[other]) == (
            "ValidationError",
            "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time",
        )


def test_attributes_keep_to_awss_limits(stack: Stack) -> None:
    def modify(**attributes: str) -> tuple[str, str]:
        pairs = [{"Key": key.replace("__", "."), "Value": value} for key, value in attributes.items()]
        return refused(stack.elb.modify_target_group_attributes, TargetGroupArn=stack.blue, Attributes=pairs)

    assert modify(deregistration_delay__timeout_seconds="3601") == (
        "ValidationError",
        "'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
    )
    assert modify(stickiness__type="app_cookie") == (
        "InvalidConfigurationRequest",
        "You must set an application cookie name to enable stickiness of type 'app_cookie'",
    )
    longest = [{"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}]
    kept = stack.elb.modify_target_group_attributes(TargetGroupArn=stack.blue, Attributes=longest)["Attributes"]
    assert longest[0] in kept


def test_a_listener_says_its_port_and_a_protocol_of_application_load_balancers(stack: Stack) -> None:
    listener = {"LoadBalancerArn": stack.balancer_arn, "DefaultActions": [FIXED]}
    assert refused(stack.elb.create_listener, **listener, Protocol="HTTP") == (
        "ValidationError",
        "A listener port must be specified",
    )
    assert refused(stack.elb.create_listener, **listener, Port=8080) == (
        "ValidationError",
        "A listener protocol must be specified",
    )
    assert refused(stack.elb.create_listener, **listener, Port=8080, Protocol="TCP") == (
        "ValidationError",
        "Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
    )


def test_a_subnet_named_twice_is_called_that_and_not_missing(stack: Stack) -> None:
    subnet = stack.subnets()[0]
    code, message = refused(stack.elb.create_load_balancer, Name="other", Subnets=[subnet, subnet])
    assert (code, message) == ("InvalidConfigurationRequest", "A subnet cannot be specified more than once")


def test_what_is_deleted_twice_is_missed_where_aws_misses_it(stack: Stack) -> None:
    asked = {"ListenerArn": stack.listener, "Priority": 1, "Conditions": [CONDITION], "Actions": [FIXED]}
    rule = stack.elb.create_rule(**asked)["Rules"][0]["RuleArn"]
    for _ in range(2):  # "If the specified target does not exist, the action returns successfully."
        stack.elb.deregister_targets(TargetGroupArn=stack.blue, Targets=[{"Id": "i-1"}])
    stack.elb.delete_rule(RuleArn=rule)
    assert refused(stack.elb.delete_rule, RuleArn=rule)[0] == "RuleNotFound"
    stack.elb.delete_listener(ListenerArn=stack.listener)
    assert refused(stack.elb.delete_listener, ListenerArn=stack.listener)[0] == "ListenerNotFound"
    for _ in range(2):  # "If the load balancer does not exist or has already been deleted, the call succeeds."
        stack.elb.delete_load_balancer(LoadBalancerArn=stack.balancer_arn)
    for _ in range(2):
        stack.elb.delete_target_group(TargetGroupArn=stack.blue)

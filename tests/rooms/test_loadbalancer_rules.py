"""Rules of listeners, through their operations."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.test_loadbalancer import Stack, code


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # half a second that nobody here asks for
    return Stack(world)


def add(
    stack: Stack, priority: int, *conditions: dict[str, Any], action: dict[str, Any] | None = None
) -> dict[str, Any]:
    made = stack.elb.create_rule(
        ListenerArn=stack.listener,
        Priority=priority,
        Conditions=list(conditions) or [{"Field": "path-pattern", "Values": ["/api/*"]}],
        Actions=[action or {"Type": "forward", "TargetGroupArn": stack.green}],
    )
    return dict(made["Rules"][0])


def test_rules_are_listed_in_the_order_in_which_they_are_tried(stack: Stack) -> None:
    add(stack, 200)
    add(stack, 20)
    assert [r["Priority"] for r in stack.elb.describe_rules(ListenerArn=stack.listener)["Rules"]] == [
        "20",
        "200",
        "default",
    ]


def test_a_path_pattern_is_described_in_both_ways(stack: Stack) -> None:
    condition = add(stack, 1)["Conditions"][0]
    assert condition == {"Field": "path-pattern", "Values": ["/api/*"], "PathPatternConfig": {"Values": ["/api/*"]}}


def test_a_priority_is_taken_once_and_two_rules_may_change_places(stack: Stack) -> None:
    first, second = add(stack, 1)["RuleArn"], add(stack, 2)["RuleArn"]
    with pytest.raises(ClientError) as error:
        add(stack, 2)
    assert code(error) == "PriorityInUse"
    stack.elb.set_rule_priorities(
        RulePriorities=[{"RuleArn": first, "Priority": 2}, {"RuleArn": second, "Priority": 1}]
    )
    rules = stack.elb.describe_rules(ListenerArn=stack.listener)["Rules"]
    assert [rule["RuleArn"] for rule in rules[:2]] == [second, first]
    with pytest.raises(ClientError) as error:
        stack.elb.set_rule_priorities(RulePriorities=[{"RuleArn": first, "Priority": 1}])
    assert code(error) == "PriorityInUse"


def test_the_default_rule_is_the_listeners(stack: Stack) -> None:
    default = stack.elb.describe_rules(ListenerArn=stack.listener)["Rules"][0]["RuleArn"]
    for ask in (
        lambda: stack.elb.delete_rule(RuleArn=default),
        lambda: stack.elb.modify_rule(RuleArn=default, Actions=[{"Type": "forward", "TargetGroupArn": stack.green}]),
        lambda: stack.elb.set_rule_priorities(RulePriorities=[{"RuleArn": default, "Priority": 1}]),
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert code(error) == "OperationNotPermitted"


def test_modifying_a_rule_replaces_what_is_given_and_keeps_the_rest(stack: Stack) -> None:
    rule = add(stack, 1)["RuleArn"]
    weights = [{"TargetGroupArn": stack.green, "Weight": 90}, {"TargetGroupArn": stack.blue, "Weight": 10}]
    modified = stack.elb.modify_rule(
        RuleArn=rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
    )["Rules"][0]
    assert modified["Conditions"][0]["Values"] == ["/api/*"]
    assert modified["Actions"][0]["ForwardConfig"]["TargetGroups"] == weights
    changes = stack.world.engine.loadbalancer.traffic.weights_since("us-east-1", stack.listener, 0)
    assert [change["weights"] for change in changes if change["rule"] == rule] == [
        {stack.green: 1},
        {stack.green: 90, stack.blue: 10},
    ]


def test_a_group_is_in_use_as_long_as_a_rule_refers_to_it(stack: Stack) -> None:
    rule = add(stack, 1)["RuleArn"]
    assert stack.elb.describe_target_groups(Names=["web-green"])["TargetGroups"][0]["LoadBalancerArns"]
    stack.elb.delete_rule(RuleArn=rule)
    assert not stack.elb.describe_target_groups(Names=["web-green"])["TargetGroups"][0]["LoadBalancerArns"]


def test_a_redirect_is_described_whole(stack: Stack) -> None:
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    assert add(stack, 1, action=redirect)["Actions"][0]["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Port": "443",
        "Host": "#{host}",
        "Path": "/#{path}",
        "Query": "#{query}",
        "StatusCode": "HTTP_301",
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Field": "colour", "Values": ["red"]}, "ValidationError"),
        ({"Field": "path-pattern", "Values": []}, "ValidationError"),
        ({"Field": "path-pattern", "Values": [f"/{n}" for n in range(6)]}, "ValidationError"),
        ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/33"]}}, "ValidationError"),
        ({"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/a"]}}, "InvalidConfigurationRequest"),
    ],
)
def test_a_condition_that_cannot_be_made_true_is_refused(stack: Stack, condition: Any, expected: str) -> None:
    with pytest.raises(ClientError) as error:
        add(stack, 1, condition)
    assert code(error) == expected


@pytest.mark.parametrize(
    "action",
    [
        {"Type": "forward"},
        {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}},
        {"Type": "redirect", "RedirectConfig": {"Host": "www.#{host}", "StatusCode": "HTTP_301"}},
        {"Type": "fixed-response"},
        {
            "Type": "authenticate-cognito",
            "AuthenticateCognitoConfig": {"UserPoolArn": "a", "UserPoolClientId": "b", "UserPoolDomain": "c"},
        },
    ],
)
def test_an_action_that_cannot_be_taken_is_refused(stack: Stack, action: Any) -> None:
    with pytest.raises(ClientError) as error:
        add(stack, 1, action=action)
    assert code(error) in ("ValidationError", "InvalidLoadBalancerAction")


@pytest.mark.parametrize("pair", [{"Priority": 5}, {"RuleArn": "x"}, {}])
def test_priorities_without_their_rule_or_number_are_refused(stack: Stack, pair: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        stack.elb.set_rule_priorities(RulePriorities=[pair, {"RuleArn": "y", "Priority": 7}])
    assert code(refused) == "ValidationError"

"""The drift guard: what an apply would do to the traffic, in words, before it does it.

Terraform's plan says what would be written; the load balancer says who serves now. An apply that leads traffic to a
target group without a healthy target, or takes away what serves, is a danger. Pure but for `Live`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from turnout.cli.clients import Clients, is_missing
from turnout.cli.serving import weights_of

LISTENERS = ("aws_lb_listener", "aws_alb_listener")
RULES = ("aws_lb_listener_rule", "aws_alb_listener_rule")
GROUPS = ("aws_lb_target_group", "aws_alb_target_group")
UNKNOWN = ""
"""The ARN of a target group that is still to be made: nothing is in it."""

Shares = Mapping[str, int]
"""Target group ARN → percent of the traffic."""


class Sight(Protocol):
    """What the load balancer says now."""

    def shares(self, arn: str) -> Shares:
        """Of a listener or a rule; empty where it forwards nothing, or is not there."""

    def health(self, group_arn: str) -> tuple[int, int]:
        """(healthy, all) targets."""

    def leads_to(self, group_arn: str) -> bool:
        """Whether any listener of its balancers gives it traffic."""


def dangers(plan: Mapping[str, Any], sight: Sight) -> list[str]:
    """Every danger of a plan (`terraform show -json`), one sentence each."""
    return [
        words
        for each in plan.get("resource_changes", ())
        if each.get("mode", "managed") == "managed"
        for words in _of_change(each["address"], each["type"], each["change"], sight)
    ]


def _of_change(address: str, kind: str, change: Mapping[str, Any], sight: Sight) -> Iterator[str]:
    actions, before = change["actions"], change.get("before") or {}
    if not before or actions in (["no-op"], ["read"]):
        return
    goes = "replaced" if "create" in actions else "deleted" if "delete" in actions else ""
    if kind in LISTENERS + RULES:
        yield from _of_route(address, kind, change, goes, sight)
    elif kind in GROUPS and goes and sight.leads_to(before["arn"]):
        yield f"{address} would be {goes}, and {_told(before['arn'], sight)} serves now."
    elif kind == "aws_ecs_service":
        tasks = before.get("desired_count") or 0
        if goes and tasks:
            yield f"{address} would be {goes}, and its {tasks} tasks would be stopped."
        elif tasks and (change.get("after") or {}).get("desired_count") == 0:
            yield f"{address} would stop all of its {tasks} tasks."


def _of_route(address: str, kind: str, change: Mapping[str, Any], goes: str, sight: Sight) -> Iterator[str]:
    now = sight.shares(change["before"]["arn"])
    serving = {arn: share for arn, share in now.items() if share and sight.health(arn)[0]}
    if not serving:
        return
    leads = f"it leads {_list(now, sight)} now."
    if goes == "deleted":
        yield f"{address} would be deleted; {leads}"
        return
    member = "default_action" if kind in LISTENERS else "action"
    then = planned(change, member)
    empty = {arn for arn, share in then.items() if share > now.get(arn, 0) and not sight.health(arn)[0]}
    if empty:
        yield f"{address} would lead {_list(then, sight)}; {leads}"
    elif not then:
        yield f"{address} would lead nobody to the application; {leads}"
    elif goes:
        yield f"{address} would be {goes}: meanwhile nobody is answered; {leads}"


def planned(change: Mapping[str, Any], member: str) -> Shares:
    """Target group → share, as a listener or rule would be written."""
    weights: dict[str, int] = {}
    unknown = (change.get("after_unknown") or {}).get(member) or []
    for number, action in enumerate((change.get("after") or {}).get(member) or ()):
        hidden = unknown[number] if isinstance(unknown, list) and number < len(unknown) else {}
        if action.get("type") != "forward":
            continue
        groups = [group for forward in action.get("forward") or () for group in forward.get("target_group") or ()]
        for group in groups:
            weights[group.get("arn") or UNKNOWN] = int(1 if group.get("weight") is None else group["weight"])
        if not groups:
            if action.get("target_group_arn"):
                weights[action["target_group_arn"]] = 1
            elif isinstance(hidden, Mapping) and hidden.get("target_group_arn"):
                weights[UNKNOWN] = 1
    total = sum(weights.values())
    return {arn: round(100 * weight / total) if total else 0 for arn, weight in weights.items()}


def _list(shares: Shares, sight: Sight) -> str:
    told = [f"{share} % to {_told(arn, sight)}" for arn, share in shares.items() if share]
    return " and ".join(told) or "nobody anywhere"


def _told(arn: str, sight: Sight) -> str:
    if arn == UNKNOWN:
        return "a target group that is still to be made (0 of 0 targets healthy)"
    healthy, targets = sight.health(arn)
    return f"{arn.split('/')[1]} ({healthy} of {targets} targets healthy)"


class Live:
    """`Sight` by ELBv2's API."""

    def __init__(self, clients: Clients) -> None:
        self._elbv2 = clients("elbv2")
        self._health: dict[str, tuple[int, int]] = {UNKNOWN: (0, 0)}

    def shares(self, arn: str) -> Shares:
        try:
            if ":listener-rule/" in arn:
                rule = self._elbv2.describe_rules(RuleArns=[arn])["Rules"][0]
                return weights_of({"DefaultActions": rule["Actions"]})
            return weights_of(self._elbv2.describe_listeners(ListenerArns=[arn])["Listeners"][0])
        except Exception as error:
            if not is_missing(error, "ListenerNotFound", "RuleNotFound"):
                raise
            return {}

    def health(self, group_arn: str) -> tuple[int, int]:
        if group_arn not in self._health:
            try:
                said = self._elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
            except Exception as error:
                if not is_missing(error, "TargetGroupNotFound", "TargetGroupNotFoundException"):
                    raise
                said = []
            states = [each["TargetHealth"]["State"] for each in said]
            self._health[group_arn] = (states.count("healthy"), len(states))
        return self._health[group_arn]

    def leads_to(self, group_arn: str) -> bool:
        try:
            groups = self._elbv2.describe_target_groups(TargetGroupArns=[group_arn])["TargetGroups"]
        except Exception as error:
            if not is_missing(error, "TargetGroupNotFound", "TargetGroupNotFoundException"):
                raise
            return False
        for balancer in groups[0]["LoadBalancerArns"]:
            for listener in self._elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
                rules = self._elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
                routes = [listener, *({"DefaultActions": rule["Actions"]} for rule in rules)]
                if any(weights_of(route).get(group_arn) for route in routes):
                    return True
        return False

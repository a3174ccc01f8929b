"""Target groups and their targets as ECS sees them: a room of rows whose health a test decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError

ELB = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
LISTENED = f"{ELB}loadbalancer/app/shop/1"
Target = tuple[str, int]


class FakeBalancer:
    """New targets have the state that `fate` says for their group; `wake` tells that a health has changed."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self.groups: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, dict[Target, str]] = {}
        self.fate: dict[str, str] = {}
        self.drains_at_once = True

    def add(self, name: str, *, is_used: bool = True, target_type: str = "instance") -> str:
        """A target group; used: behind a listener."""
        group_arn = f"{ELB}targetgroup/{name}/1"
        balancers = [LISTENED] if is_used else []
        self.groups[group_arn] = {
            "TargetGroupArn": group_arn,
            "TargetGroupName": name,
            "TargetType": target_type,
            "LoadBalancerArns": balancers,
        }
        self.targets[group_arn] = {}
        self.fate[group_arn] = "initial" if is_used else "unused"
        return group_arn

    def set_health(self, group_arn: str, state: str) -> None:
        """Every target of the group that is not on its way out, and those to come, have this state."""
        self.fate[group_arn] = state
        for target, was in self.targets[group_arn].items():
            if was != "draining":
                self.targets[group_arn][target] = state
        self._wake(group_arn)

    def drained(self, group_arn: str) -> None:
        """The deregistration delay has passed."""
        left = {target: state for target, state in self.targets[group_arn].items() if state != "draining"}
        self.targets[group_arn] = left
        self._wake(group_arn)

    def describe_target_groups(self, call: Call) -> Answer:
        return {"TargetGroups": [self._group(group_arn) for group_arn in call["TargetGroupArns"]]}

    def register_targets(self, call: Call) -> Answer:
        group_arn = self._group(call["TargetGroupArn"])["TargetGroupArn"]
        for target in call["Targets"]:
            self.targets[group_arn].setdefault((target["Id"], target["Port"]), self.fate[group_arn])
        return {}

    def deregister_targets(self, call: Call) -> Answer:
        group_arn = self._group(call["TargetGroupArn"])["TargetGroupArn"]
        for target in call["Targets"]:
            key = (target["Id"], target["Port"])
            if key in self.targets[group_arn]:
                self.targets[group_arn][key] = "draining"
        if self.drains_at_once:
            self.drained(group_arn)
        return {}

    def describe_target_health(self, call: Call) -> Answer:
        group_arn = self._group(call["TargetGroupArn"])["TargetGroupArn"]
        known = self.targets[group_arn]
        wanted = [(target["Id"], target["Port"]) for target in call.get("Targets", ())] or list(known)
        return {"TargetHealthDescriptions": [_health(target, known.get(target)) for target in wanted]}

    def _group(self, group_arn: str) -> dict[str, Any]:
        if group_arn not in self.groups:
            raise AwsError("TargetGroupNotFound", f"Target groups '{group_arn}' not found")
        return self.groups[group_arn]


def _health(target: Target, state: str | None) -> dict[str, Any]:
    health: dict[str, Any] = {"State": state or "unused"}
    if state is None:
        health["Reason"] = "Target.NotRegistered"
    elif state == "unused":
        health["Reason"] = "Target.NotInUse"
    elif state == "unhealthy":
        health |= {
            "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [500]",
        }
    return {"Target": {"Id": target[0], "Port": target[1]}, "TargetHealth": health}

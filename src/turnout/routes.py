"""What a listener forwards to, and the same at other weights. Pure; the shapes are ELBv2's.

A *route* is one place of a listener that forwards requests: its default action, or one of its rules. CodeDeploy and
the deployments of ECS move traffic by rewriting routes, and write them in the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Weights = Mapping[str, int]
"""Target group ARN → weight, in the order in which they are written."""


@dataclass(frozen=True)
class Route:
    """`rule_arn` is None for the listener's default action."""

    rule_arn: str | None
    actions: Sequence[dict[str, Any]]
    weights: Weights
    is_sticky: bool = False

    def is_at(self, weights: Weights) -> bool:
        return dict(self.weights) == dict(weights) and not self.is_sticky


def routes_of(listener: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> list[Route]:
    """Every route, from DescribeListeners and DescribeRules. The default rule is the listener's default action."""
    places: list[tuple[str | None, Sequence[dict[str, Any]]]] = [(None, listener.get("DefaultActions", []))]
    places += [(rule["RuleArn"], rule.get("Actions", [])) for rule in rules if not rule.get("IsDefault")]
    found = []
    for rule_arn, actions in places:
        for action in actions:
            if action.get("Type") == "forward":
                found.append(Route(rule_arn, actions, weights_of(action), is_sticky(action)))
    return found


def routes_with(routes: Iterable[Route], target_groups: Iterable[str]) -> list[Route]:
    """Those that hold any of the target groups, at whatever weight."""
    members = set(target_groups)
    return [route for route in routes if members & route.weights.keys()]


def actions_at(actions: Iterable[Mapping[str, Any]], weights: Weights) -> list[dict[str, Any]]:
    """The actions of a route with the forward at `weights`, in exactly CodeDeploy's form; what precedes it stays."""
    written = []
    for action in actions:
        if action.get("Type") == "forward":
            order = {"Order": action["Order"]} if "Order" in action else {}
            action = {"Type": "forward", **order, "ForwardConfig": _forward(weights)}
        written.append(dict(action))
    return written


def weights_of(action: Mapping[str, Any]) -> Weights:
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups")
    if groups:
        return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
    return {action["TargetGroupArn"]: 1} if "TargetGroupArn" in action else {}


def is_sticky(action: Mapping[str, Any]) -> bool:
    stickiness = (action.get("ForwardConfig") or {}).get("TargetGroupStickinessConfig") or {}
    return bool(stickiness.get("Enabled"))


def _forward(weights: Weights) -> dict[str, Any]:
    return {
        "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()],
        "TargetGroupStickinessConfig": {"Enabled": False},
    }

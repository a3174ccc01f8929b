"""Actions of listeners and rules: checked, and brought into the shape in which ELB describes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.errors import AwsError
from turnout.loadbalancer.envoy.routes import check_redirect

Document = dict[str, Any]

REDIRECT_DEFAULTS = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}
MOST_GROUPS = 5
CONTENT_TYPES = ("text/html", "application/json", "application/javascript", "text/css", "text/plain")


def normal_actions(actions: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The actions as Describe shows them. Raises AwsError for what ELB, or turnout, does not accept.

    A forward always has a ForwardConfig; TargetGroupArn beside it only if there is one group.
    """
    if len(actions) != 1:
        # Several actions are an authentication before a last one, which turnout refuses anyway.
        raise AwsError("InvalidLoadBalancerAction", "Exactly one forward, redirect or fixed-response action is needed")
    return [_normal(action) for action in actions]


def _normal(action: Mapping[str, Any]) -> Document:
    kind = action["Type"]
    normal: Document = {"Type": kind}
    if "Order" in action:
        normal["Order"] = action["Order"]
    if kind == "forward":
        normal.update(_forward(action))
    elif kind == "redirect":
        normal["RedirectConfig"] = _redirect(action)
    elif kind == "fixed-response":
        normal["FixedResponseConfig"] = _fixed_response(action)
    else:
        raise AwsError("InvalidLoadBalancerAction", f"turnout does not implement actions of type {kind} yet")
    return normal


def _forward(action: Mapping[str, Any]) -> Document:
    config = action.get("ForwardConfig") or {}
    arn = action.get("TargetGroupArn")
    groups = [
        {"TargetGroupArn": group["TargetGroupArn"], "Weight": group.get("Weight", 1)}
        for group in config.get("TargetGroups") or ([{"TargetGroupArn": arn}] if arn else [])
    ]
    if not groups:
        raise AwsError("ValidationError", "A target group ARN must be specified for an action of type 'forward'")
    if arn and [group["TargetGroupArn"] for group in groups] != [arn]:
        raise AwsError(
            "ValidationError", "If both TargetGroupArn and ForwardConfig are specified, they must name the same group"
        )
    if len(groups) > MOST_GROUPS:
        raise AwsError("TooManyTargetGroups", f"An action forwards to {MOST_GROUPS} target groups at most")
    if len({group["TargetGroupArn"] for group in groups}) < len(groups):
        raise AwsError("ValidationError", "A target group can be named once in an action")
    for group in groups:
        if not 0 <= group["Weight"] <= 999:
            raise AwsError("ValidationError", f"Weight {group['Weight']} must be between 0 and 999")
    stickiness = dict(config.get("TargetGroupStickinessConfig") or {"Enabled": False})
    if stickiness.setdefault("Enabled", False):
        raise AwsError("InvalidLoadBalancerAction", "turnout does not implement target group stickiness yet")
    normal: Document = {"ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}}
    if len(groups) == 1:
        normal["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return normal


def _redirect(action: Mapping[str, Any]) -> Document:
    given = _config(action, "RedirectConfig")
    config = {**REDIRECT_DEFAULTS, **given}
    if all(config[member] == default for member, default in REDIRECT_DEFAULTS.items()):
        raise AwsError("InvalidLoadBalancerAction", "The redirect would lead to itself: change at least one component")
    if not config["Path"].startswith("/"):
        raise AwsError("ValidationError", "The redirect path must start with '/'")
    if config["Port"] != "#{port}" and not (config["Port"].isdigit() and 1 <= int(config["Port"]) <= 65535):
        raise AwsError("ValidationError", f"The redirect port '{config['Port']}' is not a port, nor #{{port}}")
    if problem := check_redirect(config):
        raise AwsError("InvalidLoadBalancerAction", f"turnout does not implement this redirect yet. {problem}")
    return config


def _fixed_response(action: Mapping[str, Any]) -> Document:
    config = dict(_config(action, "FixedResponseConfig"))
    if config.get("ContentType") and config["ContentType"] not in CONTENT_TYPES:
        known = ", ".join(f"'{one}'" for one in CONTENT_TYPES)
        raise AwsError("InvalidLoadBalancerAction", f"The ContentType must be one of: {known}")
    return config


def _config(action: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    config: Mapping[str, Any] | None = action.get(member)
    if config is None:
        raise AwsError("ValidationError", f"{member} must be specified for an action of type '{action['Type']}'")
    return config

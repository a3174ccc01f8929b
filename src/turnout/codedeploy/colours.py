"""The two colours of a deployment: blue is what served when it began, green is what it brings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout.codedeploy.routes import Route, routes_with

BLUE, GREEN = "blue", "green"

Facts = Mapping[str, Any]
"""What a deployment has learnt: `facts["blue"]` and `facts["green"]` are colours."""


def colour_of(
    target_group: Mapping[str, Any], task_set: Mapping[str, Any] | None = None, images: Sequence[Any] = ()
) -> dict[str, Any]:
    """What is kept of a colour: its target group, and its task set as far as there is one."""
    colour: dict[str, Any] = {
        "target_group": target_group["TargetGroupArn"],
        "target_group_name": target_group["TargetGroupName"],
    }
    if task_set is not None:
        colour |= {
            "task_set": task_set["taskSetArn"],
            "task_set_id": task_set["id"],
            "task_definition": task_set["taskDefinition"],
            "images": list(images),
        }
    return colour


def task_set_of(service: Mapping[str, Any], arn: str | None) -> dict[str, Any] | None:
    """A task set of a service by its ARN."""
    return next((task_set for task_set in service.get("taskSets", []) if task_set["taskSetArn"] == arn), None)


def task_set_made_for(service: Mapping[str, Any], deployment_id: str) -> dict[str, Any] | None:
    """The replacement task set of a deployment: its externalId is the deployment's id."""
    return next((t for t in service.get("taskSets", []) if t.get("externalId") == deployment_id), None)


def primary_of(service: Mapping[str, Any]) -> dict[str, Any] | None:
    return next((task_set for task_set in service.get("taskSets", []) if task_set.get("status") == "PRIMARY"), None)


def weights_of(routes: Iterable[Route], target_groups: Sequence[str]) -> dict[str, int]:
    """The weights of the first route that holds one of the target groups (the others are kept at the same)."""
    held = routes_with(routes, target_groups)
    return {arn: held[0].weights.get(arn, 0) if held else 0 for arn in target_groups}


def task_sets_info(service: Mapping[str, Any], routes: Iterable[Route], facts: Facts) -> list[dict[str, Any]]:
    """AWS's taskSetsInfo, of the task sets that exist. `identifer` is AWS's spelling."""
    known = {facts[name].get("task_set"): name for name in (BLUE, GREEN) if name in facts}
    weights = weights_of(routes, [facts[name]["target_group"] for name in (BLUE, GREEN) if name in facts])
    total = sum(weights.values())
    found = []
    for task_set in service.get("taskSets", []):
        name = known.get(task_set["taskSetArn"])
        if name is None:
            continue
        weight = weights[facts[name]["target_group"]]
        found.append(
            {
                "identifer": task_set["id"],
                "desiredCount": int(task_set.get("computedDesiredCount", 0)),
                "pendingCount": int(task_set.get("pendingCount", 0)),
                "runningCount": int(task_set.get("runningCount", 0)),
                "status": task_set["status"],
                "trafficWeight": 100.0 * weight / total if total else 0.0,
                "targetGroup": {"name": facts[name]["target_group_name"]},
                "taskSetLabel": name.capitalize(),
            }
        )
    return found

"""A service deployment of ECS as it looks at one moment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.cli.receipt_words import Receipt, waits_for
from turnout.cli.seeing import carried_of
from turnout.cli.sight import Colour, Event, Sight

STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
"""ServiceDeploymentLifecycleStage, in their order."""


def group_of(revision: Mapping[str, Any]) -> str | None:
    """The ARN of the target group that a service revision is registered in; the first, if there are several."""
    balancers = revision.get("resolvedConfiguration", {}).get("loadBalancers", [])
    return next((balancer["targetGroupArn"] for balancer in balancers), None)


def sight_of_service(
    deployment: Mapping[str, Any],
    sides: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, str | None],
    health: Mapping[str, Sequence[str]],
    receipt: Receipt | None,
) -> Sight:
    """From an entry of DescribeServiceDeployments; `groups` by colour, `health` (states of targets) by group's ARN."""
    status = deployment["status"]
    hooks = deployment.get("lifecycleHookDetails", [])
    waiting = next((hook for hook in hooks if hook.get("status") == "AWAITING_ACTION"), None)
    stage = deployment.get("lifecycleStage")
    carried = carried_of(receipt)
    is_old_gone = status == "SUCCESSFUL"
    colours = tuple(
        Colour(
            name=name,
            target_group=group.split("/")[1] if (group := groups.get(name)) else "",
            weight=0.0 if is_old_gone and name == "blue" else summary.get("requestedProductionTrafficWeight", 0.0),
            running=summary.get("runningTaskCount", 0),
            desired=summary.get("requestedTaskCount", 0),
            health=Counter(health.get(groups.get(name) or "", ())),
            carried=carried.get(name),
        )
        for name, summary in sorted(sides.items())
    )
    error = None if status == "SUCCESSFUL" else deployment.get("rollback", {}).get("reason")
    return Sight(
        deployment=deployment["serviceDeploymentArn"].rpartition("/")[2],
        status=status,
        creator="user",
        config=deployment.get("deploymentConfiguration", {}).get("strategy", "ROLLING"),
        events=events_at(stage, status),
        colours=colours,
        is_blue_kept=status == "IN_PROGRESS" and stage == "BAKE_TIME",
        error=error or (deployment.get("statusReason") if status in ("STOPPED", "ROLLBACK_FAILED") else None),
        rollback=None,
        rolls_back=None,
        told=waits_for(receipt),
        asks=waiting["hookId"] if waiting else None,
    )


def events_at(stage: str | None, status: str) -> tuple[Event, ...]:
    """The stages up to the one that it is in. Of a rollback AWS tells only where it is."""
    if stage not in STAGES:
        return ()
    if status.startswith("ROLLBACK"):
        return (Event(stage, "InProgress" if status == "ROLLBACK_IN_PROGRESS" else "Failed"),)
    here = STAGES.index(stage)
    last = "Succeeded" if status == "SUCCESSFUL" else "Failed" if status == "STOPPED" else "InProgress"
    return (*(Event(name, "Succeeded") for name in STAGES[:here]), Event(stage, last))

"""A service that is scaled while its traffic shifts: both colours follow soon, or the deployment fails.

"If a service is in the process of a blue/green deployment and a scaling event occurs, traffic will continue to shift
for 5 minutes. If the service doesn't reach steady state within 5 minutes, CodeDeploy will stop the deployment and mark
it as failed." https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html
The deadline is a fact of the run, so a restart in the middle neither prolongs nor forgets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.codedeploy.colours import BLUE, GREEN, task_set_of
from turnout.codedeploy.reach import Reach
from turnout.errors import StepFailed
from turnout.runs import Run

STEADY_WITHIN_S = 300.0
LOOK_AGAIN_S = 5.0
"""The topic of green's task set wakes the step; this is for blue's."""


async def steady_within(reach: Reach, run: Run) -> tuple[float | None, str]:
    """(seconds until it is to be looked at again, what is missing): None while all is well. Raises StepFailed."""
    service = await reach.service(run.region, run.spec["cluster"], run.spec["service"])
    facts, now = reach.facts(run), reach.clock.now()
    scaled: dict[str, Any] = facts.get("scaled") or {"desired": service["desiredCount"], "until": None}
    missing = _missing(service, facts)
    if service["desiredCount"] != scaled["desired"]:
        until = now + reach.clock.scaled_s(STEADY_WITHIN_S)
        scaled = {"desired": service["desiredCount"], "until": scaled["until"] or until}
    if not missing:
        scaled = {**scaled, "until": None}
    reach.remember(run, scaled=scaled)
    if scaled["until"] is None:
        return None, ""
    if now >= scaled["until"]:
        raise StepFailed(
            "TIMEOUT",
            "The deployment timed out while waiting for the service to reach a steady state after it was scaled to"
            f" {scaled['desired']} tasks. This time out period is {STEADY_WITHIN_S / 60:g} minutes."
            f" Last seen: {missing}.",
        )
    return min(reach.clock.scaled_s(LOOK_AGAIN_S), scaled["until"] - now), missing


def _missing(service: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What of the colours is not steady, for people."""
    words = []
    for colour in (BLUE, GREEN):
        task_set = task_set_of(service, facts[colour].get("task_set"))
        if task_set is not None and task_set.get("stabilityStatus") != "STEADY_STATE":
            running, wanted = task_set.get("runningCount", 0), task_set.get("computedDesiredCount", 0)
            words.append(f"{running} of {wanted} tasks of {colour} run")
    return ", ".join(words)

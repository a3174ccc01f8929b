"""What a deployment group of CodeDeploy is as the configuration of a service that ECS shifts by itself. Pure.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/migrate-codedeploy-to-ecs-bluegreen.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from turnout.cli.shifts import LINEAR, Shift

STAGES = {
    "BeforeInstall": "PRE_SCALE_UP",
    "AfterInstall": "POST_SCALE_UP",
    "AfterAllowTestTraffic": "POST_TEST_TRAFFIC_SHIFT",
    "BeforeAllowTraffic": "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "AfterAllowTraffic": "POST_PRODUCTION_TRAFFIC_SHIFT",
}
"""Lifecycle event of CodeDeploy → stage of ECS."""
MOST_MINUTES = 1440
LEAST_STEP = 3.0
"""Percent of a LINEAR step."""

Document = Mapping[str, Any]
Hooks = Sequence[tuple[str, str]]
"""(lifecycle event, function) of the AppSpec."""


def configuration_for(group: Document, shift: Shift, hooks: Hooks, role: str, functions: str) -> dict[str, Any]:
    """The deploymentConfiguration that UpdateService is given. `functions`: "arn:…:function:", before a name."""
    options = group.get("blueGreenDeploymentConfiguration", {})
    ready, ending = (
        options.get(part, {}) for part in ("deploymentReadyOption", "terminateBlueInstancesOnDeploymentSuccess")
    )
    made: dict[str, Any] = {**shift.configuration, "bakeTimeInMinutes": _bake(ending)}
    if shift.kind == LINEAR and shift.percent < LEAST_STEP:
        made["linearConfiguration"]["stepPercent"] = LEAST_STEP
    stages: list[dict[str, Any]] = [
        {
            "targetType": "AWS_LAMBDA",
            "hookTargetArn": function if function.startswith("arn:") else functions + function,
            "roleArn": role,
            "lifecycleStages": [STAGES[event]],
        }
        for event, function in hooks
        if event in STAGES
    ]
    if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT":
        minutes = min(ready.get("waitTimeInMinutes", MOST_MINUTES), MOST_MINUTES)
        timeout = {"timeoutInMinutes": minutes, "action": "ROLLBACK"}
        pause = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"], "timeoutConfiguration": timeout}
        stages.append(pause)
    if stages:
        made["lifecycleHooks"] = stages
    rollback = group.get("autoRollbackConfiguration", {})
    events = rollback.get("events", []) if rollback.get("enabled") else []
    if "DEPLOYMENT_FAILURE" in events:
        made["deploymentCircuitBreaker"] = {"enable": True, "rollback": True}
    alarms = group.get("alarmConfiguration", {})
    if alarms.get("enabled") and alarms.get("alarms"):
        names = [alarm["name"] for alarm in alarms["alarms"]]
        back = "DEPLOYMENT_STOP_ON_ALARM" in events
        made["alarms"] = {"alarmNames": names, "enable": True, "rollback": back}
    return made


def _bake(ending: Document) -> int:
    return int(min(ending.get("terminationWaitTimeInMinutes", 0), MOST_MINUTES))


def notes_for(group: Document, shift: Shift, hooks: Hooks) -> Iterator[str]:
    """What does not come along as it was, and what somebody has to do about it."""
    options = group.get("blueGreenDeploymentConfiguration", {})
    ending = options.get("terminateBlueInstancesOnDeploymentSuccess", {})
    if ending.get("action") == "KEEP_ALIVE":
        yield "blue is not kept for good any more: ECS stops it after the bake time (KEEP_ALIVE has no counterpart)."
    if ending.get("terminationWaitTimeInMinutes", 0) > MOST_MINUTES:
        yield f"blue is kept for {MOST_MINUTES} min: ECS does not bake longer."
    if shift.kind == LINEAR and shift.percent < LEAST_STEP:
        yield f"a step is {LEAST_STEP:g} % of the traffic: ECS makes none smaller."
    for event, function in hooks:
        if event in STAGES:
            yield (
                f"{function} has to *return* its verdict ({{'hookStatus': 'SUCCEEDED'}}) at {STAGES[event]}:"
                " PutLifecycleEventHookExecutionStatus is CodeDeploy's (docs/migrate.md)."
            )
    for trigger in group.get("triggerConfigurations", []):
        yield (
            f"the trigger {trigger['triggerName']} says nothing any more: an EventBridge rule on"
            f" 'ECS Deployment State Change' can lead to {trigger['triggerTargetArn'].rpartition(':')[2]}."
        )


def balancers_for(
    balancer: Document, live: str, other: str, rules: tuple[str, str | None], role: str
) -> dict[str, Any]:
    """An entry of UpdateService's loadBalancers. `rules`: the production rule, and the test rule if there is one."""
    production, test = rules
    advanced = {
        "alternateTargetGroupArn": other,
        "productionListenerRule": production,
        "roleArn": role,
        **({"testListenerRule": test} if test else {}),
    }
    port = {member: balancer[member] for member in ("containerName", "containerPort")}
    return {"targetGroupArn": live, **port, "advancedConfiguration": advanced}


def action_for_ecs(action: Document, cluster: str, service: str) -> dict[str, Any]:
    """A pipeline's CodeDeployToECS action as one of ECS: it reads imagedefinitions.json of the same artifact."""
    configuration = action["configuration"]
    artifact = configuration.get("Image1ArtifactName") or action["inputArtifacts"][0]["name"]
    return {
        **action,
        "actionTypeId": {**action["actionTypeId"], "provider": "ECS"},
        "configuration": {"ClusterName": cluster, "ServiceName": service, "FileName": "imagedefinitions.json"},
        "inputArtifacts": [{"name": artifact}],
    }

"""What CreateDeploymentGroup and UpdateDeploymentGroup refuse, and how they complete what they are given. Pure.

The words are AWS's where they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.codedeploy.alarms import check_alarms
from turnout.codedeploy.starting import ALL_AT_ONCE_CONFIG
from turnout.errors import AwsError

Document = dict[str, Any]

SERVER_ONLY = {
    "ec2TagFilters": "InvalidEC2TagException",
    "ec2TagSet": "InvalidEC2TagException",
    "onPremisesInstanceTagFilters": "InvalidTagException",
    "onPremisesTagSet": "InvalidTagException",
    "autoScalingGroups": "InvalidAutoScalingGroupException",
    "ec2DeploymentOptions": "InvalidInputException",
    "terminationHookEnabled": "InvalidInputException",
}
"""Members of server groups → the error of an ECS group that has one."""

KEPT = (
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "outdatedInstancesStrategy",
    "deploymentStyle",
)
MOST_TERMINATION_MINUTES = 2880


def checked(given: Mapping[str, Any]) -> Document:
    """The members of a DeploymentGroupInfo that a caller decides, complete and valid."""
    for member, code in SERVER_ONLY.items():
        if given.get(member):
            raise AwsError(code, f"For ECS deployment group, {member} can not be specified")
    style = given.get("deploymentStyle") or {}
    if (style.get("deploymentType"), style.get("deploymentOption")) != ("BLUE_GREEN", "WITH_TRAFFIC_CONTROL"):
        raise AwsError(
            "InvalidDeploymentStyleException",
            "For ECS deployment, the deployment type must be BLUE_GREEN, and deployment option must be"
            " WITH_TRAFFIC_CONTROL.",
        )
    if not given.get("serviceRoleArn"):
        raise AwsError("RoleRequiredException", "serviceRoleArn is required.")
    for trigger in given.get("triggerConfigurations") or []:
        if not all(trigger.get(member) for member in ("triggerName", "triggerTargetArn", "triggerEvents")):
            message = "A trigger must have a name, the ARN of an SNS topic, and events."
            raise AwsError("InvalidTriggerConfigException", message)
    group = {member: given[member] for member in KEPT if given.get(member) is not None}
    if given.get("alarmConfiguration") is not None:
        group["alarmConfiguration"] = check_alarms(given["alarmConfiguration"])
    group["deploymentConfigName"] = given.get("deploymentConfigName") or ALL_AT_ONCE_CONFIG
    group["outdatedInstancesStrategy"] = given.get("outdatedInstancesStrategy", "UPDATE")
    group["autoRollbackConfiguration"] = check_auto_rollback(given.get("autoRollbackConfiguration"))
    group["blueGreenDeploymentConfiguration"] = _blue_green(given.get("blueGreenDeploymentConfiguration"))
    group["loadBalancerInfo"] = _load_balancer(given.get("loadBalancerInfo"))
    group["ecsServices"] = _service(given.get("ecsServices"))
    return group


def check_auto_rollback(given: Mapping[str, Any] | None) -> Document:
    configuration = {"enabled": bool((given or {}).get("enabled")), "events": list((given or {}).get("events", []))}
    if configuration["enabled"] and not configuration["events"]:
        message = "autoRollbackConfiguration is enabled, but names no events."
        raise AwsError("InvalidAutoRollbackConfigException", message)
    return configuration


def pair_of(group: Mapping[str, Any]) -> Document:
    """The one target group pair of a checked group."""
    pair: Document = group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    return pair


def listener_of(group: Mapping[str, Any], route: str) -> str | None:
    """The listener of "prodTrafficRoute" or "testTrafficRoute"."""
    arns = (pair_of(group).get(route) or {}).get("listenerArns") or [None]
    found: str | None = arns[0]
    return found


def _blue_green(given: Mapping[str, Any] | None) -> Document:
    if given is None:
        raise _wrong_blue_green("For ECS deployment group, blueGreenDeploymentConfiguration must be specified")
    if given.get("greenFleetProvisioningOption"):
        raise _wrong_blue_green("For ECS deployment group, greenFleetProvisioningOption can not be specified")
    ready = given.get("deploymentReadyOption") or {}
    action, minutes = ready.get("actionOnTimeout", "CONTINUE_DEPLOYMENT"), int(ready.get("waitTimeInMinutes") or 0)
    if action == "CONTINUE_DEPLOYMENT" and minutes:
        raise _wrong_blue_green(
            "Deployment ready action cannot be set to 'CONTINUE_DEPLOYMENT' when timeout is specified"
        )
    if action == "STOP_DEPLOYMENT" and minutes < 1:
        raise _wrong_blue_green("Deployment ready action 'STOP_DEPLOYMENT' needs a timeout of at least 1 minute")
    terminate = given.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    keep_minutes = int(terminate.get("terminationWaitTimeInMinutes") or 0)
    if not 0 <= keep_minutes <= MOST_TERMINATION_MINUTES:
        raise _wrong_blue_green(f"terminationWaitTimeInMinutes must be from 0 to {MOST_TERMINATION_MINUTES}")
    return {
        "terminateBlueInstancesOnDeploymentSuccess": {
            "action": terminate.get("action", "TERMINATE"),
            "terminationWaitTimeInMinutes": keep_minutes,
        },
        "deploymentReadyOption": {"actionOnTimeout": action, "waitTimeInMinutes": minutes},
    }


def _load_balancer(given: Mapping[str, Any] | None) -> Document:
    if not given:
        raise _wrong_balancer("For ECS deployment group, loadBalancerInfo must be specified")
    if given.get("elbInfoList") or given.get("targetGroupInfoList"):
        raise _wrong_balancer("For ECS deployment group, only targetGroupPairInfoList can be specified")
    pairs = given.get("targetGroupPairInfoList") or []
    if len(pairs) != 1:
        raise _wrong_pair(f"exactly one target group pair must be specified, not {len(pairs)}")
    names = [group.get("name") for group in pairs[0].get("targetGroups") or []]
    if len(names) != 2 or None in names or names[0] == names[1]:
        raise _wrong_pair("exactly two different target groups must be specified by their names")
    pair: Document = {"targetGroups": [{"name": name} for name in names]}
    for route, is_needed in (("prodTrafficRoute", True), ("testTrafficRoute", False)):
        arns = (pairs[0].get(route) or {}).get("listenerArns") or []
        if len(arns) > 1 or (is_needed and not arns):
            raise _wrong_balancer(f"For ECS deployment group, {route} must have exactly one listener ARN")
        if arns:
            pair[route] = {"listenerArns": list(arns)}
    if pair.get("testTrafficRoute") == pair["prodTrafficRoute"]:
        raise _wrong_balancer("The production and the test traffic route must be different listeners")
    return {"targetGroupPairInfoList": [pair]}


def _service(given: Any) -> list[Document]:
    services = given or []
    if len(services) != 1 or not services[0].get("serviceName"):
        message = "For ECS deployment group, exactly one ECS service must be specified"
        raise AwsError("InvalidECSServiceException", message)
    service, cluster = services[0]["serviceName"], services[0].get("clusterName") or "default"
    return [{"serviceName": service.rsplit("/", 1)[-1], "clusterName": cluster.rsplit("/", 1)[-1]}]


def _wrong_blue_green(message: str) -> AwsError:
    return AwsError("InvalidBlueGreenDeploymentConfigurationException", message)


def _wrong_balancer(message: str) -> AwsError:
    return AwsError("InvalidLoadBalancerInfoException", message)


def _wrong_pair(what: str) -> AwsError:
    return AwsError("InvalidTargetGroupPairException", f"For ECS deployment group, {what}.")

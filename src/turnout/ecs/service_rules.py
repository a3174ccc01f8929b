"""What CreateService, UpdateService and CreateTaskSet refuse, and the defaults they fill in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.definition_rules import mode_of
from turnout.ecs.deployment_rules import SHIFTING_MEMBERS, check_strategy, shifting_configuration, strategy_of
from turnout.ecs.room import unsupported
from turnout.errors import AwsError

MOST_PERCENT, LEAST_HEALTHY_PERCENT = 200, 100
MOST_TASKS = 5000
"""AWS's quota of tasks per service, which cannot be raised."""
LONGEST_GRACE_S = 2_147_483_647

FROZEN = {
    "CODE_DEPLOY": {
        "taskDefinition": "task definition",
        "forceNewDeployment": "task definition",
        "loadBalancers": "load balancers",
        "networkConfiguration": "network parameters",
        "platformVersion": "platform version",
        "capacityProviderStrategy": "capacity provider strategy",
        "serviceRegistries": "service registries",
    },
    "EXTERNAL": {
        "taskDefinition": "task definition",
        "forceNewDeployment": "task definition",
        "loadBalancers": "load balancers",
        "networkConfiguration": "network parameters",
        "platformVersion": "platform version",
        "capacityProviderStrategy": "capacity provider strategy",
        "serviceRegistries": "service registries",
        "deploymentConfiguration": "deployment configuration",
    },
}
"""What UpdateService may not change, by controller."""

INSTEAD = {
    "CODE_DEPLOY": "Use AWS CodeDeploy to trigger a new deployment.",
    "EXTERNAL": "Create a new task set to change it.",
}


def desired_count(asked: Mapping[str, Any], default: int) -> int:
    """How many tasks are wanted. Raises InvalidParameterException for less than none, and for more than AWS's quota."""
    desired: int = asked.get("desiredCount", default)
    if desired < 0:
        raise _invalid("Desired count must be zero or more.")
    if desired > MOST_TASKS:
        raise _invalid(f"Desired count must be {MOST_TASKS} or less, the quota of tasks per service, not {desired}.")
    return desired


def check_options(asked: Mapping[str, Any], controller: str) -> None:
    """Raise for options that turnout cannot honour: they would change what happens."""
    if asked.get("schedulingStrategy") == "DAEMON":
        if controller != "ECS":
            raise _invalid(
                f"The DAEMON scheduling strategy is not supported with a {controller} deployment controller."
            )
        raise unsupported("the DAEMON scheduling strategy")
    grace_s = asked.get("healthCheckGracePeriodSeconds", 0)
    if not 0 <= grace_s <= LONGEST_GRACE_S:
        raise _invalid(f"healthCheckGracePeriodSeconds must be between 0 and {LONGEST_GRACE_S}, not {grace_s}.")
    configuration = asked.get("deploymentConfiguration", {})
    if configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        if controller != "ECS":
            raise _invalid(
                "The deployment circuit breaker can only be used for services that use the rolling update (ECS)"
                " deployment type."
            )
        threshold = configuration["deploymentCircuitBreaker"].get("thresholdConfiguration") or {}
        if threshold.get("value", 1) < 1:
            raise _invalid("The value of thresholdConfiguration must be at least 1.")
    if configuration.get("alarms", {}).get("enable"):
        if controller != "ECS":
            raise _invalid("Deployment alarms are only valid with the ECS deployment controller.")
        names = configuration["alarms"].get("alarmNames", ())
        if not names or len(set(names)) < len(names):
            raise _invalid("alarmNames must have at least one name when deployment alarms are enabled, each once.")
    check_strategy(configuration, controller)
    if asked.get("serviceConnectConfiguration", {}).get("enabled"):
        raise unsupported("Service Connect")
    for member in ("serviceRegistries", "volumeConfigurations", "vpcLatticeConfigurations", "gatewayConnectors"):
        if asked.get(member):
            raise unsupported(member)
    for balancer in asked.get("loadBalancers", ()):
        if balancer.get("advancedConfiguration") and controller != "ECS":
            raise _invalid("advancedConfiguration is only valid with the ECS deployment controller.")
        if balancer.get("loadBalancerName"):
            raise unsupported("Classic Load Balancers")


def check_update(asked: Mapping[str, Any], controller: str) -> None:
    """What may be changed depends on the controller. Messages are AWS's."""
    for member, words in FROZEN.get(controller, {}).items():
        if asked.get(member) not in (None, False):
            raise _invalid(
                f"Unable to update {words} on services with a {controller} deployment controller. {INSTEAD[controller]}"
            )


def deployment_configuration(asked: Mapping[str, Any], former: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The percentages with AWS's defaults, and whatever else was given."""
    kept = dict(former or {})
    if asked.get("strategy") and strategy_of(asked) != strategy_of(kept):
        kept = {member: value for member, value in kept.items() if member not in SHIFTING_MEMBERS}
    made = {"maximumPercent": MOST_PERCENT, "minimumHealthyPercent": LEAST_HEALTHY_PERCENT, **kept, **asked}
    if made["maximumPercent"] < 100 or not 0 <= made["minimumHealthyPercent"] <= 100:
        raise _invalid("maximumPercent must be at least 100, minimumHealthyPercent between 0 and 100.")
    if strategy_of(made) == "ROLLING" and made["maximumPercent"] == 100 == made["minimumHealthyPercent"]:
        raise _invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    return shifting_configuration(made)


def check_balancers(balancers: Sequence[Mapping[str, Any]], definition: Mapping[str, Any]) -> None:
    """Each load balancer names a container and one of its ports."""
    containers = {container["name"]: container for container in definition["containerDefinitions"]}
    for balancer in balancers:
        name, port = balancer.get("containerName"), balancer.get("containerPort")
        if not balancer.get("targetGroupArn"):
            raise _invalid("A targetGroupArn must be specified.")
        if name not in containers:
            raise _invalid(f"The container {name} does not exist in the task definition.")
        if not any(mapping.get("containerPort") == port for mapping in containers[name].get("portMappings", ())):
            raise _invalid(f"The container {name} did not have a container port {port} defined.")


def check_target_type(group_arn: str, target_type: str, definition: Mapping[str, Any]) -> None:
    mode = mode_of(definition)
    wanted = "ip" if mode == "awsvpc" else "instance"
    if target_type != wanted:
        raise _invalid(
            f"The provided target group {group_arn} has target type {target_type}, which is incompatible with the"
            f" {mode} network mode specified in the task definition."
        )


def check_network(asked: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    mode, given = mode_of(definition), asked.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if mode == "awsvpc" and not given:
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if mode != "awsvpc" and given:
        raise _invalid("Network Configuration is not valid for the given networkMode of this task definition.")


def check_launch_type(launch_type: str, definition: Mapping[str, Any]) -> None:
    if launch_type == "FARGATE" and "FARGATE" not in definition.get("compatibilities", ()):
        raise _invalid("Task definition does not support launch_type FARGATE.")
    if launch_type == "MANAGED_INSTANCES":
        raise unsupported("the launch type MANAGED_INSTANCES")


def launch_type_of(asked: Mapping[str, Any]) -> str:
    """What a call asks for; FARGATE by its capacity providers too."""
    if asked.get("launchType") and asked.get("capacityProviderStrategy"):
        raise _invalid("Specifying both a launch type and capacity provider strategy is not supported.")
    strategy = asked.get("capacityProviderStrategy", ())
    if any(one["capacityProvider"].startswith("FARGATE") for one in strategy):
        return "FARGATE"
    return str(asked.get("launchType", "EC2"))


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)

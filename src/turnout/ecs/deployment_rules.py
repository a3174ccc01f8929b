"""What AWS refuses of the deployment strategies BLUE_GREEN, CANARY and LINEAR, and the defaults it fills in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.deployment_steps import HOOKED
from turnout.ecs.room import unsupported
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of

SHIFTING_MEMBERS = (
    "strategy",
    "bakeTimeInMinutes",
    "lifecycleHooks",
    "linearConfiguration",
    "canaryConfiguration",
)
"""What belongs to one strategy, and is forgotten when a service changes to another."""
LONGEST_MINUTES = 1440
CANARY = {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}
LINEAR = {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}

Document = Mapping[str, Any]


def strategy_of(configuration: Document) -> str:
    return str(configuration.get("strategy") or "ROLLING")


def check_strategy(asked: Document, controller: str) -> None:
    """Raise for members of a deployment configuration that the controller or the strategy does not have."""
    strategy = strategy_of(asked)
    if controller != "ECS":
        for member in ("lifecycleHooks", "linearConfiguration", "canaryConfiguration"):
            if asked.get(member):
                raise _invalid(f"{member} is only valid with the ECS deployment controller.")
        if strategy != "ROLLING":
            raise _invalid(
                f"The deployment strategy {strategy} is not supported with a {controller} deployment controller."
            )


def shifting_configuration(configuration: Document) -> dict[str, Any]:
    """A merged deployment configuration with the defaults of its strategy. Raises InvalidParameterException."""
    made, strategy = dict(configuration), strategy_of(configuration)
    for member, owner in (("canaryConfiguration", "CANARY"), ("linearConfiguration", "LINEAR")):
        if made.get(member) and strategy != owner:
            raise _invalid(f"{member} is only valid when the deployment strategy is {owner}.")
    if strategy == "ROLLING":
        if made.get("lifecycleHooks"):
            raise unsupported("lifecycleHooks of the deployment strategy ROLLING")
        if made.get("bakeTimeInMinutes"):
            raise unsupported("bakeTimeInMinutes of the deployment strategy ROLLING")
        return made
    if strategy == "BLUE_GREEN" and made.get("bakeTimeInMinutes") is None:
        raise _invalid("bakeTimeInMinutes is required for the deployment strategy BLUE_GREEN.")
    _check_minutes("bakeTimeInMinutes", made.get("bakeTimeInMinutes") or 0)
    if made.get("earlySuccessCriteria", {}).get("enable"):
        raise _invalid("earlySuccessCriteria is only valid when the deployment strategy is ROLLING.")
    if strategy == "CANARY":
        made["canaryConfiguration"] = {**CANARY, **(made.get("canaryConfiguration") or {})}
        _check_percent("canaryPercent", made["canaryConfiguration"]["canaryPercent"], 0.1)
        _check_minutes("canaryBakeTimeInMinutes", made["canaryConfiguration"]["canaryBakeTimeInMinutes"])
    if strategy == "LINEAR":
        made["linearConfiguration"] = {**LINEAR, **(made.get("linearConfiguration") or {})}
        _check_percent("stepPercent", made["linearConfiguration"]["stepPercent"], 3.0)
        _check_minutes("stepBakeTimeInMinutes", made["linearConfiguration"]["stepBakeTimeInMinutes"])
    for hook in made.get("lifecycleHooks") or ():
        _check_hook(hook)
    return made


def check_advanced(balancers: Sequence[Document], strategy: str) -> None:
    """What loadBalancers must say for traffic to be shifted."""
    if strategy == "ROLLING":
        if any(balancer.get("advancedConfiguration") for balancer in balancers):
            raise _invalid("advancedConfiguration is only valid for a deployment strategy other than ROLLING.")
        return
    if not balancers and strategy != "BLUE_GREEN":
        raise _invalid(f"The deployment strategy {strategy} needs a load balancer.")
    for balancer in balancers:
        advanced = balancer.get("advancedConfiguration") or {}
        if not advanced:
            raise _invalid(
                "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment"
                " strategy."
            )
        for member in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
            if not advanced.get(member):
                raise _invalid(f"advancedConfiguration.{member} is required for an Application Load Balancer.")
        if advanced["alternateTargetGroupArn"] == balancer.get("targetGroupArn"):
            raise _invalid("alternateTargetGroupArn must be another target group than targetGroupArn.")
        for member in ("productionListenerRule", "testListenerRule"):
            if (arn := advanced.get(member)) and not (is_arn(arn) and resource_of(arn).startswith("listener-rule/")):
                raise _invalid(f"advancedConfiguration.{member} must be the ARN of a listener rule, not {arn}.")
        if advanced["productionListenerRule"] == advanced.get("testListenerRule"):
            raise _invalid("testListenerRule must be another rule than productionListenerRule.")
    _check_apart([balancer["targetGroupArn"] for balancer in balancers], "target group")
    _check_apart([b["advancedConfiguration"]["productionListenerRule"] for b in balancers], "productionListenerRule")


def check_rule(rule_arn: str, weights: Document, pair: tuple[str, str]) -> None:
    """A listener rule forwards to the two target groups, or to one of them, and to nobody else."""
    if not weights:
        raise _invalid(f"The listener rule {rule_arn} has no forward action.")
    if not set(weights) <= set(pair):
        raise _invalid(
            f"The listener rule {rule_arn} must forward to the target groups {pair[0]} and {pair[1]} only, and forwards"
            f" to {', '.join(weights)}."
        )


def _check_hook(hook: Document) -> None:
    kind = hook.get("targetType") or "AWS_LAMBDA"
    if not hook.get("lifecycleStages"):
        raise _invalid("A lifecycle hook must name at least one lifecycle stage.")
    if unknown := [stage for stage in hook["lifecycleStages"] if stage not in HOOKED]:
        raise _invalid(f"Lifecycle hooks are not supported at {unknown[0]}.")
    if kind == "PAUSE" and (hook.get("hookTargetArn") or hook.get("hookDetails")):
        raise _invalid("hookTargetArn and hookDetails are not applicable to a PAUSE hook.")
    if kind == "AWS_LAMBDA":
        for member in ("hookTargetArn", "roleArn"):
            if not hook.get(member):
                raise _invalid(f"{member} is required for an AWS_LAMBDA lifecycle hook.")


def _check_percent(member: str, percent: float, least: float) -> None:
    if not least <= percent <= 100.0 or abs(percent * 10 - round(percent * 10)) > 1e-6:
        raise _invalid(f"{member} must be a multiple of 0.1 from {least} to 100.0, not {percent:g}.")


def _check_minutes(member: str, minutes: int) -> None:
    if not 0 <= minutes <= LONGEST_MINUTES:
        raise _invalid(f"{member} must be between 0 and {LONGEST_MINUTES}, not {minutes}.")


def _check_apart(arns: Sequence[str], what: str) -> None:
    if len(set(arns)) < len(arns):
        raise _invalid(f"Each load balancer of the service needs a {what} of its own.")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)

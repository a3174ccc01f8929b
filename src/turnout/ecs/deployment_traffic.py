"""How a deployment of ECS moves traffic: the weights of listener rules, and what is said of their drain.

The weights are rows of the load balancer: what is left after a crash is found by looking at the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Aws
from turnout.errors import AwsError, StepFailed
from turnout.leaving import policy_in
from turnout.names import ACCOUNT
from turnout.routes import Weights, actions_at, is_sticky, weights_of

ELB_FAILED = "ELASTIC_LOAD_BALANCING_INVALID"


class DeploymentTraffic:
    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def find_rule(self, region: str, rule_arn: str) -> dict[str, Any] | None:
        answer = await self._aws.find("elbv2", "DescribeRules", region, missing="RuleNotFound", RuleArns=[rule_arn])
        return None if answer is None else dict(answer["Rules"][0])

    async def weights(self, region: str, rule_arn: str) -> Weights:
        """What a rule forwards to now. Raises ELASTIC_LOAD_BALANCING_INVALID."""
        return forward_of(await self._rule(region, rule_arn))[0]

    async def ensure(self, region: str, rule_arn: str, weights: Weights, cause: str | None) -> None:
        """Put a rule at `weights`, unless it is. The default rule is its listener's default action."""
        rule = await self._rule(region, rule_arn)
        found, sticky = forward_of(rule)
        if dict(found) == dict(weights) and not sticky:
            return
        actions = actions_at(rule["Actions"], weights)
        if rule.get("IsDefault"):
            arn = listener_of(rule_arn)
            await self._call("ModifyListener", region, cause, ListenerArn=arn, DefaultActions=actions)
        else:
            await self._call("ModifyRule", region, cause, RuleArn=rule_arn, Actions=actions)

    async def deregistration_delay_s(self, region: str, target_group: str) -> float:
        answer = await self._call("DescribeTargetGroupAttributes", region, None, TargetGroupArn=target_group)
        attributes = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
        return float(attributes.get("deregistration_delay.timeout_seconds", 300))

    async def long_connections(self, region: str, listener_arn: str) -> str:
        """What a listener's tag says of connections on the revision that is left."""
        answer = await self._call("DescribeTags", region, None, ResourceArns=[listener_arn])
        return policy_in({tag["Key"]: tag["Value"] for found in answer["TagDescriptions"] for tag in found["Tags"]})

    async def _rule(self, region: str, rule_arn: str) -> dict[str, Any]:
        rule = await self.find_rule(region, rule_arn)
        if rule is None:
            raise StepFailed(ELB_FAILED, f"The listener rule {rule_arn} does not exist any longer.")
        return rule

    async def _call(self, operation: str, region: str, cause: str | None, **params: Any) -> Answer:
        try:
            return await self._aws.call("elbv2", operation, region, cause=cause, **params)
        except AwsError as error:
            raise StepFailed(ELB_FAILED, f"{operation} was refused: {error.message}") from error


def forward_of(rule: Mapping[str, Any]) -> tuple[Weights, bool]:
    """(target group → weight, whether it is sticky) of the forward action of a rule; no weights: it has none. Pure."""
    for action in rule.get("Actions", ()):
        if action.get("Type") == "forward":
            return weights_of(action), is_sticky(action)
    return {}, False


def listener_of(rule_arn: str) -> str:
    """The listener of a rule, by their ARNs: …:listener-rule/app/web/L/P/R is of …:listener/app/web/L/P. Pure."""
    return rule_arn.rsplit("/", 1)[0].replace(f":{ACCOUNT}:listener-rule/", f":{ACCOUNT}:listener/", 1)

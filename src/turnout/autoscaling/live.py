"""The service of a target, and which of its target groups serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Aws
from turnout.errors import AwsError
from turnout.names import arn, resource_of
from turnout.routes import weights_of

Document = dict[str, Any]


async def live_service(aws: Aws, region: str, resource: str) -> Document | None:
    """By "service/cluster/name"; None if there is none that is ACTIVE."""
    _, cluster, name = resource.split("/")
    found = await aws.find(
        "ecs", "DescribeServices", region, missing="ClusterNotFoundException", cluster=cluster, services=[name]
    )
    services: list[Document] = (found or {}).get("services", [])
    return services[0] if services and services[0]["status"] == "ACTIVE" else None


def is_deploying(service: Mapping[str, Any]) -> bool:
    """Whether a deployment is in progress: there are several task sets or deployments, or ECS says so."""
    sets = service.get("taskSets") or service.get("deployments") or []
    return len(sets) > 1 or "currentServiceDeployment" in service


async def check_route(aws: Aws, region: str, policy: Mapping[str, Any]) -> None:
    """Raise ValidationException for a ResourceLabel whose load balancer does not lead to its target group, as AWS does:
    there would never be a datapoint.
    """
    if (label := _label_of(policy)) is None:
        return
    balancer, _, group = label.partition("/targetgroup/")
    group_arn = arn("elasticloadbalancing", region, f"targetgroup/{group}")
    found = await aws.find(
        "elbv2", "DescribeTargetGroups", region, missing="TargetGroupNotFound", TargetGroupArns=[group_arn]
    )
    if found is None:
        raise AwsError(
            "ValidationException", f"There is no target group {group_arn}, which ResourceLabel {label} names"
        )
    leading = found["TargetGroups"][0]["LoadBalancerArns"]
    if arn("elasticloadbalancing", region, f"loadbalancer/{balancer}") not in leading:
        by = ", ".join(resource_of(one).removeprefix("loadbalancer/") for one in leading) or "none"
        raise AwsError(
            "ValidationException",
            f"The load balancer does not route traffic to the target group: {balancer} has no listener or rule that"
            f" forwards to targetgroup/{group} ({by} does)",
        )


async def with_live_group(aws: Aws, region: str, policy: Document, service: Document) -> Document:
    """The policy with the ResourceLabel of the target group that serves now, if it names another of the service's.

    A blue/green deployment changes the group that serves. AWS's alarms stay with the one of the label, and that is why
    AWS does not support ALBRequestCountPerTarget with such deployments (docs/choices.md).
    """
    if (label := _label_of(policy)) is None:
        return policy
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    balancer, _, group = label.partition("/targetgroup/")
    live = await _live_group(aws, region, service, f"targetgroup/{group}")
    if live is None:
        return policy
    metric = {**tracking["PredefinedMetricSpecification"], "ResourceLabel": f"{balancer}/{live}"}
    return {
        **policy,
        "TargetTrackingScalingPolicyConfiguration": {**tracking, "PredefinedMetricSpecification": metric},
    }


def _label_of(policy: Mapping[str, Any]) -> str | None:
    """ "app/web/0123/targetgroup/web-green/4567", where the policy tracks requests per target."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    label: str | None = (tracking.get("PredefinedMetricSpecification") or {}).get("ResourceLabel")
    return label or None


async def _live_group(aws: Aws, region: str, service: Document, labelled: str) -> str | None:
    """ "targetgroup/web-green/0123" of the group that serves; None if the label is of no group of the service."""
    sets = service.get("taskSets") or []
    balancers = [b for holder in (service, *sets) for b in holder.get("loadBalancers", [])]
    groups: set[str] = set()
    rules: set[str] = set()
    for balancer in balancers:
        advanced = balancer.get("advancedConfiguration") or {}
        arns = (balancer.get("targetGroupArn"), advanced.get("alternateTargetGroupArn"))
        groups |= {resource_of(arn) for arn in arns if arn}
        rules |= {advanced["productionListenerRule"]} if advanced.get("productionListenerRule") else set()
    primary = next((one for one in sets if one["status"] == "PRIMARY"), None)
    if primary is not None:
        # Of a pair that takes turns only one is known at a time: the label may be of the other.
        serving = [resource_of(b["targetGroupArn"]) for b in primary.get("loadBalancers", [])]
        return labelled if labelled in serving else next(iter(serving), None)
    if labelled in groups and rules:
        found = await aws.call("elbv2", "DescribeRules", region, RuleArns=sorted(rules))
        weights: dict[str, int] = {}
        for rule in found["Rules"]:
            for action in rule["Actions"]:
                weights |= {resource_of(arn): weight for arn, weight in weights_of(action).items()}
        return max(weights, key=lambda group: weights[group], default=None)
    return None

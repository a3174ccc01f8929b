"""What is refused of targets and policies, with AWS's errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from turnout.autoscaling.tracking import ECS_METRICS, REQUESTS
from turnout.errors import AwsError

_RESOURCE = re.compile(r"service/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")
_LABEL = re.compile(r"app/[^/]+/[^/]+/targetgroup/[^/]+/[^/]+")


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def check_resource(resource: str, dimension: str, expected: str) -> None:
    if dimension != expected or not _RESOURCE.fullmatch(resource):
        raise invalid(
            "Unsupported service namespace, resource type or scalable dimension: of ECS it is resource ID"
            f" service/CLUSTER/SERVICE with {expected}, not {resource} with {dimension}"
        )


def check_capacities(minimum: int | None, maximum: int | None) -> None:
    for name, value in (("MinCapacity", minimum), ("MaxCapacity", maximum)):
        if value is None:
            raise invalid(f"{name} must be given for a scalable target that is new")
        if value < 0:
            raise invalid(f"{name} must be 0 or more, not {value}")
    assert minimum is not None
    assert maximum is not None
    if minimum > maximum:
        raise invalid(f"Maximum capacity cannot be less than minimum capacity: {maximum} is less than {minimum}")


def check_policy(given: Mapping[str, Any], kind: str) -> None:
    if kind == "PredictiveScaling":
        raise invalid("turnout does not forecast: PolicyType is TargetTrackingScaling or StepScaling")
    member = {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
    }[kind]
    if not given.get(member):
        raise invalid(f"A policy of type {kind} needs {member}")
    (_check_tracking if kind == "TargetTrackingScaling" else _check_steps)(given[member])


def _check_tracking(tracking: Mapping[str, Any]) -> None:
    predefined, custom = tracking.get("PredefinedMetricSpecification"), tracking.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given")
    for member in ("ScaleOutCooldown", "ScaleInCooldown"):
        _check_cooldown(member, tracking.get(member))
    if not tracking["TargetValue"] > 0:
        raise invalid(f"TargetValue must be greater than 0, not {tracking['TargetValue']}")
    if custom is not None:
        if custom.get("Metrics"):
            raise invalid("turnout tracks one metric, without metric math: give MetricName, Namespace and Statistic")
        if missing := [name for name in ("MetricName", "Namespace", "Statistic") if not custom.get(name)]:
            raise invalid(f"CustomizedMetricSpecification needs {', '.join(missing)}")
        return
    assert predefined is not None
    kind, label = predefined["PredefinedMetricType"], predefined.get("ResourceLabel")
    if kind not in (*ECS_METRICS, REQUESTS):
        raise invalid(f"{kind} is no metric of an ECS service: {', '.join((*ECS_METRICS, REQUESTS))} are")
    if kind == REQUESTS and not _LABEL.fullmatch(label or ""):
        raise invalid(
            f"{REQUESTS} needs the ResourceLabel app/BALANCER/ID/targetgroup/GROUP/ID: the ends of the ARNs of the load"
            f" balancer and the target group, not {label!r}"
        )
    if kind != REQUESTS and label:
        raise invalid(f"ResourceLabel is for {REQUESTS} only")


def _check_cooldown(member: str, seconds: int | None) -> None:
    if seconds is not None and seconds < 0:
        raise invalid(f"{member} is a number of seconds, 0 or more, not {seconds}")


def _check_steps(steps: Mapping[str, Any]) -> None:
    if not steps.get("AdjustmentType"):
        raise invalid("StepScalingPolicyConfiguration needs AdjustmentType")
    _check_cooldown("Cooldown", steps.get("Cooldown"))
    adjustments = steps.get("StepAdjustments") or []
    if not adjustments:
        raise invalid("StepScalingPolicyConfiguration needs at least one of StepAdjustments")
    if steps.get("MinAdjustmentMagnitude") and steps["AdjustmentType"] != "PercentChangeInCapacity":
        raise invalid("MinAdjustmentMagnitude is for the AdjustmentType PercentChangeInCapacity only")
    spans = []
    for step in adjustments:
        lower, upper = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
        if lower is None and upper is None and len(adjustments) > 1:
            raise invalid("At least one bound of each of several StepAdjustments must be given")
        spans.append((float("-inf") if lower is None else lower, float("inf") if upper is None else upper))
    spans.sort()
    if any(lower >= upper for lower, upper in spans):
        raise invalid("MetricIntervalLowerBound must be less than MetricIntervalUpperBound")
    if any(first[1] != second[0] for first, second in pairwise(spans)):
        raise invalid("StepAdjustments must neither overlap nor leave a gap")

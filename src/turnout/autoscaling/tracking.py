"""The alarms that Application Auto Scaling makes for a target tracking policy. Pure.

Above the target for 3 minutes: scale out. Below 90 % of it for 15 minutes: scale in.
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

HIGH_PERIODS, LOW_PERIODS = 3, 15
LOW_SHARE = 0.9
PERIOD = 60
ECS_METRICS = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
}
REQUESTS = "ALBRequestCountPerTarget"
_NAME = r"TargetTracking-{resource}-Alarm(High|Low)-[0-9a-f-]{{36}}"


def alarm_name(resource: str, direction: str, unique: str) -> str:
    """TargetTracking-service/shop/web-AlarmHigh-<uuid>"""
    return f"TargetTracking-{resource}-Alarm{direction}-{unique}"


def is_alarm_of(resource: str, name: str) -> bool:
    return re.fullmatch(_NAME.format(resource=re.escape(resource)), name) is not None


def is_high(name: str) -> bool:
    return "-AlarmHigh-" in name


def tracking_alarms(policy: Mapping[str, Any]) -> list[Document]:
    """What PutMetricAlarm is asked for; nothing for a step scaling policy, whose alarms are the user's."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        return []
    metric = metric_of(policy["ResourceId"], tracking)
    target = float(tracking["TargetValue"])
    alarms = []
    for alarm in policy["Alarms"]:
        high = is_high(alarm["AlarmName"])
        alarms.append(
            {
                "AlarmName": alarm["AlarmName"],
                "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
                "ActionsEnabled": True,
                "AlarmActions": [policy["PolicyARN"]],
                **metric,
                "Period": PERIOD,
                "EvaluationPeriods": HIGH_PERIODS if high else LOW_PERIODS,
                "Threshold": target if high else target * LOW_SHARE,
                "ComparisonOperator": "GreaterThanThreshold" if high else "LessThanThreshold",
            }
        )
    return alarms


def metric_of(resource: str, tracking: Mapping[str, Any]) -> Document:
    """Namespace, MetricName, Dimensions, Statistic and perhaps Unit."""
    if (custom := tracking.get("CustomizedMetricSpecification")) is not None:
        members = ("Namespace", "MetricName", "Statistic", "Unit")
        dimensions = [dict(dimension) for dimension in custom.get("Dimensions") or ()]
        return {**{member: custom[member] for member in members if custom.get(member)}, "Dimensions": dimensions}
    predefined = tracking["PredefinedMetricSpecification"]
    if predefined["PredefinedMetricType"] == REQUESTS:
        balancer, _, group = predefined["ResourceLabel"].partition("/targetgroup/")
        return {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "RequestCountPerTarget",
            "Statistic": "Sum",
            "Dimensions": [
                {"Name": "TargetGroup", "Value": f"targetgroup/{group}"},
                {"Name": "LoadBalancer", "Value": balancer},
            ],
        }
    _, cluster, service = resource.split("/")
    return {
        "Namespace": "AWS/ECS",
        "MetricName": ECS_METRICS[predefined["PredefinedMetricType"]],
        "Statistic": "Average",
        "Unit": "Percent",
        "Dimensions": [{"Name": "ClusterName", "Value": cluster}, {"Name": "ServiceName", "Value": service}],
    }

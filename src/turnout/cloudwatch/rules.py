"""What PutMetricAlarm refuses, and how it completes what it is given. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from turnout.cloudwatch.judging import COMPARISONS
from turnout.cloudwatch.points import percent_of
from turnout.errors import AwsError

KEPT = (
    "AlarmName",
    "AlarmDescription",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
)
NOT_EVALUATED = (
    "Metrics",
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
)
"""An alarm with one of these would be another alarm without it: it is refused, and never kept unevaluated."""

MISSING = ("breaching", "notBreaching", "ignore", "missing")
WEEK_S, DAY_S = 7 * 86_400, 86_400


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a MetricAlarm that a caller decides, complete and valid."""
    for member in NOT_EVALUATED:
        if given.get(member):
            raise AwsError(
                "NotImplementedException",
                f"{member} of alarm {given['AlarmName']}: turnout evaluates alarms on the statistic of one metric"
                " against a fixed Threshold (no metric math, anomaly detection or queries).",
                501,
            )
    for member in ("ComparisonOperator", "EvaluationPeriods", "MetricName", "Namespace", "Period", "Threshold"):
        if given.get(member) is None:
            raise AwsError("MissingParameter", f"The parameter {member} is required for an alarm on a metric.")
    if not math.isfinite(given["Threshold"]):
        raise AwsError("ValidationError", f"Threshold must be a finite number, not {given['Threshold']}.")
    comparison = given["ComparisonOperator"]
    if comparison not in COMPARISONS:
        raise AwsError(
            "NotImplementedException",
            f"ComparisonOperator {comparison}: turnout has no anomaly detection, only {', '.join(COMPARISONS)}.",
            501,
        )
    if bool(given.get("Statistic")) == bool(given.get("ExtendedStatistic")):
        message = "Exactly one of Statistic and ExtendedStatistic must be specified."
        raise AwsError("InvalidParameterCombination", message)
    if given.get("ExtendedStatistic"):
        percent_of(given["ExtendedStatistic"])
    period, periods = given["Period"], given["EvaluationPeriods"]
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise AwsError("ValidationError", f"Period must be 10, 20, 30 or a multiple of 60, not {period}.")
    if period * periods > (WEEK_S if period >= 3600 else DAY_S):
        message = "Metrics cannot be checked across more than a day (a week, for periods of an hour or more)."
        raise AwsError("ValidationError", f"{message} EvaluationPeriods * Period is {period * periods} s.")
    if not 1 <= (given.get("DatapointsToAlarm") or periods) <= periods:
        message = "DatapointsToAlarm must be from 1 to EvaluationPeriods."
        raise AwsError("ValidationError", f"{message} Not {given['DatapointsToAlarm']} of {periods}.")
    if given.get("TreatMissingData", "missing") not in MISSING:
        raise AwsError("ValidationError", f"TreatMissingData must be one of {', '.join(MISSING)}.")
    if given.get("EvaluateLowSampleCountPercentile", "evaluate") not in ("evaluate", "ignore"):
        raise AwsError("ValidationError", "EvaluateLowSampleCountPercentile must be evaluate or ignore.")
    alarm = {member: given[member] for member in KEPT if given.get(member) is not None}
    alarm["Threshold"] = float(alarm["Threshold"])
    alarm["Dimensions"] = [dict(dimension) for dimension in given.get("Dimensions") or ()]
    alarm["ActionsEnabled"] = given.get("ActionsEnabled", True)
    for member in ("OKActions", "AlarmActions", "InsufficientDataActions"):
        alarm[member] = list(given.get(member) or ())
    return alarm

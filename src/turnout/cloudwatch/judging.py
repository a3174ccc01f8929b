"""What the state of an alarm is, given its datapoints. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
`window` is the oldest first, None is missing: the last N periods, and a few before them (AWS's "evaluation range").
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.cloudwatch.words import short_time

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

EXTRA_PERIODS = 2
"""Periods beyond the evaluation periods that are looked at, in case that some of those are missing."""

ONLY_GROWS = {"SampleCount": "Greater", "Sum": "Greater", "Maximum": "Greater", "Minimum": "Less"}
"""Statistic → the comparisons that a period which has not ended can only confirm once they hold."""


@dataclass(frozen=True)
class Seen:
    """One period that has a value."""

    at: float
    value: float
    count: float


@dataclass(frozen=True)
class Verdict:
    """`state` None: the state stays as it is."""

    state: str | None
    reason: str = ""
    evaluated: tuple[Seen, ...] = ()


def judge(alarm: Mapping[str, Any], window: Sequence[Seen | None]) -> Verdict:
    """The verdict on the last EvaluationPeriods of the window, by TreatMissingData."""
    periods = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm") or periods
    treat = alarm.get("TreatMissingData", "missing")
    existing = tuple(seen for seen in window if seen is not None)[-periods:]
    missing = periods - len(existing)
    compare, words = COMPARISONS[alarm["ComparisonOperator"]]
    breaching = sum(compare(seen.value, alarm["Threshold"]) for seen in existing)
    if not existing and treat in ("missing", "ignore"):
        reason = f"Insufficient Data: {_counted(periods, 'datapoint')} {'was' if periods == 1 else 'were'} unknown."
        return Verdict(UNKNOWN if treat == "missing" else None, reason)
    if treat == "breaching":
        breaching += missing
    if breaching >= needed:
        return Verdict(ALARM, _reason(alarm, existing, missing, words, ALARM), existing)
    is_undecided = missing > 0 and treat in ("missing", "ignore") and breaching == len(existing)
    if is_undecided:
        # All that there is breaches, but it is less than what an alarm needs. If the oldest of it is old enough,
        # AWS alarms ("premature alarm state" is what it avoids); else the state stays.
        oldest = next(i for i, seen in enumerate(reversed(window), 1) if seen is existing[0])
        if treat == "missing" and needed <= oldest <= periods:
            return Verdict(ALARM, _reason(alarm, existing, missing, words, ALARM), existing)
        return Verdict(None)
    return Verdict(OK, _reason(alarm, existing, missing, words, OK), existing)


def can_only_grow(alarm: Mapping[str, Any]) -> bool:
    """Whether a period that breaches before its end still does at its end (for values of zero or more)."""
    return str(alarm["ComparisonOperator"]).startswith(ONLY_GROWS.get(alarm.get("Statistic", ""), "Never"))


def breaches(alarm: Mapping[str, Any], value: float) -> bool:
    return COMPARISONS[alarm["ComparisonOperator"]][0](value, alarm["Threshold"])


def has_few_samples(percent: float, count: float) -> bool:
    """Whether a percentile of so few samples means little: below 10/(1-p) of them, or 10/p in the lower half."""
    share = percent / 100
    rest = min(share, 1 - share)
    return rest > 0 and count < 10 / rest


def _reason(alarm: Mapping[str, Any], existing: Sequence[Seen], missing: int, words: str, state: str) -> str:
    periods = alarm["EvaluationPeriods"]
    treat = alarm.get("TreatMissingData", "missing")
    treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(treat)
    filled = ""
    if missing and treated:
        filled = f"{_counted(missing, 'missing datapoint')} {'was' if missing == 1 else 'were'} treated as [{treated}]"
    if not existing:
        return f"Threshold Crossed: no datapoints were received for {_counted(periods, 'period')} and {filled}."
    needed = alarm.get("DatapointsToAlarm") or periods
    values = ", ".join(f"{seen.value} ({short_time(seen.at)})" for seen in reversed(existing))
    compare = COMPARISONS[alarm["ComparisonOperator"]][0]
    if state == ALARM:
        of_it = sum(compare(seen.value, alarm["Threshold"]) for seen in existing)
        verb = f"{'was' if of_it == 1 else 'were'} {words}"
        minimum, move = needed, "OK -> ALARM"
    else:
        of_it = sum(not compare(seen.value, alarm["Threshold"]) for seen in existing)
        verb = f"{'was' if of_it == 1 else 'were'} not {words}"
        minimum, move = periods - needed + 1, "ALARM -> OK"
    return (
        f"Threshold Crossed: {of_it} out of the last {_counted(len(existing), 'datapoint')} [{values}] {verb} the"
        f" threshold ({float(alarm['Threshold'])}) (minimum {_counted(minimum, 'datapoint')} for {move} transition)"
        f"{' and ' + filled if filled else ''}."
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"

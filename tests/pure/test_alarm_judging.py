"""AWS's own tables of missing data: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"""

from __future__ import annotations

import pytest

from turnout.cloudwatch.judging import Seen, judge
from turnout.cloudwatch.points import merge, point_of, statistic

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
STATES = {"A": "ALARM", "O": "OK", "I": "INSUFFICIENT_DATA", "=": None}


@pytest.mark.parametrize(
    ("periods", "needed", "window", "states"),
    [
        (3, 3, "0-X-X", "OOOO"),
        (3, 3, "----0", "OOOO"),
        (3, 3, "-----", "I=AO"),
        (3, 3, "0XX-X", "AAAA"),
        (3, 3, "--X--", "A=AO"),
        (3, 2, "0-X-X", "AAAA"),
        (3, 2, "00X0X", "AAAA"),
        (3, 2, "0-X--", "OOAO"),
        (3, 2, "----0", "OOAO"),
        (3, 3, "----X", "==AO"),
    ],
)
def test_missing_data_is_treated_as_in_awss_tables(periods: int, needed: int, window: str, states: str) -> None:
    seen = [None if c == "-" else Seen(60.0 * i, float(c == "X"), 1) for i, c in enumerate(window)]
    for treat, expected in zip(TREATMENTS, states, strict=True):
        alarm = {
            "EvaluationPeriods": periods,
            "DatapointsToAlarm": needed,
            "TreatMissingData": treat,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        assert judge(alarm, seen).state == STATES[expected], treat


def test_many_different_values_keep_their_percentiles_to_a_hundredth() -> None:
    point = merge(point_of({float(value): 1.0}) for value in range(1, 10_001))
    assert point is not None
    assert point.values is not None
    assert len(point.values) <= 1000
    assert statistic(point, "p99") == pytest.approx(9900, rel=0.02)
    assert statistic(point, "Sum") == 50_005_000

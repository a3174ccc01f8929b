"""What CloudWatch says of the alarms of a policy: which are in ALARM, and how far."""

from __future__ import annotations

from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock

Document = dict[str, Any]

MOST_PERIODS = 3
"""How far back the newest value may lie."""


class Readings:
    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock

    async def alarms(self, region: str, policy: Document) -> list[Document]:
        """The alarms in ALARM that invoke a policy."""
        found = await self._aws.call(
            "cloudwatch", "DescribeAlarms", region, ActionPrefix=policy["PolicyARN"], StateValue="ALARM"
        )
        return [a for a in found["MetricAlarms"] if a["ActionsEnabled"] and policy["PolicyARN"] in a["AlarmActions"]]

    async def newest(self, region: str, alarm: Document) -> tuple[float, float] | None:
        """(value, begin of the period) of the newest period that has ended and has a value; None if none has lately.

        With `--speed` periods are shorter than CloudWatch has a Period for: then it is put together from seconds.
        """
        period_s = self._clock.scaled_s(alarm["Period"])
        end = self._clock.now() // period_s * period_s
        for number in range(MOST_PERIODS):
            until = end - number * period_s
            if (value := await self._within(region, alarm, until - period_s, until)) is not None:
                return value, until - period_s
        return None

    async def _within(self, region: str, alarm: Document, start: float, end: float) -> float | None:
        statistics: dict[str, Any] = {"Statistics": ["SampleCount", "Sum", "Minimum", "Maximum"]}
        extended = alarm.get("ExtendedStatistic")
        if extended:
            statistics = {"ExtendedStatistics": [extended]}
        answer = await self._aws.call(
            "cloudwatch",
            "GetMetricStatistics",
            region,
            Namespace=alarm["Namespace"],
            MetricName=alarm["MetricName"],
            Dimensions=alarm.get("Dimensions", []),
            StartTime=start,
            EndTime=end,
            Period=alarm["Period"] if self._clock.speed == 1.0 else 1,
            **statistics,
            **({"Unit": alarm["Unit"]} if alarm.get("Unit") else {}),
        )
        points = answer["Datapoints"]
        if not points:
            return None
        if extended:
            # Percentiles of seconds cannot be put together: the worst of them is what the policy reacts to.
            return max(float(point["ExtendedStatistics"][extended]) for point in points)
        count, total = (sum(float(point[name]) for point in points) for name in ("SampleCount", "Sum"))
        return {
            "SampleCount": count,
            "Sum": total,
            "Average": total / count if count else 0.0,
            "Minimum": min(float(point["Minimum"]) for point in points),
            "Maximum": max(float(point["Maximum"]) for point in points),
        }[alarm["Statistic"]]

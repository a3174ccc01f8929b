"""What services measure of themselves: looked at for as long as the engine runs, and published as CloudWatch metrics.

Not runs: a look that the engine's death cuts short is simply followed by the next, which sees what that one has missed.
Each look decides by itself whether there is anything to say: whether a period has ended, or an alarm is waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from turnout.aws import Aws, Call
from turnout.clock import Clock

log = logging.getLogger(__name__)

PERIOD_S = 60.0
"""AWS's services publish once a minute."""
LOOK_EVERY_S = 1.0
MOST_DATA = 200
"""In one PutMetricData: AWS takes 1,000, which would hold everybody else up for too long."""

Datum = dict[str, Any]


class Measure(Protocol):
    async def look(self) -> None:
        """Publish what is due, if anything. Called about once a second."""


async def measure_forever(measures: Sequence[Measure], clock: Clock) -> None:
    """Look until cancelled. A look that stumbles is told in the log, and followed by the next."""
    while True:
        for measure in measures:
            try:
                await measure.look()
            except Exception:
                log.exception("measuring stumbled; it goes on")
        await asyncio.sleep(min(LOOK_EVERY_S, clock.scaled_s(PERIOD_S) / 4))


def datum(
    name: str, dimensions: Mapping[str, str], at: float, values: Mapping[float, float], unit: str = "Count"
) -> Datum:
    """A MetricDatum: value → how often."""
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Timestamp": at,
        "Values": list(values),
        "Counts": list(values.values()),
        "Unit": unit,
    }


async def publish(
    aws: Aws, principal: str, namespace: str, region: str, data: Sequence[Datum], cause: str | None = None
) -> None:
    """Put metrics as the service `principal` (elasticloadbalancing.amazonaws.com): AWS/… is for services only.

    With a `cause` it may be repeated: the same data for the same cause are put once.
    """
    for start in range(0, len(data), MOST_DATA):
        members = {"Namespace": namespace, "MetricData": list(data[start : start + MOST_DATA])}
        part = None if cause is None else f"{cause}/{region}/{start}"
        await aws.dispatch(Call("cloudwatch", "PutMetricData", region, members, part, principal))
        await asyncio.sleep(0)

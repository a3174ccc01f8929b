"""The rules of PutLogEvents: which batch is refused, and which events of a good one are. Pure.

Times are milliseconds since the epoch, as on the wire.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from turnout.errors import AwsError

DAY_MS = 86_400_000
MAX_AGE_MS = 14 * DAY_MS
MAX_AHEAD_MS = 2 * 3_600_000
MAX_SPAN_MS = DAY_MS
MAX_BYTES = 1_048_576
EVENT_OVERHEAD = 26
"""Bytes that AWS adds to the UTF-8 of each message."""


@dataclass(frozen=True)
class Accepted:
    """`events[first:last]` of the batch are kept."""

    first: int
    last: int
    rejected: dict[str, int] | None
    """rejectedLogEventsInfo, or None if all are kept."""


def size_of(message: str) -> int:
    return len(message.encode()) + EVENT_OVERHEAD


def accept(events: Sequence[dict[str, Any]], now_ms: int) -> Accepted:
    """Raises AwsError InvalidParameterException for a batch that is refused as a whole."""
    times = [event["timestamp"] for event in events]
    size = sum(size_of(event["message"]) for event in events)
    if size > MAX_BYTES:
        raise AwsError("InvalidParameterException", f"Upload too large: {size} bytes exceeds limit of {MAX_BYTES}")
    if any(later < earlier for earlier, later in pairwise(times)):
        message = "Log events in a single PutLogEvents request must be in chronological order."
        raise AwsError("InvalidParameterException", message)
    first = sum(time < now_ms - MAX_AGE_MS for time in times)
    last = sum(time <= now_ms + MAX_AHEAD_MS for time in times)
    if first < last and times[last - 1] - times[first] > MAX_SPAN_MS:
        message = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        raise AwsError("InvalidParameterException", message)
    rejected = {}
    if first:
        rejected["tooOldLogEventEndIndex"] = first
    if last < len(times):
        rejected["tooNewLogEventStartIndex"] = last
    return Accepted(first, max(first, last), rejected or None)

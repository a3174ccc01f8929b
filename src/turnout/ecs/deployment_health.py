"""Whether the tasks of a new revision are healthy, may become it, or never will. Pure.

AWS waits as long as a stage may take. Here a deployment goes back as soon as it is certain: after three failed starts,
or a task that was stopped because of its health checks. A circuit breaker that is enabled decides by its own threshold.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MOST_FAILED_STARTS = 3
LEAST_THRESHOLD, MOST_THRESHOLD = 3, 200


def has_breaker(configuration: Mapping[str, Any]) -> bool:
    return bool((configuration.get("deploymentCircuitBreaker") or {}).get("enable"))


def threshold_for(configuration: Mapping[str, Any], desired: int) -> int:
    """How many failed tasks trip the circuit breaker."""
    asked = (configuration.get("deploymentCircuitBreaker") or {}).get("thresholdConfiguration") or {}
    kind, value = asked.get("type", "BOUNDED_PERCENT"), int(asked.get("value", 50))
    if kind == "COUNT":
        return value
    threshold = math.ceil(desired * value / 100)
    return max(1, threshold) if kind == "UNBOUNDED_PERCENT" else min(MOST_THRESHOLD, max(LEAST_THRESHOLD, threshold))


def never_healthy(
    configuration: Mapping[str, Any], desired: int, failed_tasks: int, reasons: Sequence[str]
) -> str | None:
    """Why it is certain that the new tasks do not become healthy. `reasons`: why some were stopped, newest last."""
    last = f"; the last: {reasons[-1]}" if reasons else ""
    if has_breaker(configuration):
        if failed_tasks >= threshold_for(configuration, desired):
            return f"tasks failed to start: the circuit breaker counted {failed_tasks}{last}"
        return None
    checked = [reason for reason in reasons if "health check" in reason.lower()]
    if checked:
        return checked[-1]
    return f"{failed_tasks} tasks failed to start{last}" if failed_tasks >= MOST_FAILED_STARTS else None

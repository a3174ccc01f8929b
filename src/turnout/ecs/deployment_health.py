"""Whether the tasks of a new revision are healthy, may become it, or never will. Pure.

AWS waits as long as a stage may take. Here a deployment goes back as soon as it is certain: after three failed starts,
or a task that was stopped because of its health checks. A circuit breaker that is enabled decides by its own threshold.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.service_rows import TaskSet

MOST_FAILED_STARTS = 3
UNHEALTHY, ALARMED = "CIRCUIT_BREAKER", "ALARM"
"""Why deployments end: codes of their runs."""
BREAKER = "ECS deployment circuit breaker:"
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


def failures_of(configuration: Mapping[str, Any], one: TaskSet) -> int:
    """The failed tasks that a circuit breaker counts: in a row, unless a task that starts well does not reset it."""
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    return one.failed_in_a_row if breaker.get("resetOnHealthyTask", True) else one.failed_tasks


def never_healthy(configuration: Mapping[str, Any], desired: int, one: TaskSet, reasons: Sequence[str]) -> str | None:
    """Why it is certain that the new tasks do not become healthy. `reasons`: why some were stopped, newest last."""
    last = f" The last: {reasons[-1].rstrip('.')}." if reasons else ""
    if has_breaker(configuration):
        if failures_of(configuration, one) >= threshold_for(configuration, desired):
            return f"{BREAKER} tasks failed to start.{last}"
        return None
    checked = [reason for reason in reasons if "health check" in reason.lower()]
    if checked:
        return f"The new revision does not become healthy: {checked[-1]}"
    if one.failed_tasks >= MOST_FAILED_STARTS:
        return f"The new revision does not become healthy: {one.failed_tasks} tasks failed to start.{last}"
    return None


def rolls_back(configuration: Mapping[str, Any], code: str | None) -> bool:
    """Whether a deployment that failed is rolled back: what found the failure says so, else it always is."""
    if code == ALARMED:
        return bool(configuration["alarms"].get("rollback"))
    if code == UNHEALTHY and has_breaker(configuration):
        return bool(configuration["deploymentCircuitBreaker"].get("rollback"))
    return True


def words_of(reason: str) -> str:
    """A rolloutStateReason as service events tell it: "tasks failed to start."."""
    return reason.removeprefix(BREAKER).removeprefix("ECS deployment failed:").strip()


def rolling_back(source: str, code: str | None) -> str:
    """The rolloutStateReason of a deployment that is gone back to."""
    words = {UNHEALTHY: BREAKER, ALARMED: "ECS deployment alarms:"}.get(code or "", "ECS service deployment stopped:")
    return f"{words} rolling back to deploymentId {source}."

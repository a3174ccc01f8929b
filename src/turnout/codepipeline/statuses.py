"""Our statuses in AWS's words: of an execution, of a stage, of an action. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from turnout.runs import Run, Status, Step

SUPERSEDED = "Superseded"
CANCELLED = "Cancelled"
STOPPED = "Stopped"

ACTION = {
    Status.PENDING: "InProgress",
    Status.IN_PROGRESS: "InProgress",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Abandoned",
}
"""Of an action that was begun. Who stops an execution without abandoning it lets its actions end."""

EXECUTION_EVENTS = {
    "Succeeded": "SUCCEEDED",
    "Failed": "FAILED",
    "Stopping": "STOPPING",
    STOPPED: "STOPPED",
    CANCELLED: "CANCELED",
    SUPERSEDED: "SUPERSEDED",
}


def why_stopped(run: Run) -> str:
    """Superseded, Cancelled or Stopped: how a run that ends early is called."""
    return str((run.stop or {}).get("code", STOPPED))


def execution_status(run: Run) -> str:
    """The status of an execution by its newest run."""
    if run.status is Status.STOPPED:
        return why_stopped(run)
    if run.status.is_over:
        return str(run.status)
    if run.stop is None:
        return "InProgress"
    return "Stopping" if why_stopped(run) == STOPPED else why_stopped(run)


def is_stage_over(run: Run, steps: Sequence[Step]) -> bool:
    """Whether an execution leaves a stage, given its actions there: none goes on, and none will be begun."""
    if any(step.status is Status.IN_PROGRESS for step in steps):
        return False
    ends_early = run.stop is not None or any(step.status in (Status.FAILED, Status.STOPPED) for step in steps)
    left = [step for step in steps if step.status is Status.PENDING]
    return not left or (ends_early and not any(step.wake_at is not None for step in left))


def stage_status(run: Run, steps: Sequence[Step]) -> str:
    """The status of an execution's stay in a stage, given its actions there."""
    statuses = {step.status for step in steps}
    if not is_stage_over(run, steps):
        stopping = run.stop is not None and why_stopped(run) == STOPPED
        return "Stopping" if stopping else "InProgress"
    if Status.FAILED in statuses:
        return "Failed"
    if statuses == {Status.SUCCEEDED}:
        return "Succeeded"
    return CANCELLED if why_stopped(run) == CANCELLED else STOPPED

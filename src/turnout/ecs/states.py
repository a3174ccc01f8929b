"""Where a task stands, told by the steps of its run, in AWS's words. Pure.

Start        PROVISIONING, then PENDING   images, log streams and containers
Activate     ACTIVATING                   targets are registered
Run          RUNNING                      until an essential container ends, or somebody stops it
Deactivate   DEACTIVATING                 targets are deregistered and drained
Stop         STOPPING                     SIGTERM, the stop timeout, SIGKILL
Deprovision  DEPROVISIONING               the last output is read, containers are removed
Stopped      STOPPED                      remembered for an hour
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turnout.runs import Run, Status, Step, StepSpec

START, ACTIVATE, RUN, DEACTIVATE, STOP, DEPROVISION, STOPPED = (
    "Start",
    "Activate",
    "Run",
    "Deactivate",
    "Stop",
    "Deprovision",
    "Stopped",
)
NAMES = (START, ACTIVATE, RUN, DEACTIVATE, STOP, DEPROVISION, STOPPED)
STEPS = tuple(StepSpec(name, rank) for rank, name in enumerate(NAMES))

LAST_STATUS = {
    START: "PENDING",
    ACTIVATE: "ACTIVATING",
    RUN: "RUNNING",
    DEACTIVATE: "DEACTIVATING",
    STOP: "STOPPING",
    DEPROVISION: "DEPROVISIONING",
    STOPPED: "STOPPED",
}

EXITED = "EssentialContainerExited"
FAILED_TO_START = "TaskFailedToStart"
SCHEDULER = "ServiceSchedulerInitiated"
USER = "UserInitiated"


def last_status(step: str | None, has_begun: bool) -> str:
    """The lastStatus of a task whose first unfinished step is `step`."""
    if step == START and not has_begun:
        return "PROVISIONING"
    return "STOPPED" if step is None else LAST_STATUS[step]


def desired_status(step: str | None, is_asked_to_stop: bool) -> str:
    return "RUNNING" if step in (START, ACTIVATE, RUN) and not is_asked_to_stop else "STOPPED"


@dataclass(frozen=True)
class Stop:
    """Why a task stops: AWS's stopCode, and stoppedReason for people."""

    code: str
    reason: str


def stop_for(run: Run, steps: Sequence[Step]) -> Stop | None:
    """What decided that the task stops; None while nothing has."""
    for step in steps:
        if step.name not in (START, ACTIVATE, RUN):
            break
        if step.status is Status.FAILED:
            return failure_for(step)
        if step.status is Status.STOPPED:
            break
        if step.name == RUN and step.status is Status.SUCCEEDED:
            return Stop(EXITED, str(step.result.get("reason", "Essential container in task exited")))
    if run.stop is not None:
        return Stop(str(run.stop["code"]), str(run.stop["message"]))
    return None


def failure_for(step: Step) -> Stop:
    """Why a step of the start failed: "CannotPullContainerError: there is no image web:9"."""
    code, message = step.code or "INTERNAL_ERROR", step.message or ""
    if code == EXITED:
        return Stop(EXITED, message)
    if code in ("INTERNAL_ERROR", FAILED_TO_START) or message.startswith(code):
        return Stop(FAILED_TO_START, message)
    return Stop(FAILED_TO_START, f"{code}: {message}")


def has_failed(step: Step) -> bool:
    """Whether the end of this step means that the task died by itself, not because somebody asked for it."""
    return step.name in (START, ACTIVATE, RUN) and (
        step.status is Status.FAILED or (step.name == RUN and step.status is Status.SUCCEEDED)
    )


def status_after(step: Step) -> str | None:
    """The lastStatus that the end of a step brings about, as far as it is announced."""
    if step.name == DEPROVISION:
        return "STOPPED"
    if step.name not in (START, ACTIVATE, RUN):
        return None
    if step.status is not Status.SUCCEEDED or step.name == RUN:
        return "STOPPING" if step.name == START else "DEACTIVATING"
    return LAST_STATUS[ACTIVATE if step.name == START else RUN]


def concerns_the_set(step: Step) -> bool:
    """Whether the end of a step changes what the scheduler of the task's set sees."""
    return step.name in (ACTIVATE, RUN, DEPROVISION) or step.status is not Status.SUCCEEDED

"""The lifecycle events of an ECS deployment, and the steps that a deployment and a rollback are made of. Pure.

Clients see the lifecycle events; the steps before and after them (checking, waiting, draining, measuring) are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.runs import Status, StepSpec

LIFECYCLE_EVENTS = (
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)
TEST_EVENTS = ("AllowTestTraffic", "AfterAllowTestTraffic")
"""Absent without a test listener: there are six events then."""

PREFLIGHT = "Preflight"
READY_WAIT = "ReadyWait"
TERMINATION_WAIT = "TerminationWait"
PROVE_DRAINED = "ProveDrained"
TERMINATE_BLUE = "TerminateBlue"
TERMINATE_GREEN = "TerminateGreen"
MEASURE = "Measure"
"""The last step, also of a deployment that failed: what the traffic was, for the receipt."""

INSTALL_TIMEOUT_S = 60 * 60.0

ROLLBACK_CREATOR = "codeDeployRollback"

Spec = Mapping[str, Any]
"""The frozen input of a deployment: what its run keeps as `spec`."""


def is_rollback(spec: Spec) -> bool:
    return bool(spec["creator"] == ROLLBACK_CREATOR)


def steps_for(spec: Spec) -> list[StepSpec]:
    """The steps of a deployment in their order."""
    names = [PREFLIGHT]
    for name in LIFECYCLE_EVENTS:
        if name in TEST_EVENTS and spec["test_listener_arn"] is None:
            continue
        if name == "BeforeAllowTraffic" and spec["ready_wait_minutes"] is not None and not is_rollback(spec):
            names.append(READY_WAIT)
        names.append(name)
    if is_rollback(spec):
        names += [PROVE_DRAINED, TERMINATE_GREEN]
    elif spec["terminates_blue"]:
        names += [TERMINATION_WAIT, PROVE_DRAINED, TERMINATE_BLUE]
    names.append(MEASURE)
    return [StepSpec(name, rank, INSTALL_TIMEOUT_S if name == "Install" else None) for rank, name in enumerate(names)]


EVENT_STATUS: Mapping[Status, str] = {
    Status.PENDING: "Pending",
    Status.IN_PROGRESS: "InProgress",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Failed",  # LifecycleEventStatus has no Stopped: the current event of a stopped deployment Failed
    Status.SKIPPED: "Skipped",
}
"""A step's status → LifecycleEventStatus, and the target's."""

DEPLOYMENT_STATUS: Mapping[Status, str] = {
    Status.PENDING: "Created",
    Status.IN_PROGRESS: "InProgress",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Stopped",
}
"""A run's status → DeploymentStatus; while READY_WAIT lasts it is Ready instead."""

"""The events of a build, as EventBridge gets them. Pure.

https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from turnout.aws import Event
from turnout.codebuild.descriptions import contexts_of, describe_build, status_of
from turnout.codebuild.spec import Build
from turnout.runs import Step


def build_event(build: Build, steps: Sequence[Step], at: float) -> Event:
    """CodeBuild Build State Change: IN_PROGRESS once, and how it ended."""
    described = describe_build(build, steps)
    detail = {
        "build-status": described["buildStatus"],
        "project-name": build.project,
        "build-id": build.arn,
        "additional-information": _information(build, described),
        "current-phase": described["currentPhase"],
        "current-phase-context": "[]",
        "version": "1",
    }
    return Event("aws.codebuild", "CodeBuild Build State Change", build.region, (build.arn,), detail, at)


def phase_event(build: Build, step: Step, steps: Sequence[Step], at: float) -> Event:
    """CodeBuild Build Phase Change: a phase has ended."""
    started_at, ended_at = step.started_at or at, step.ended_at or at
    context = contexts_of(step)[0]
    detail = {
        "completed-phase": step.name,
        "completed-phase-status": status_of(step.status, step.code),
        "completed-phase-context": f"[{context['statusCode']}: {context['message']}]",
        "completed-phase-start": date_of(started_at),
        "completed-phase-end": date_of(ended_at),
        "completed-phase-duration-seconds": int(ended_at - started_at),
        "project-name": build.project,
        "build-id": build.arn,
        "additional-information": _information(build, describe_build(build, steps)),
        "version": "1",
    }
    return Event("aws.codebuild", "CodeBuild Build Phase Change", build.region, (build.arn,), detail, at)


def date_of(at: float) -> str:
    """Sep 1, 2017 4:12:29 PM"""
    then = datetime.fromtimestamp(at, UTC)
    return f"{then:%b} {then.day}, {then.year} {then.hour % 12 or 12}:{then:%M:%S %p}"


def _information(build: Build, described: dict[str, Any]) -> dict[str, Any]:
    environment = described["environment"]
    information = {
        "artifact": described["artifacts"],
        "environment": {
            "image": environment["image"],
            "privileged-mode": environment["privilegedMode"],
            "compute-type": environment["computeType"],
            "type": environment["type"],
            "environment-variables": environment["environmentVariables"],
        },
        "timeout-in-minutes": described["timeoutInMinutes"],
        "queued-timeout-in-minutes": described["queuedTimeoutInMinutes"],
        "build-complete": described["buildComplete"],
        "build-number": described["buildNumber"],
        "initiator": described["initiator"],
        "build-start-time": date_of(build.run.created_at),
        "source": {name: described["source"][name] for name in ("type", "location") if described["source"].get(name)},
        "logs": {
            "group-name": build.log_group,
            "stream-name": build.log_stream,
            "deep-link": described["logs"].get("deepLink"),
        },
        "phases": [
            {
                "phase-type": phase["phaseType"],
                "start-time": date_of(phase["startTime"]),
                **_end_of(phase),
            }
            for phase in described["phases"]
        ],
    }
    if described.get("sourceVersion"):
        information["source-version"] = described["sourceVersion"]
    return information


def _end_of(phase: dict[str, Any]) -> dict[str, Any]:
    if "endTime" not in phase:
        return {}
    return {
        "end-time": date_of(phase["endTime"]),
        "duration-in-seconds": phase["durationInSeconds"],
        "phase-status": phase["phaseStatus"],
        "phase-context": [f"{context['statusCode']}: {context['message']}" for context in phase["contexts"]],
    }

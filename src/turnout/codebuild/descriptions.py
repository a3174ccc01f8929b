"""A build as AWS describes it, from its run and steps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.codebuild.spec import TIMED_OUT, Build
from turnout.names import arn
from turnout.runs import Status, Step

STATUSES = {
    Status.PENDING: "IN_PROGRESS",
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.SUCCEEDED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.STOPPED: "STOPPED",
}
_BY_CODE = {TIMED_OUT: "TIMED_OUT", "INTERNAL_ERROR": "FAULT"}
_SHOWN = (
    "sourceVersion",
    "source",
    "secondarySources",
    "secondarySourceVersions",
    "cache",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "initiator",
    "vpcConfig",
    "encryptionKey",
    "buildNumber",
)


def status_of(status: Status, code: str | None) -> str:
    """AWS's status of a build or of a phase."""
    return _BY_CODE.get(code or "", STATUSES[status]) if status is Status.FAILED else STATUSES[status]


def contexts_of(step: Step) -> list[dict[str, str]]:
    """What a phase says about its end."""
    if step.status is not Status.FAILED:
        return [{"statusCode": "", "message": ""}]
    return [{"statusCode": step.code or "", "message": step.message or ""}]


def describe_phase(step: Step, started_at: float) -> dict[str, Any]:
    """COMPLETED has no end on AWS; a phase that runs has none yet."""
    phase: dict[str, Any] = {"phaseType": step.name, "startTime": started_at}
    if step.status.is_over and step.name != "COMPLETED":
        ended_at = step.ended_at or started_at
        phase |= {
            "phaseStatus": status_of(step.status, step.code),
            "endTime": ended_at,
            "durationInSeconds": int(ended_at - started_at),
            "contexts": contexts_of(step),
        }
    return phase


def phases_of(build: Build, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The phases that have begun, and the one that is next: it begins when the one before it ends."""
    phases = []
    last_at = build.run.created_at
    for step in steps:
        if step.status is Status.SKIPPED:
            continue
        started_at = step.started_at or last_at
        phases.append(describe_phase(step, started_at))
        if not step.status.is_over:
            break
        last_at = step.ended_at or last_at
    return phases


def logs_of(build: Build) -> dict[str, Any]:
    config = build.spec["logsConfig"]
    logs: dict[str, Any] = {"cloudWatchLogs": config["cloudWatchLogs"], "s3Logs": config["s3Logs"]}
    group, stream, region = build.log_group, build.log_stream, build.region
    if group is not None:
        page = f"https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group"
        logs |= {"deepLink": f"{page}/{_escaped(group)}/log-events/{_escaped(stream)}"}
        logs["cloudWatchLogsArn"] = arn("logs", region, f"log-group:{group}:log-stream:{stream}")
        if build.run.facts.get("provisioned_at") is not None:
            logs |= {"groupName": group, "streamName": stream}
    if config["s3Logs"]["status"] == "ENABLED":
        location = config["s3Logs"]["location"].removeprefix("arn:aws:s3:::").rstrip("/")
        logs["s3LogsArn"] = f"arn:aws:s3:::{location}/{build.uuid}.gz"
    return logs


def describe_build(build: Build, steps: Sequence[Step]) -> dict[str, Any]:
    run, facts = build.run, build.run.facts
    phases = phases_of(build, steps)
    described = {name: build.spec[name] for name in _SHOWN if build.spec.get(name) is not None}
    artifacts = facts.get("artifacts") or {"location": ""}
    described |= {
        "id": build.id,
        "arn": build.arn,
        "projectName": build.project,
        "startTime": run.created_at,
        "currentPhase": phases[-1]["phaseType"] if phases else "SUBMITTED",
        "buildStatus": status_of(run.status, run.code),
        "buildComplete": run.status.is_over,
        "phases": phases,
        "artifacts": artifacts,
        "secondaryArtifacts": facts.get("secondaryArtifacts") or [],
        "logs": logs_of(build),
        "exportedEnvironmentVariables": facts.get("exported") or [],
    }
    resolved = build.spec.get("resolvedSourceVersion") or (facts.get("versions") or {}).get("0")
    if resolved:
        described["resolvedSourceVersion"] = resolved
    if run.ended_at is not None:
        described["endTime"] = run.ended_at
    return described


def _escaped(text: str) -> str:
    """The console's own escaping of slashes."""
    return text.replace("/", "$252F")

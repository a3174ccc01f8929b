"""A build as it was asked for: frozen, complete and JSON. Everything later reads it from the run's spec.

Its members are AWS's own (of Project and Build), so that what is described is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.names import arn
from turnout.runs import Run

PHASES = (
    "SUBMITTED",
    "QUEUED",
    "PROVISIONING",
    "DOWNLOAD_SOURCE",
    "INSTALL",
    "PRE_BUILD",
    "BUILD",
    "POST_BUILD",
    "UPLOAD_ARTIFACTS",
    "FINALIZING",
    "COMPLETED",
)

TIMED_OUT = "BUILD_TIMED_OUT"
"""The code of a step that ended because the build's time was over."""


@dataclass(frozen=True)
class Build:
    """What the run of a build was made of."""

    run: Run
    folder: Path
    """Everything of the build while it runs; gone afterwards. Its name has no colon: it ends up in PATH-like lists."""

    @property
    def spec(self) -> dict[str, Any]:
        return self.run.spec

    @property
    def id(self) -> str:
        return self.run.name

    @property
    def uuid(self) -> str:
        return self.run.name.rpartition(":")[2]

    @property
    def project(self) -> str:
        return self.run.name.rpartition(":")[0]

    @property
    def region(self) -> str:
        return self.run.region

    @property
    def arn(self) -> str:
        return arn("codebuild", self.region, f"build/{self.id}")

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The primary source, then the secondary ones."""
        return [self.spec["source"], *self.spec["secondarySources"]]

    @property
    def log_group(self) -> str | None:
        """None if the build does not write to CloudWatch Logs."""
        config = self.spec["logsConfig"]["cloudWatchLogs"]
        return None if config["status"] == "DISABLED" else config.get("groupName") or f"/aws/codebuild/{self.project}"

    @property
    def log_stream(self) -> str:
        prefix = self.spec["logsConfig"]["cloudWatchLogs"].get("streamName")
        return f"{prefix}/{self.uuid}" if prefix else self.uuid

    @property
    def log(self) -> Path:
        """All that was said: by us, and by the commands."""
        return self.folder / "log"

    @property
    def state(self) -> Path:
        """The shell's variables and directory between two commands."""
        return self.folder / "state"

    @property
    def fronts(self) -> Path:
        """Programs that stand before those of the PATH."""
        return self.folder / "bin"

    @property
    def registry_token(self) -> Path:
        """The build's own password for ECR."""
        return self.folder / "registry-token"

    @property
    def is_privileged(self) -> bool:
        """Whether the build may reach a Docker daemon."""
        return bool(self.spec["environment"].get("privilegedMode"))

    @property
    def buildspec(self) -> Path:
        """The buildspec as it was when the build began."""
        return self.folder / "buildspec"

    @property
    def endpoint(self) -> Path:
        """The gateway's address that the commands were last told."""
        return self.folder / "endpoint"

    @property
    def secrets(self) -> Path:
        """JSON: the values that no log may show."""
        return self.folder / "secrets"

    @property
    def deadline_at(self) -> float:
        """Unix time at which the build is ended. It is counted from the end of the queue."""
        begun_at = (
            self.run.facts.get("provisioned_at") or self.run.created_at + 60 * self.spec["queuedTimeoutInMinutes"]
        )
        return float(begun_at + 60 * self.spec["timeoutInMinutes"])

    def source_folder(self, number: int) -> Path:
        """Where the source of that number lies: 0 is the primary one."""
        source = self.sources[number]
        kind = source["type"]
        if kind in ("CODEPIPELINE", "S3"):
            return self.folder / "src" / "s3" / f"{number:02}"
        if kind == "CODECOMMIT":
            host, _, path = str(source["location"]).partition("://")[2].partition("/")
            return self.folder / "src" / host.partition(":")[0] / path.strip("/")
        return self.folder / "src" / f"{number:02}"

"""Builds in a world: their processes are real, the clock is the test's."""

from __future__ import annotations

import asyncio
import io
import textwrap
import zipfile
from typing import Any

from turnout.aws import Event
from turnout.store import Transaction

LONGEST_S = 60.0


def zipped(**files: str) -> bytes:
    """A zip of texts; a double underscore stands for a dot, so that names can be keywords."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), textwrap.dedent(text))
    return buffer.getvalue()


def unzipped(body: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


class Building:
    """One project, "app", and its builds."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.codebuild = world.boto("codebuild")
        self.s3 = world.boto("s3")
        self.events: list[Event] = []
        self._over: asyncio.Event | None = None
        self.world.aws.listen(self._hear)

    def die(self) -> None:
        """The engine is gone, as after a SIGKILL; the processes of the builds are not."""
        self.world.abandon()

    def revive(self) -> None:
        """Another engine on the same home."""
        self.world.boot()
        self.world.aws.listen(self._hear)

    def _hear(self, tx: Transaction, event: Event) -> None:
        if event.source != "aws.codebuild":
            return
        self.events.append(event)
        status = event.detail.get("build-status")
        if status not in (None, "IN_PROGRESS") and self._over is not None:
            tx.after_commit(self._over.set)

    def create(self, buildspec: str | None = None, **members: Any) -> dict[str, Any]:
        source = {"type": "NO_SOURCE", "buildspec": textwrap.dedent(buildspec or "")}
        project = {
            "name": "app",
            "source": source,
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": members.pop("variables", []),
            },
            "serviceRole": "arn:aws:iam::000000000000:role/build",
            **members,
        }
        return dict(self.codebuild.create_project(**project)["project"])

    def start(self, **overrides: Any) -> str:
        return str(self.codebuild.start_build(projectName="app", **overrides)["build"]["id"])

    def get(self, build_id: str) -> dict[str, Any]:
        return dict(self.codebuild.batch_get_builds(ids=[build_id])["builds"][0])

    def finish(self, build_id: str) -> dict[str, Any]:
        """Let a build come to its end, however long its commands take, while the clock stands still."""
        if not self.get(build_id)["buildComplete"]:
            self.world.run(self._finish())
        return self.get(build_id)

    async def _finish(self) -> None:
        self._over = asyncio.Event()
        advancing = asyncio.create_task(self.world.engine.runner.run_forever())
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._over.wait()
        finally:
            self._over = None
            advancing.cancel()
            await asyncio.gather(advancing, return_exceptions=True)

    def run(self, buildspec: str, **overrides: Any) -> dict[str, Any]:
        """Create the project and let one build come to its end."""
        self.create(buildspec)
        return self.finish(self.start(**overrides))

    def log(self, build: dict[str, Any]) -> list[str]:
        """All lines of a build's log stream."""
        logs = self.world.boto("logs")
        names = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
        lines: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = logs.get_log_events(**names, startFromHead=True, **token)
            lines += [event["message"] for event in page["events"]]
            if page["nextForwardToken"] == token.get("nextToken"):
                return lines
            token = {"nextToken": page["nextForwardToken"]}

    def said(self, build: dict[str, Any]) -> list[str]:
        """What the commands wrote."""
        return [line for line in self.log(build) if not line.startswith("[Container]")]


def statuses(build: dict[str, Any]) -> dict[str, str | None]:
    """The phases of a build and how they ended."""
    return {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}


def context_of(build: dict[str, Any], phase: str) -> dict[str, str]:
    (found,) = [each for each in build["phases"] if each["phaseType"] == phase]
    return dict(found["contexts"][0])

"""A build, phase by phase: each phase is a step, and what follows what is decided here.

Where AWS's documents are silent: a build with a failed phase has failed, also if `on-failure: CONTINUE` let it go on;
a failing `finally` fails its phase; a stopped or timed out build goes straight to FINALIZING.

After a crash: DOWNLOAD_SOURCE and UPLOAD_ARTIFACTS are done again, a phase with commands is found again by its folder.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codebuild import buildspec as buildspecs
from turnout.codebuild.caches import Caches
from turnout.codebuild.commands import Commands, buildspec_of
from turnout.codebuild.download import Download
from turnout.codebuild.events import build_event, phase_event
from turnout.codebuild.output import Output
from turnout.codebuild.spec import TIMED_OUT, Build
from turnout.codebuild.uploads import Uploads
from turnout.config import Config
from turnout.errors import AwsError, StepFailed, StepStopped
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Runs, Status, Step
from turnout.store import Transaction

log = logging.getLogger(__name__)

LAST = ("FINALIZING", "COMPLETED")
"""They happen to every build, however it went."""

_GOES_ON_AFTER = ("BUILD", "POST_BUILD")
"""What follows these happens although they failed, unless the buildspec says on-failure: ABORT."""


class BuildPlan(StraightPlan):
    kind = "codebuild"

    def __init__(self, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._config = config
        self._output = Output(aws, clock)
        self._caches = Caches(aws, config, self._output)
        self._download = Download(aws, config, self._output, self._caches)
        self._commands = Commands(runs, clock, config, self._output)
        self._uploads = Uploads(aws, self._output)

    # Deciding

    def proceeds(self, run: Run, step: Step, steps: Sequence[Step]) -> bool:
        if step.name in LAST:
            return True
        return run.stop is None and all(self._goes_on(ended, steps) for ended in steps if ended.status.is_over)

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        """A phase with commands ends its process first, in `ensure`."""
        if step.name in LAST or step.name in buildspecs.PHASES:
            return None
        return StepStopped("STOPPED", "Build was stopped.")

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        build = self._build(run)
        self._aws.announce(tx, phase_event(build, step, self._runs.steps(run.id), self._clock.now()))

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._aws.announce(tx, build_event(self._build(run), steps, self._clock.now()))

    # Acting

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        build = self._build(run)
        if step.name in buildspecs.PHASES:
            self._output.follow(build)
            steps = self._runs.steps(run.id)
            is_succeeding = not any(other.status is Status.FAILED for other in steps)
            return await self._commands.ensure(build, step, is_succeeding=is_succeeding)
        match step.name:
            case "PROVISIONING":
                return await self._provision(build)
            case "DOWNLOAD_SOURCE":
                return await self._download_source(build, step)
            case "UPLOAD_ARTIFACTS":
                return await self._upload_artifacts(build, step)
            case "FINALIZING":
                return await self._finalize(build)
        return Done()

    def adopt(self, tx: Transaction) -> None:
        """After a restart of the engine, look at every build that was under way."""
        for run in self._runs.of_kind(self.kind, is_open=True):
            for step in self._runs.steps(run.id):
                if step.status is Status.IN_PROGRESS:
                    self._runs.signal(tx, step.id)

    async def close(self) -> None:
        self._commands.close()
        await self._output.close()

    async def _provision(self, build: Build) -> Done:
        build.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._output.open(build)
        if "provisioned_at" not in build.run.facts:
            with self._runs.store.transaction() as tx:
                self._runs.remember(tx, build.run.id, provisioned_at=self._clock.now())
            self._output.say(build, "Running on CodeBuild On-demand", "Waiting for agent ping")
        return Done()

    async def _download_source(self, build: Build, step: Step) -> Done:
        self._output.follow(build)
        try:
            buildspec, versions = await self._download.download(build)
        except StepFailed as failed:
            self._say_failed(build, step, failed)
            raise
        self._say_done(build, step)
        with self._runs.store.transaction() as tx:
            self._runs.remember(tx, build.run.id, versions=versions)
        return Done({"on_failure": {name: phase.on_failure for name, phase in buildspec.phases.items()}})

    async def _upload_artifacts(self, build: Build, step: Step) -> Done:
        self._output.follow(build)
        if self._clock.now() >= build.deadline_at:
            raise StepFailed(TIMED_OUT, "Build has timed out. ")
        try:
            artifacts = await self._uploads.upload(build, buildspec_of(build))
        except StepFailed as failed:
            self._say_failed(build, step, failed)
            raise
        if all(ended.status is not Status.FAILED for ended in self._runs.steps(build.run.id)):
            await self._caches.save(build, buildspec_of(build))
        self._say_done(build, step)
        with self._runs.store.transaction() as tx:
            self._runs.remember(tx, build.run.id, **artifacts)
        return Done()

    async def _finalize(self, build: Build) -> Done:
        """Nothing of the build is left but its log and its artifacts."""
        self._commands.end_leftovers(build)
        try:
            await self._output.finish(build)
        except AwsError as error:
            log.warning("the end of the log of %s is lost: %s", build.id, error)
        await asyncio.to_thread(shutil.rmtree, build.folder, ignore_errors=True)
        return Done()

    def _goes_on(self, ended: Step, steps: Sequence[Step]) -> bool:
        """Whether the phases behind one that has ended happen."""
        if ended.status in (Status.SUCCEEDED, Status.SKIPPED):
            return True
        if ended.status is not Status.FAILED or ended.code != "COMMAND_EXECUTION_ERROR":
            return False
        source = next(step for step in steps if step.name == "DOWNLOAD_SOURCE")
        on_failure = source.result.get("on_failure", {}).get(ended.name)
        return on_failure == "CONTINUE" or (on_failure is None and ended.name in _GOES_ON_AFTER)

    def _build(self, run: Run) -> Build:
        return Build(run, self._config.builds / run.name.rpartition(":")[2])

    def _say_done(self, build: Build, step: Step) -> None:
        self._output.say(
            build, f"Phase complete: {step.name} State: SUCCEEDED", "Phase context status code:  Message: "
        )

    def _say_failed(self, build: Build, step: Step, failed: StepFailed) -> None:
        self._output.say(
            build,
            f"Phase complete: {step.name} State: FAILED",
            f"Phase context status code: {failed.code} Message: {failed.message}",
        )

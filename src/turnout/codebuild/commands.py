"""The phases that have commands: one detached process each, found again by its folder whatever becomes of the engine.

A phase is never run twice: its folder belongs to its one process for ever. A build that is stopped, or whose time is
over, gets SIGTERM, and SIGKILL after a grace; what a command left running in the background ends with the build.
"""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from turnout.clock import Clock
from turnout.codebuild.buildspec import Buildspec, Phase, parse_buildspec
from turnout.codebuild.output import Output
from turnout.codebuild.script import failed_command, moved_home, phase_script, variables_in
from turnout.codebuild.spec import TIMED_OUT, Build
from turnout.config import Config
from turnout.errors import StepFailed, StepStopped
from turnout.runner import Done, Wait
from turnout.runs import Runs, Step
from turnout.runtimes.detached import Detached, find, spawn
from turnout.runtimes.processes import every_process

GRACE_S = 10.0
"""Between SIGTERM and SIGKILL."""


def phase_topic(build: Build, phase: str) -> str:
    """Woken when the process of a phase has ended."""
    return f"codebuild.phase/{build.region}/{build.id}/{phase}"


@lru_cache(maxsize=32)
def _parsed(text: str) -> Buildspec:
    return parse_buildspec(text)


def buildspec_of(build: Build) -> Buildspec:
    """The buildspec that the build began with."""
    return _parsed(build.buildspec.read_text())


class Commands:
    """Starts, watches and ends the processes of phases."""

    def __init__(self, runs: Runs, clock: Clock, config: Config, output: Output) -> None:
        self._runs = runs
        self._config = config
        self._clock = clock
        self._output = output
        self._watched: dict[Path, Detached] = {}

    async def ensure(self, build: Build, step: Step, *, is_succeeding: bool) -> Done | Wait:
        """Raises StepFailed with COMMAND_EXECUTION_ERROR or BUILD_TIMED_OUT, StepStopped."""
        buildspec = buildspec_of(build)
        phase = buildspec.phases.get(step.name)
        if phase is None:
            self._check_may_run(build)
            self._output.say(
                build,
                f"Entering phase {step.name}",
                f"Phase complete: {step.name} State: SUCCEEDED",
                "Phase context status code:  Message: ",
            )
            return self._done(build, step, buildspec)
        folder = build.folder / step.name
        process = find(folder)
        if process is None:
            self._check_may_run(build)
            process = await self._start(build, step.name, phase, buildspec.shell, is_succeeding=is_succeeding)
        if process.is_alive():
            return self._wait(build, step, process)
        if (folder / "ended").exists():
            self._say_end(build, step)
            self._keep_exported(build, step, buildspec)
            self._check_may_run(build)
        if process.exit_code() == 0:
            return self._done(build, step, buildspec)
        self._keep_exported(build, step, buildspec)
        raise StepFailed("COMMAND_EXECUTION_ERROR", self._failure(folder, phase, process))

    def close(self) -> None:
        """Stop watching; the processes go on."""
        for process in self._watched.values():
            process.close()
        self._watched.clear()

    def end_leftovers(self, build: Build) -> None:
        """Kill what the commands left running: everything that still carries the build's id in its environment."""
        mark = f"CODEBUILD_BUILD_ID={build.id}\0".encode()
        for stat in every_process():
            with suppress(OSError):
                if not stat.is_dead and mark in Path(f"/proc/{stat.pid}/environ").read_bytes() + b"\0":
                    os.kill(stat.pid, signal.SIGKILL)

    async def _start(self, build: Build, name: str, phase: Phase, shell: str, *, is_succeeding: bool) -> Detached:
        program = shutil.which(shell)
        if program is None:
            raise StepFailed("COMMAND_EXECUTION_ERROR", f"This host has no {shell}, which the buildspec asks for")
        build.state.write_text(moved_home(build.state.read_text(), build.endpoint.read_text(), self._config.endpoint))
        build.endpoint.write_text(self._config.endpoint)
        folder = build.folder / name
        folder.mkdir(exist_ok=True)
        script = phase_script(str(folder), name, phase.commands, phase.finally_, program, is_succeeding=is_succeeding)
        for file, text in script.files.items():
            (folder / file).write_text(text)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "CODEBUILD_BUILD_ID": build.id}
        return await spawn(folder, script.argv, environment, build.source_folder(0), leaves_children=True)

    def _wait(self, build: Build, step: Step, process: Detached) -> Wait:
        now = self._clock.now()
        topic = phase_topic(build, step.name)
        self._watch(process, topic)
        if build.run.stop is None and now < build.deadline_at:
            return Wait(build.deadline_at - now, f"{step.name} runs since {process.started_at:.0f}", on=topic)
        asked = process.folder / "ended"
        if not asked.exists():
            asked.write_text(str(now))
            process.signal(signal.SIGTERM)
        elif now >= float(asked.read_text()) + GRACE_S:
            process.signal(signal.SIGKILL)
        return Wait(GRACE_S, f"{step.name} was asked to end", on=topic)

    def _watch(self, process: Detached, topic: str) -> None:
        if process.folder in self._watched:
            return
        self._watched[process.folder] = process

        def ended() -> None:
            self._watched.pop(process.folder, None)
            self._runs.store.eventually(lambda tx: self._runs.wake(tx, topic))

        process.on_exit(ended)

    def _check_may_run(self, build: Build) -> None:
        """Raises StepStopped or StepFailed if the build was stopped or its time is over."""
        if build.run.stop is not None:
            raise StepStopped("STOPPED", "Build was stopped.")
        if self._clock.now() >= build.deadline_at:
            raise StepFailed(TIMED_OUT, "Build has timed out. ")

    def _say_end(self, build: Build, step: Step) -> None:
        state = "STOPPED" if build.run.stop is not None else "TIMED_OUT"
        self._output.say(build, f"Phase complete: {step.name} State: {state}")

    def _done(self, build: Build, step: Step, buildspec: Buildspec) -> Done:
        self._keep_exported(build, step, buildspec)
        return Done()

    def _keep_exported(self, build: Build, step: Step, buildspec: Buildspec) -> None:
        if step.name != "POST_BUILD" or not buildspec.exported_variables:
            return
        values = variables_in(build.state.read_text(), buildspec.exported_variables)
        with self._runs.store.transaction() as tx:
            exported = [{"name": name, "value": value} for name, value in values.items()]
            self._runs.remember(tx, build.run.id, exported=exported)

    def _failure(self, folder: Path, phase: Phase, process: Detached) -> str:
        result = folder / "result"
        if result.exists():
            command, status = failed_command(result.read_text(), (*phase.commands, *phase.finally_))
            return f"Error while executing command: {command}. Reason: exit status {status}"
        code = process.exit_code()
        what = "it was killed, and its supervisor with it" if code is None else f"exit status {code}"
        return f"The process of the phase ended before its commands did: {what}"

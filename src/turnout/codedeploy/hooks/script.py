"""A hook that is a script: a process of its own beside the engine, as the commands of a build are. Its status decides.

    <deployment>.<event>/       the files of `runtimes.detached`
        work                    what lies beside turnout.yml, a copy: the script begins here
        home                    HOME and TMPDIR
        ended                   it was asked to end, then

A script runs once: its folder belongs to its one process. After a crash of the engine it goes on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Collection
from pathlib import Path

from turnout.aws import Aws
from turnout.codedeploy.hooks.bundles import Bundles
from turnout.codedeploy.hooks.plan import KIND, keep_output, topic_of
from turnout.codedeploy.hooks.surroundings import Surroundings, hook_of
from turnout.codedeploy.hooks.words import FAILED, MISSING, NOT_EXECUTABLE, OUTPUT_BYTES, TIMED_OUT, UNKNOWN, tail_of
from turnout.errors import StepFailed, StepStopped
from turnout.hookfile import Hook
from turnout.runner import Done, Wait
from turnout.runs import Run, Runs, Step
from turnout.runtimes.detached import Detached, find, spawn

GRACE_S = 10.0
"""Between SIGTERM and SIGKILL."""
ON_TERM = "trap 'exit 143' TERM"
"""The shell ends once the command that runs has ended in its own way: without this it would take that one along."""
CODES = {126: NOT_EXECUTABLE, 127: MISSING}
"""What a shell ends with → CodeDeploy's word for it."""


class ScriptHook:
    def __init__(self, runs: Runs, aws: Aws, folder: Path, bundles: Bundles, surroundings: Surroundings) -> None:
        self._runs = runs
        self._aws = aws
        self._folder = folder
        self._bundles = bundles
        self._surroundings = surroundings
        self._watched: dict[Path, Detached] = {}

    def ends_by_itself(self) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        hook, folder = hook_of(run), self._folder / run.name.replace("/", ".")
        process = find(folder)
        if process is None:
            if run.stop is not None:
                raise StepStopped(UNKNOWN, run.stop["message"])
            process = await self._start(run, hook, folder)
        if process.is_alive():
            return self._wait(run, step, hook, process)
        keep_output(self._runs, run, _tail(process.output))
        if (folder / "ended").exists():
            if run.stop is not None:
                raise StepStopped(UNKNOWN, run.stop["message"])
            raise StepFailed(TIMED_OUT, f"the script {hook.name} did not end within {hook.timeout_s:g} s")
        code = process.exit_code()
        if code == 0:
            return Done()
        what = "nobody saw how it ended" if code is None else f"exit code {code}"
        raise StepFailed(CODES.get(code or 0, FAILED), f"the script {hook.name} failed: {what}")

    def forget_old(self, running: Collection[str]) -> None:
        """The folders of scripts, but for those of deployments that run, or that still end."""
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            process = find(folder)
            if folder.name.partition(".")[0] not in running and not (process and process.is_alive()):
                shutil.rmtree(folder, ignore_errors=True)

    def look_after(self) -> None:
        """After a restart: every script that may have ended meanwhile is looked at, and watched again."""
        with self._runs.store.transaction() as tx:
            for run in self._runs.of_kind(KIND, is_open=True):
                self._runs.wake(tx, _process_topic(run))

    def close(self) -> None:
        """Stop watching; the scripts go on."""
        for process in self._watched.values():
            process.close()
        self._watched.clear()

    async def _start(self, run: Run, hook: Hook, folder: Path) -> Detached:
        work, home = folder / "work", folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._lay_out, run, work)
        variables = await self._surroundings.variables(run)
        environment = {
            **self._surroundings.host(str(home)),
            **self._surroundings.clients(run.region),
            **hook.settings["environment"],
            **variables,
        }
        argv = ["/bin/sh", "-e", "-c", "\n".join((ON_TERM, *hook.settings["commands"]))]
        self._aws.fuse("before script")
        process = await spawn(folder, argv, environment, work)
        self._aws.fuse("after script")
        return process

    def _lay_out(self, run: Run, work: Path) -> None:
        """A copy of its own: what a script writes is not there at the next event."""
        if work.exists():
            return
        draft = work.with_name("work.new")
        shutil.rmtree(draft, ignore_errors=True)
        bundle = run.spec["hook"]["bundle"]
        if bundle is None:
            draft.mkdir()
        else:
            place = self._bundles.place_of(bundle, run.spec["hook"]["folder"])
            if not place.is_dir():
                raise StepFailed(MISSING, f"the files beside turnout.yml are gone from this home ({bundle[:12]})")
            shutil.copytree(place, draft, symlinks=True)
        draft.replace(work)

    def _wait(self, run: Run, step: Step, hook: Hook, process: Detached) -> Wait:
        assert step.started_at is not None
        now, topic = self._runs.clock.now(), _process_topic(run)
        self._watch(process, topic)
        left_s = step.started_at + hook.timeout_s - now
        if run.stop is None and left_s > 0:
            return Wait(left_s, "the script runs", on=topic)
        asked = process.folder / "ended"
        if not asked.exists():
            asked.write_text(str(now))
            process.signal(signal.SIGTERM)
        elif now >= float(asked.read_text()) + GRACE_S:
            process.signal(signal.SIGKILL)
        return Wait(GRACE_S, "the script was asked to end", on=topic)

    def _watch(self, process: Detached, topic: str) -> None:
        if process.folder in self._watched:
            return
        self._watched[process.folder] = process

        def ended() -> None:
            self._watched.pop(process.folder, None)
            self._runs.store.eventually(lambda tx: self._runs.wake(tx, topic))

        process.on_exit(ended)


def _process_topic(run: Run) -> str:
    """Woken when the process of a script has ended."""
    return f"{topic_of(run.region, run.spec['deployment'], run.spec['event'])}/process"


def _tail(path: Path) -> str:
    """The end of what a script wrote, however much that is."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * OUTPUT_BYTES))
        return tail_of(file.read())

"""What a release costs beyond the application's own needs: from `git push` to all traffic on the new version.

Subtracted is what belongs to the application: the build's own commands, and its start, which is measured apart by
starting it by hand.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stage import REGION, Engine, answers_on, free_port, wait_until
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene, example
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow

RELEASES = 5
OWN_PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")


@dataclass(frozen=True)
class Release:
    """Seconds of one release."""

    total_s: float
    """From the start of `git push` to the moment when all weight is on green."""
    build_s: float
    """In the phases of the build that hold the application's own commands."""
    start_s: float
    """That the application takes to start, by itself."""
    deployment_id: str

    @property
    def overhead_s(self) -> float:
        return self.total_s - self.build_s - self.start_s


def measure(engine: Engine, scene: Scene, clients: Clients) -> list[Release]:
    """Releases of the example on a stack that stands."""
    start_s = statistics.median(_start_s() for _ in range(RELEASES))
    return [_release(engine, scene, clients, number, start_s) for number in range(RELEASES)]


def _release(engine: Engine, scene: Scene, clients: Clients, number: int, start_s: float) -> Release:
    commit = scene.commit(Version(f"bench-{number}", "#2da44e", f"Bench {number}"))
    began = time.time()
    scene.push()
    release = follow(clients, "hello", commit, lambda stages, waits: None, 120)
    if release.status != "Succeeded" or release.deployment is None:
        raise RuntimeError(f"release {number} ended {release.status}: {release.failure}")
    receipt = engine.ask(f"receipts/{REGION}/{release.deployment}")
    live_at = next(change["at"] for change in receipt["weights"] if change["green"] == 100)
    return Release(live_at - began, _build_s(clients), start_s, release.deployment)


def _build_s(clients: Clients) -> float:
    codebuild = clients("codebuild")
    newest = codebuild.list_builds_for_project(projectName="hello")["ids"][:1]
    phases: list[dict[str, Any]] = codebuild.batch_get_builds(ids=newest)["builds"][0]["phases"]
    own = [phase for phase in phases if phase["phaseType"] in OWN_PHASES]
    return sum((phase["endTime"] - phase["startTime"]).total_seconds() for phase in own)


def _start_s() -> float:
    """How long the example takes from exec to listening."""
    port = free_port()
    began = time.monotonic()
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    command = [sys.executable, str(Path(example()) / "app.py")]
    running = subprocess.Popen(command, env=environment, cwd=example(), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers_on(port), 10, "the example")
        return time.monotonic() - began
    finally:
        running.terminate()
        running.wait()

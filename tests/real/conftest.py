"""Real parts: an engine as a process of its own with the example's stack, and the clients that people use.

A part that is missing is a reason to skip on somebody's laptop, and a failure in CI.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.parts import found as found
from tests.parts import part as part
from turnout.cli.bootstrap import Made
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow
from turnout.cli.releases import Release
from turnout.cli.running import Running

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".cache"


@dataclass(frozen=True)
class Live:
    """An engine that runs, with the stack of examples/hello on it."""

    scene: Scene
    running: Running
    clients: Clients
    made: Made

    @cached_property
    def environment(self) -> dict[str, str]:
        """What `turnout env` exports, and nothing of this machine's AWS configuration."""
        turnout = Path(sys.executable).parent / "turnout"
        command = [str(turnout), "env", "--home", str(self.scene.home)]
        exported = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        pairs = (shlex.split(line)[1].partition("=") for line in exported.splitlines())
        home = {"PATH": os.environ["PATH"], "HOME": str(self.scene.folder), "AWS_PAGER": ""}
        return home | {name: value for name, _, value in pairs}

    def release(self, version: Version) -> str:
        """Commit and push: the commit's id."""
        commit = self.scene.commit(version)
        self.scene.push()
        return commit

    def follow(self, commit: str) -> Release:
        """Wait for the end of the execution of a commit."""
        return follow(self.clients, "hello", commit, lambda stages, waits: None, 120)

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=180, check=False, **options
        )


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    folder = Path(tempfile.mkdtemp(prefix="turnout-test-"))
    scene = Scene(folder)
    try:
        running = scene.start_engine()
        clients = Clients(running)
        made = scene.build_stack(clients, lambda kind, name, is_created: None)
        yield Live(scene, running, clients, made)
    finally:
        scene.end()


@pytest.fixture(scope="session")
def aws() -> str:
    return part("the AWS CLI", CACHE / "awscli" / "bin" / "aws")

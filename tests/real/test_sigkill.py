"""The engine is killed for real, ten times, while it releases under load: nobody notices."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene, load_on
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow
from turnout.cli.running import wait_until_gone
from turnout.cli.up import start_detached
from turnout.config import Config

pytestmark = pytest.mark.real

KILLS = 10
LONGEST_S = 9.0
"""About as long as a release takes: a kill may come at any instant of it."""


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
    yield scene
    scene.end()


def test_ten_kills_at_random_moments_lose_no_request_and_no_release(scene: Scene) -> None:
    running = scene.start_engine()
    made = scene.build_stack(Clients(running), lambda kind, name, is_created: None)
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    told = f"random seed {seed}"
    with load_on(made, kept=16, fresh=4) as load:
        for number in range(1, KILLS + 1):
            version = Version(f"k{number}", "#57606a", f"Survive kill {number}")
            commit = scene.commit(version)
            scene.push()
            # The moment is what the test is about; nothing is waited for.
            time.sleep(moments.uniform(0, LONGEST_S))
            os.kill(running.pid, signal.SIGKILL)
            assert wait_until_gone(running, 5)
            running = start_detached(Config(home=scene.home, port=running.port))
            release = follow(Clients(running), "hello", commit, lambda stages, waits: None, 90)
            assert (number, release.status) == (number, "Succeeded"), (told, release.failure)
            assert load.tally().version == version.name, told
    tally = load.tally()
    assert dict(tally.failures) == {}, told
    assert tally.requests > 1_000
    listed = Clients(running)("codedeploy").list_deployments(applicationName="hello", deploymentGroupName="hello")
    assert len(listed["deployments"]) == KILLS, told

"""The clock of the machine is set while deployments run: by an hour back, an hour forward, and under a dead engine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.bluegreen import BlueGreen
from tests.stories.stage import Stage, until

HOUR_S = 3600.0
CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"
BAKE_S = 5.0
"""Five minutes at speed 60."""


class Wall:
    """What the engine, and nothing else, takes for the clock of the machine."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "set-by"
        self.set_by(0.0)
        (folder / "sitecustomize.py").write_text(
            "import time, types\n"
            "from turnout import timekeeping\n"
            f"set_by = lambda: float(open({str(self._file)!r}).read())\n"
            "timekeeping.time = types.SimpleNamespace(**vars(time) | {'time': lambda: time.time() + set_by()})\n"
        )

    def set_by(self, seconds: float) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(str(seconds))
        draft.replace(self._file)


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wall:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Wall(tmp_path)


@pytest.fixture
def service(wall: Wall) -> Iterator[BlueGreen]:
    stage = Stage(speed=60)
    try:
        yield BlueGreen(stage).ready()
    finally:
        stage.end()


def test_a_bake_takes_its_time_whatever_the_clock_is_set_to(service: BlueGreen, wall: Wall) -> None:
    stage = service.stage

    def troubles() -> list[str]:
        return [trouble for trouble in stage.clients.told("health")["troubles"] if "the machine's clock" in trouble]

    def deploy(version: str, set_to_s: float) -> str:
        deployment = service.deploy(version, CANARY)
        service.until_green_has(10)
        wall.set_by(set_to_s)
        return deployment

    with service.load():
        for version, set_to_s in (("v2", -HOUR_S), ("v3", HOUR_S)):
            wall.set_by(0.0)
            assert not troubles()
            deployment, began = deploy(version, set_to_s), time.monotonic()
            assert troubles()
            service.wait(deployment, within_s=30)
            assert time.monotonic() - began > BAKE_S / 2
        until(lambda: not troubles(), "the engine's time has drawn near", 30)
        deployment = deploy("v4", 0.0)
        stage.kill_engine(lambda: os.kill(stage.running.pid, signal.SIGKILL))
        service.wait(deployment, within_s=30)
        assert troubles(), "it is an hour ahead, and does not go back"

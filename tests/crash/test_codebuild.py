"""The engine is killed at every commit and around every act of a build: no command runs twice, nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.conftest import World
from tests.rooms.building import Building, statuses, unzipped
from turnout.runtimes.detached import Detached, find

EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "5"))

SPEC = """
    version: 0.2
    env: {exported-variables: [TAG]}
    phases:
      install: {commands: ['echo install >>"$COUNT"', TAG=v1]}
      build: {commands: ['echo build >>"$COUNT"', 'echo $TAG >out', 'false']}
      post_build: {commands: ['echo post >>"$COUNT"']}
    artifacts: {files: [out]}
    """


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


class Fuse:
    """Counts the commits and acts, and dies at one of them; a dead engine commits nothing more."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.count = 0

    @property
    def is_blown(self) -> bool:
        return self.at is not None and self.count >= self.at

    def __call__(self, point: str) -> None:
        self.count += 1
        if self.is_blown:
            raise Killed(point)


def outcome(home: Path, fuse: Fuse) -> dict[str, Any]:
    """What a build leaves behind, whatever becomes of the engine on the way."""
    home.mkdir()
    world = World(home / "home")
    building = Building(world)
    building.s3.create_bucket(Bucket="bucket")
    building.create(
        SPEC,
        artifacts={"type": "S3", "location": "bucket", "packaging": "ZIP"},
        variables=[{"name": "COUNT", "value": str(home / "count")}],
    )
    build_id = building.start()
    world.fuse = fuse
    while not building.get(build_id)["buildComplete"]:
        try:
            world.tick()
        except Killed:
            assert fuse.is_blown
        if fuse.is_blown:
            world.fuse = fuse = Fuse(None)
            building.die()
            building.revive()
        elif (process := running(world, build_id)) is not None:
            world.run(process.wait())
    build = building.get(build_id)
    left = {
        "status": build["buildStatus"],
        "phases": statuses(build),
        "exported": build["exportedEnvironmentVariables"],
        "commands": (home / "count").read_text().split(),
        "artifact": unzipped(building.s3.get_object(Bucket="bucket", Key="app")["Body"].read()),
        "folders": list(world.engine.config.builds.iterdir()),
    }
    world.close()
    return left


def running(world: World, build_id: str) -> Detached | None:
    folder = world.engine.config.builds / build_id.partition(":")[2]
    processes = [find(folder / phase) for phase in ("INSTALL", "BUILD", "POST_BUILD")]
    return next((process for process in processes if process is not None and process.is_alive()), None)


def test_a_build_that_was_interrupted_anywhere_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    fuse = Fuse(None)
    clean = outcome(tmp_path / "clean", fuse)
    assert clean["status"] == "FAILED"
    assert clean["commands"] == ["install", "build", "post"]
    assert clean["artifact"] == {"out": "v1\n"}
    assert fuse.count > 40
    for at in range(1, fuse.count + 1, EVERY):
        assert outcome(tmp_path / str(at), Fuse(at)) == clean, f"killed at point {at}"

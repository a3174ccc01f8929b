"""The engine is killed at every commit and around every act of an execution, its build and its deployment.

Generated: a clean run is counted, then the same release is made once per point, killed there, and taken up by a new
engine on the same home. What is left behind must be what the clean run left behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import World
from tests.crash.kept import keep_others
from tests.crash.story import is_at_rest, ledger, push, stage

EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "5"))
"""Every how-manieth point is tried: all in CI, one in five on a laptop."""

SHARES = 6
"""The points are dealt out, so that two workers finish at about the same time."""


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


class Fuse:
    """Dies at a point, counted from now; and lets nothing more be committed by the dead engine."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.points: list[str] = []

    @property
    def is_blown(self) -> bool:
        return self.at is not None and len(self.points) >= self.at

    def __call__(self, point: str) -> None:
        self.points.append(point)
        if self.is_blown:
            raise Killed(point)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world at rest, with the stack and its first release: each run starts from a copy of its home."""
    with keep_others(tmp_path_factory.mktemp("moto")):
        world = World(tmp_path_factory.mktemp("staged"))
        stage(world)
        world.close()
        yield world


def release(staged: World, home: Path, kill_at: int | None) -> tuple[dict[str, object], Fuse]:
    """Release version 1 on a copy of the staged world; killed once at the given point."""
    shutil.copytree(staged.home, home)
    world = staged.copy(home)
    fuse = world.fuse = Fuse(kill_at)
    try:
        push(world, "1")
        world.until(lambda: is_at_rest(world))
    except Killed:
        world.fuse = lambda point: None
        world.reboot()
        push(world, "1")
        world.until(lambda: is_at_rest(world))
    world.fuse = lambda point: None
    left = ledger(world)
    world.close()
    return left, fuse


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_anywhere_a_release_ends_as_if_it_had_not_been(staged: World, tmp_path: Path, share: int) -> None:
    clean, fuse = release(staged, tmp_path / "clean", None)
    assert clean["serving"] == "hello:1"
    assert clean["executions"] == ["Succeeded", "Succeeded"]
    points = fuse.points
    wrong = []
    for number in range(1 + share * EVERY, len(points) + 1, SHARES * EVERY):
        left, _ = release(staged, tmp_path / str(number), number)
        if left != clean:
            wrong.append((number, points[number - 1], left))
        shutil.rmtree(tmp_path / str(number))
    assert wrong == [], f"of {len(points)} points"

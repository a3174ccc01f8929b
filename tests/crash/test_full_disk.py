"""The disk is full at every commit, once each, of a release from its push on; there is room again a moment later.

Generated as the deaths are: what is left behind must be what a release on an empty disk left behind.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.crash.story import is_at_rest, ledger, push
from tests.crash.test_kill_anywhere import staged  # noqa: F401

EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "4" if os.environ.get("CI") else "12"))
FAILS = 3
"""So many commits in a row fail: the one that is tried again, too."""


class FullDisk:
    """The commits from the `first` on fail, `FAILS` of them."""

    def __init__(self, first: int | None) -> None:
        self.first = first
        self.commits = 0

    def __call__(self, point: str) -> None:
        if point != "before commit":
            return
        self.commits += 1
        if self.first is not None and self.first <= self.commits < self.first + FAILS:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error


def release(staged: World, home: Path, first: int | None) -> tuple[dict[str, object], int]:  # noqa: F811
    shutil.copytree(staged.home, home)
    world = staged.copy(home)
    disk = FullDisk(first)
    world.fuse = disk
    tick = world.tick

    def patient(seconds: float = 0.0) -> None:
        with suppress(sqlite3.OperationalError):  # the runner's loop logs it, and goes on
            tick(seconds)

    world.tick = patient  # type: ignore[method-assign]
    while (refusal := refused(world)) is not None:
        # What a client is told, and what its SDK tries again.
        assert (refusal["Error"]["Code"], refusal["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)
    # A push whose announcement had no room is announced by itself.
    world.until(lambda: len(world.runs.of_kind("codepipeline")) == 2 and is_at_rest(world), within_s=60)
    world.fuse = lambda point: None
    left = ledger(world)
    world.close()
    return left, disk.commits


def refused(world: World) -> Any:
    """Push, and the refusal if there is one."""
    try:
        push(world, "1")
    except ClientError as error:
        return error.response
    return None


@pytest.mark.parametrize("share", range(2))
def test_a_disk_that_is_full_for_a_while_holds_a_release_up_and_changes_nothing(
    staged: World,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    share: int,
) -> None:
    monkeypatch.setattr("turnout.runner.AFTER_ERROR_S", 0.01)
    monkeypatch.setattr("turnout.codecommit.announcements.TRY_AGAIN_S", 0.01)
    monkeypatch.setattr("turnout.store.TRY_AGAIN_S", 0.01)
    clean, commits = release(staged, tmp_path / "clean", None)
    assert clean["serving"] == "hello:1"
    wrong = []
    for first in range(1 + share * EVERY, commits + 1, 2 * EVERY):
        left, _ = release(staged, tmp_path / str(first), first)
        if left != clean:
            wrong.append((first, left))
        shutil.rmtree(tmp_path / str(first))
    assert wrong == [], f"of {commits} commits"

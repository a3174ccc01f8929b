"""The engine dies at every commit and around every act of a scaling activity; the end is as if it had not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crash.kept import keep_others
from tests.rooms.scaling import Scaling

EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "3"))
"""Every how-manieth point is tried: all in CI, one in three on a laptop."""
SPAN_S = 150.0


class Killed(BaseException):
    """SIGKILL at a point."""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaling]:
    """A service of two tasks whose policy has seen three bad minutes, and has not been evaluated yet."""
    with keep_others(tmp_path_factory.mktemp("moto")):
        world = World(tmp_path_factory.mktemp("staged"))
        scaling = Scaling(world)
        scaling.register()
        scaling.track()
        at = [datetime.fromtimestamp(world.clock.at - 60 * ago, UTC) for ago in (3, 2, 1)]
        data = [{"MetricName": "Jobs", "Value": 25, "Timestamp": when} for when in at]
        world.boto("cloudwatch").put_metric_data(Namespace="shop", MetricData=data)
        world.close()
        yield scaling


def live(staged: Scaling, home: Path, fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a scale-out in which the engine dies at the point `fatal`."""
    shutil.copytree(staged.world.home, home)
    scaling = Scaling.__new__(Scaling)
    scaling.shop = type(staged.shop).__new__(type(staged.shop))
    scaling.shop.__dict__ |= staged.shop.__dict__
    world = scaling.world = scaling.shop.world = staged.world.copy(home)
    points = 0

    def fuse(point: str) -> None:
        nonlocal points
        if point == "before commit":  # what is on disk is what the point before left
            return
        points += 1
        if points == fatal:
            raise Killed(point)

    world.fuse = fuse
    try:
        world.tick(SPAN_S)
    except Killed:
        world.fuse = lambda point: None
        world.reboot()
        world.tick(SPAN_S)
    world.fuse = lambda point: None
    end = {
        "desired": scaling.desired(),
        "running": sum(container.state.is_running for container in world.runtime.containers.values()),
        "activities": [(one["Description"], one["StatusCode"], one["Cause"]) for one in scaling.activities()],
        "alarms": sorted(alarm["AlarmName"] for alarm in scaling.alarms().values()),
        "open": len(world.runs.of_kind("autoscaling.target", is_open=True)),
    }
    world.close()
    return points, end


def test_a_service_is_scaled_once_wherever_the_engine_is_killed(staged: Scaling, tmp_path: Path) -> None:
    points, whole = live(staged, tmp_path / "whole", None)
    assert points > 20
    assert (whole["desired"], whole["running"], len(whole["activities"])) == (5, 5, 1)
    assert whole["activities"][0][:2] == ("Setting desired count to 5.", "Successful")
    for fatal in range(1, points + 1, EVERY):
        assert live(staged, tmp_path / str(fatal), fatal)[1] == whole, f"killed at point {fatal}"

"""The engine dies at every commit and around every act of a deployment that ECS shifts; the end is as if it had not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crash.dying import survive
from tests.crash.kept import keep_others
from tests.rooms.shifting import HOOK, ROLE, WEB, Shop

EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "5"))
"""Every how-manieth point is tried: all in CI, one in five on a laptop."""
SPAN_S = 1500.0


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stable service under CANARY with a hook: each run starts from a copy of its home."""
    with keep_others(tmp_path_factory.mktemp("moto")):
        world = World(tmp_path_factory.mktemp("staged"))
        shop = Shop(world)
        hook = {"hookTargetArn": HOOK, "roleArn": ROLE, "lifecycleStages": ["PRE_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT"]}
        shop.create("CANARY", bakeTimeInMinutes=3, lifecycleHooks=[hook])
        shop.register("shop:2")
        world.close()
        yield shop


def straight(shop: Shop) -> None:
    """To the end."""


def failing(shop: Shop) -> None:
    shop.sick(shop.green)


def refused(shop: Shop) -> None:
    """The hook of the first increment fails: traffic has moved, and goes back."""
    shop.functions.at["PRODUCTION_TRAFFIC_SHIFT"] = {"hookStatus": "FAILED"}


def live(staged: Shop, home: Path, story: Callable[[Shop], None], fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a deployment in which the engine dies at the point `fatal`."""
    shutil.copytree(staged.world.home, home)
    shop = Shop.__new__(Shop)
    shop.__dict__ |= staged.__dict__
    world = shop.world = staged.world.copy(home)
    shop.functions = type(staged.functions)()
    shop.connect()
    story(shop)
    shop.ecs.update_service(**WEB, taskDefinition="web:2")

    def revive() -> None:
        world.reboot()
        shop.connect()

    points = survive(world, SPAN_S, fatal, revive)
    (newest, first) = shop.ecs.list_service_deployments(**WEB)["serviceDeployments"]
    service = shop.service()
    end = {
        "statuses": [newest["status"], first["status"]],
        "weights": [shop.weights(), shop.weights(shop.test_rule)],
        "deployments": [(one["status"], one["runningCount"], one["taskDefinition"]) for one in service["deployments"]],
        "definition": service["taskDefinition"],
        "running": sum(container.state.is_running for container in world.runtime.containers.values()),
        "open": [len(world.runs.of_kind(kind, is_open=True)) for kind in ("ecs.deployment", "ecs.rollback")],
    }
    world.close()
    return points, end


@pytest.mark.parametrize(
    ("story", "status"),
    [(straight, "SUCCESSFUL"), (failing, "ROLLBACK_SUCCESSFUL"), (refused, "ROLLBACK_SUCCESSFUL")],
)
def test_a_shifted_deployment_ends_the_same_wherever_the_engine_is_killed(
    staged: Shop, tmp_path: Path, story: Callable[[Shop], None], status: str
) -> None:
    points, whole = live(staged, tmp_path / "whole", story, None)
    assert points > 20
    assert whole["statuses"][0] == status
    for fatal in range(1, points + 1, EVERY):
        assert live(staged, tmp_path / str(fatal), story, fatal)[1] == whole, f"killed at point {fatal}"

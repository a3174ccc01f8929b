"""The engine dies at every commit and around every act of a task's life; the end is as if it had not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.serving import REGION, Serving, balanced
from turnout.runtimes import Ran

WEB = {"cluster": "shop", "service": "web"}


CONTAINER = {"name": "app", "image": "shop", "memory": 64, "portMappings": [{"containerPort": 80}]}
CHECK = {"command": ["CMD", "true"], "interval": 10, "timeout": 5, "retries": 2}


class Killed(BaseException):
    """SIGKILL at a point."""


def exchange(shop: Serving) -> None:
    """Blue is replaced by green, and drained."""
    shop.balancer.fate[shop.blue] = "healthy"
    shop.tick()
    green = call(shop, "CreateTaskSet", **WEB, taskDefinition="web", loadBalancers=[balanced(shop.green)])["taskSet"]
    shop.tick()
    blue = next(one for one in service(shop)["taskSets"] if one["id"] != green["id"])
    call(shop, "UpdateServicePrimaryTaskSet", **WEB, primaryTaskSet=green["id"])
    call(shop, "DeleteTaskSet", **WEB, taskSet=blue["id"], force=True)
    shop.tick(60)


def falling(shop: Serving) -> None:
    """A container ends by itself, another does not listen to SIGTERM."""
    shop.balancer.fate[shop.blue] = "healthy"
    shop.tick()
    (name,) = shop.runtime.containers
    shop.runtime.end(name, 1)
    shop.tick(1)
    shop.runtime.stubborn |= set(shop.runtime.containers)
    call(shop, "UpdateService", **WEB, desiredCount=0)
    shop.tick(60)


def checking(shop: Serving) -> None:
    """A task that waits for another container, becomes healthy, then unhealthy, and is replaced."""
    shop.balancer.fate[shop.blue] = "healthy"
    ordered = [
        {**CONTAINER, "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}], "healthCheck": CHECK},
        {"name": "init", "image": "init", "memory": 64, "essential": False},
    ]
    call(shop, "RegisterTaskDefinition", family="checked", containerDefinitions=ordered)
    call(shop, "CreateTaskSet", **WEB, taskDefinition="checked", loadBalancers=[balanced(shop.green)])
    shop.tick()
    first = finish_init(shop)
    shop.tick(12)
    shop.runtime.ran[f"{first}-app"] = Ran(1, "refused")
    shop.tick(25)
    finish_init(shop)
    shop.tick(25)


def finish_init(shop: Serving) -> str:
    (name,) = (name for name, one in shop.runtime.containers.items() if "-init" in name and one.state.is_running)
    shop.runtime.end(name, 0)
    return name.removesuffix("-init")


def call(shop: Serving, operation: str, **asked: Any) -> Any:
    return shop.run(shop.aws.call("ecs", operation, REGION, **asked))


def service(shop: Serving) -> Any:
    return call(shop, "DescribeServices", cluster="shop", services=["web"])["services"][0]


def described(shop: Serving, status: str) -> Any:
    arns = call(shop, "ListTasks", cluster="shop", desiredStatus=status)["taskArns"]
    return call(shop, "DescribeTasks", cluster="shop", tasks=arns)["tasks"] if arns else []


class Fuse:
    """Blows at the point `fatal`, once; only while the engine runs by itself."""

    def __init__(self, shop: Serving, fatal: int | None) -> None:
        self.points = 0
        self.fatal = fatal
        self._shop = shop
        self._outside = ""
        tick = shop.tick

        def surviving(seconds: float = 0.0) -> None:
            until = shop.clock.at + seconds
            shop.fuse = self.pass_by
            try:
                tick(seconds)
            except Killed:
                shop.fuse = lambda point: None
                shop.reboot()
                tick(until - shop.clock.at)
            shop.fuse = lambda point: None

        shop.tick = surviving  # type: ignore[method-assign]

    def pass_by(self, point: str) -> None:
        outside = f"{self._shop.runtime.containers} {self._shop.runtime.signals} {self._shop.balancer.targets}"
        if point == "before commit" and outside == self._outside:
            return  # what there is, on disk and outside, is what the point before left
        self._outside = outside
        self.points += 1
        if self.points == self.fatal:
            raise Killed(point)


def live(home: Path, story: Callable[[Serving], None], fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a story in which the engine dies at the point `fatal`."""
    shop = Serving(home)
    fuse = Fuse(shop, fatal)
    call(shop, "CreateCluster", clusterName="shop")
    call(shop, "RegisterTaskDefinition", family="web", containerDefinitions=[CONTAINER])
    shop.blue, shop.green = shop.balancer.add("blue"), shop.balancer.add("green", is_used=False)
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
    call(
        shop,
        "CreateService",
        **asked,
        loadBalancers=[balanced(shop.blue)],
        deploymentController={"type": "CODE_DEPLOY"},
    )
    story(shop)
    told = service(shop)
    tasks = described(shop, "STOPPED")
    end = {
        "sets": [
            (one["status"], one["runningCount"], one["pendingCount"], one["stabilityStatus"])
            for one in told["taskSets"]
        ],
        "running": len(shop.runtime.containers),
        "checked": len(shop.runs.of_kind("ecs.check")),
        "health": sorted(task["healthStatus"] for task in described(shop, "RUNNING")),
        "targets": {group: len(targets) for group, targets in shop.balancer.targets.items()},
        "stopped": sorted((task["lastStatus"], task["stopCode"], task["stoppedReason"][:40]) for task in tasks),
        "followed": len(shop.store.all("SELECT * FROM ecs_output")),
        "signals": sorted({signal for _, signal in shop.runtime.signals}),
        "steady": told["events"][0]["message"] != "",
    }
    shop.close()
    return fuse.points, end


@pytest.mark.parametrize("story", [exchange, falling, checking])
def test_wherever_the_engine_dies_the_end_is_the_same(tmp_path: Path, story: Callable[[Serving], None]) -> None:
    home = tmp_path / "whole"
    home.mkdir()
    points, whole = live(home, story, None)
    assert points > 20
    for fatal in range(1, points + 1):
        home = tmp_path / str(fatal)
        home.mkdir()
        assert live(home, story, fatal)[1] == whole, f"killed at point {fatal}"

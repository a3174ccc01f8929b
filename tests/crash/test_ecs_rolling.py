"""The engine dies at every commit and around every act of a rolling update; the end is as if it had not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.dying import survive
from tests.rooms.serving import REGION, Serving, balanced
from tests.rooms.test_codedeploy_alarms import put_alarm

WEB = {"cluster": "shop", "service": "web"}
CONTAINER = {"name": "app", "memory": 64, "portMappings": [{"containerPort": 80}]}
CONFIGURATION = {
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    "alarms": {"enable": True, "rollback": True, "alarmNames": ["errors"]},
}
SPAN_S = 200.0
TOLD = ["deployment completed.", "has reached a steady state."]


def straight(shop: Serving) -> None:
    """To the end."""


def failing(shop: Serving) -> None:
    """The circuit breaker trips."""
    shop.runtime.cannot_start["shop@sha256:2"] = "exec format error"


def alarmed(shop: Serving) -> None:
    """The alarm goes off while both revisions run."""
    shop.balancer.fate[shop.blue] = "initial"
    shop.tick(5)
    datum = {"MetricName": "errors", "Value": 5.0}
    shop.run(shop.aws.call("cloudwatch", "PutMetricData", REGION, Namespace="shop", MetricData=[datum]))


def call(shop: Serving, operation: str, **asked: Any) -> Any:
    return shop.run(shop.aws.call("ecs", operation, REGION, **asked))


def live(home: Path, story: Callable[[Serving], None], fatal: int | None) -> tuple[int, Any]:
    """(the points passed, the end state) of a rolling update in which the engine dies at the point `fatal`."""
    shop = Serving(home)
    put_alarm(shop, "errors")
    call(shop, "CreateCluster", clusterName="shop")
    shop.blue = shop.balancer.add("blue")
    shop.balancer.fate[shop.blue] = "healthy"
    for number in (1, 2):
        container = {**CONTAINER, "image": f"shop@sha256:{number}"}
        call(shop, "RegisterTaskDefinition", family="web", containerDefinitions=[container])
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web:1", "desiredCount": 1}
    call(
        shop,
        "CreateService",
        **asked,
        loadBalancers=[balanced(shop.blue)],
        deploymentConfiguration=CONFIGURATION,
    )
    shop.tick(90)
    call(shop, "UpdateService", **WEB, taskDefinition="web:2")
    story(shop)
    points = survive(shop, SPAN_S, fatal, shop.reboot)
    service = call(shop, "DescribeServices", cluster="shop", services=["web"])["services"][0]
    listed = call(shop, "ListServiceDeployments", **WEB)["serviceDeployments"]
    end = {
        "statuses": [one["status"] for one in listed],
        "deployments": [
            (one["status"], one["rolloutState"], one["runningCount"], one["taskDefinition"])
            for one in service["deployments"]
        ],
        "definition": service["taskDefinition"],
        "running": len(shop.runtime.containers),
        "targets": len(shop.balancer.targets[shop.blue]),
        "open": [len(shop.runs.of_kind(f"ecs.{kind}", is_open=True)) for kind in ("deployment", "rollback", "alarms")],
        "told": [word for word in TOLD if any(word in one["message"] for one in service["events"][:6])],
    }
    shop.close()
    return points, end


@pytest.mark.parametrize(
    ("story", "status"),
    [(straight, "SUCCESSFUL"), (failing, "ROLLBACK_SUCCESSFUL"), (alarmed, "ROLLBACK_SUCCESSFUL")],
)
def test_a_rolling_update_ends_the_same_wherever_the_engine_is_killed(
    tmp_path: Path, story: Callable[[Serving], None], status: str
) -> None:
    def lived(number: int | None) -> tuple[int, Any]:
        home = tmp_path / str(number)
        home.mkdir()
        return live(home, story, number)

    points, whole = lived(None)
    assert points > 20
    assert whole["statuses"][0] == status
    assert whole["told"] == TOLD
    for number in range(1, points + 1):
        assert lived(number)[1] == whole, f"killed at point {number}"

"""Services under the ECS controller: rolling updates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms.serving import Serving, balanced


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def test_a_rolling_update_replaces_the_tasks_once_the_new_ones_are_healthy(shop: Serving) -> None:
    shop.serve("ECS")
    service = shop.service()
    assert "taskSets" not in service
    (first,) = service["deployments"]
    assert (first["status"], first["rolloutState"], first["runningCount"]) == ("PRIMARY", "COMPLETED", 2)
    shop.balancer.fate[shop.blue] = "initial"
    arn = shop.register()
    shop.client.update_service(cluster="shop", service="web", taskDefinition=arn)
    shop.tick()
    primary, former = shop.service()["deployments"]
    assert (primary["status"], primary["rolloutState"], primary["taskDefinition"]) == ("PRIMARY", "IN_PROGRESS", arn)
    assert (former["status"], former["id"], former["runningCount"]) == ("ACTIVE", first["id"], 2)
    assert len(shop.tasks()) == 4
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick()
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["rolloutState"], only["runningCount"]) == (primary["id"], "COMPLETED", 2)
    assert {task["taskDefinitionArn"] for task in shop.tasks()} == {arn}
    assert len(shop.balancer.targets[shop.blue]) == 2
    messages = shop.messages()
    steady = messages.index("(service web) has reached a steady state.")
    assert messages[steady + 1] == f"(service web) (deployment {primary['id']}) deployment completed."


def test_an_update_that_changes_no_tasks_is_no_deployment(shop: Serving) -> None:
    (first,) = shop.serve("ECS")["deployments"]
    shop.client.update_service(cluster="shop", service="web", desiredCount=3, taskDefinition="web:1")
    shop.tick()
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["desiredCount"], only["runningCount"]) == (first["id"], 3, 3)


def test_force_new_deployment_pins_the_image_anew(shop: Serving) -> None:
    shop.runtime.digests["shop:latest"] = "shop@sha256:old"
    shop.serve("ECS", desiredCount=1)
    shop.runtime.digests["shop:latest"] = "shop@sha256:new"
    shop.client.update_service(cluster="shop", service="web", forceNewDeployment=True)
    shop.tick()
    (task,) = shop.tasks()
    assert task["containers"][0]["imageDigest"] == "sha256:new"


def test_the_waiter_for_stable_services_succeeds(shop: Serving) -> None:
    shop.serve("ECS")
    shop.client.get_waiter("services_stable").wait(cluster="shop", services=["web"])


def test_a_service_without_a_load_balancer_is_steady_when_its_tasks_run(shop: Serving) -> None:
    shop.create("ECS", loadBalancers=[])
    shop.tick(2.5)
    assert "has started 2 tasks" in shop.messages()[0]
    shop.tick(0.5)
    assert shop.messages()[0] == "(service web) has reached a steady state."
    assert shop.service()["deployments"][0]["rolloutState"] == "COMPLETED"


def test_several_target_groups_are_all_watched(shop: Serving) -> None:
    shop.client.create_cluster(clusterName="shop")
    groups = [shop.balancer.add(name) for name in ("a", "b")]
    shop.client.create_service(
        cluster="shop",
        serviceName="web",
        taskDefinition=shop.register(),
        desiredCount=1,
        loadBalancers=[balanced(group) for group in groups],
    )
    shop.tick()
    shop.balancer.set_health(groups[0], "healthy")
    shop.tick()
    assert "has reached a steady state" not in shop.messages()[0]
    shop.balancer.set_health(groups[1], "healthy")
    shop.tick()
    assert shop.messages()[0] == "(service web) has reached a steady state."
    shop.client.delete_service(cluster="shop", service="web", force=True)
    shop.tick()
    assert shop.service()["status"] == "INACTIVE"
    assert shop.runs.of_kind("ecs.service") == []

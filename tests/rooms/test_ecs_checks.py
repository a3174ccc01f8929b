"""Container health checks and the order of containers: what they do to tasks, services and task sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.serving import Serving, balanced, name_of
from turnout.runtimes import Ran

CHECK = {"command": ["CMD-SHELL", "curl -f http://localhost/"], "interval": 10, "timeout": 5, "retries": 2}
FAILED = Ran(1, "connection refused")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def checked(shop: Serving, **more: Any) -> None:
    """Service web of one checked task behind no load balancer."""
    shop.client.create_cluster(clusterName="shop")
    definition = shop.register(healthCheck=CHECK)
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": definition, "desiredCount": 1, **more}
    shop.client.create_service(**asked)
    shop.tick()


def together(shop: Serving, *containers: dict[str, Any], **more: Any) -> None:
    """A task of several containers, by RunTask."""
    shop.client.create_cluster(clusterName="shop")
    whole = [{"image": "shop:latest", "memory": 64, **container} for container in containers]
    shop.client.register_task_definition(family="job", containerDefinitions=whole)
    shop.client.run_task(cluster="shop", taskDefinition="job", **more)
    shop.tick()


def after(name: str, condition: str) -> list[dict[str, str]]:
    return [{"containerName": name, "condition": condition}]


def started(shop: Serving) -> list[str]:
    return [name.rsplit("-", 1)[1] for name in shop.runtime.containers]


def test_the_defaults_of_a_health_check_are_told(shop: Serving) -> None:
    arn = shop.register(healthCheck={"command": ["CMD", "true"]})
    told = shop.client.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"][0]
    assert told["healthCheck"] == {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3}


def test_a_service_is_steady_only_when_its_containers_are_healthy(shop: Serving) -> None:
    checked(shop)
    (task,) = shop.tasks()
    assert (task["lastStatus"], task["healthStatus"], task["containers"][0]["healthStatus"]) == (
        "RUNNING",
        "UNKNOWN",
        "UNKNOWN",
    )
    shop.tick(9)
    assert "steady" not in shop.messages()[0]
    shop.tick(1)
    (task,) = shop.tasks()
    assert (task["healthStatus"], task["containers"][0]["healthStatus"]) == ("HEALTHY", "HEALTHY")
    assert shop.messages()[0] == "(service web) has reached a steady state."
    assert shop.runtime.execs == [(name_of(task), ("/bin/sh", "-c", "curl -f http://localhost/"))]


def test_a_container_that_becomes_unhealthy_is_replaced_with_its_task(shop: Serving) -> None:
    checked(shop)
    shop.tick(10)
    (task,) = shop.tasks()
    shop.runtime.ran[name_of(task)] = FAILED
    shop.tick(10)
    assert [task["healthStatus"] for task in shop.tasks()] == ["HEALTHY"]
    shop.tick(10)
    assert [task["healthStatus"] for task in shop.tasks()] == ["UNHEALTHY", "UNKNOWN"]
    shop.tick(10)
    (stopped,) = shop.tasks("STOPPED")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == (
        "ServiceSchedulerInitiated",
        "Task failed container health checks",
    )
    assert stopped["containers"][0]["reason"] == "Health check failed: exit code 1: connection refused"
    task_id = task["taskArn"].rsplit("/", 1)[1]
    assert any(f"(service web) (task {task_id}) failed container health checks." in m for m in shop.messages())
    (replacement,) = shop.tasks()
    assert replacement["healthStatus"] == "HEALTHY"


def test_failed_checks_are_ignored_in_the_grace_period_although_there_is_no_load_balancer(shop: Serving) -> None:
    shop.runtime.ran["shop@sha256:old"] = FAILED
    shop.runtime.digests["shop:latest"] = "shop@sha256:old"
    checked(shop, healthCheckGracePeriodSeconds=60)
    (task,) = shop.tasks()
    shop.tick(59)
    assert [one["taskArn"] for one in shop.tasks()] == [task["taskArn"]]
    assert shop.tasks()[0]["healthStatus"] == "UNHEALTHY"
    shop.tick(2)
    assert len(shop.tasks()) == 2


def test_a_task_set_is_stable_when_target_and_container_are_healthy(shop: Serving) -> None:
    shop.serve()
    shop.balancer.fate[shop.green] = "healthy"
    green = shop.add_green(taskDefinition=shop.register(healthCheck=CHECK))
    shop.tick(9)
    where = {"cluster": "shop", "service": "web", "taskSets": [green["taskSetArn"]]}
    assert shop.client.describe_task_sets(**where)["taskSets"][0]["stabilityStatus"] == "STABILIZING"
    shop.tick(1)
    assert shop.client.describe_task_sets(**where)["taskSets"][0]["stabilityStatus"] == "STEADY_STATE"


def test_a_rolling_update_waits_for_the_health_of_containers(shop: Serving) -> None:
    shop.serve("ECS")
    shop.runtime.ran["shop@sha256:new"] = FAILED
    shop.runtime.digests["shop:latest"] = "shop@sha256:new"
    update = {"cluster": "shop", "service": "web", "taskDefinition": shop.register(healthCheck=CHECK)}
    shop.client.update_service(**update)
    shop.tick(60)
    primary, former = shop.service()["deployments"]
    assert (primary["rolloutState"], former["runningCount"]) == ("IN_PROGRESS", 2)
    assert primary["failedTasks"] >= 2
    del shop.runtime.ran["shop@sha256:new"]
    shop.tick(60)
    (only,) = shop.service()["deployments"]
    assert (only["id"], only["rolloutState"]) == (primary["id"], "COMPLETED")


def test_a_check_that_is_not_essential_changes_nothing_for_the_service(shop: Serving) -> None:
    shop.client.create_cluster(clusterName="shop")
    app = {"name": "app", "image": "shop:latest", "memory": 64}
    spare = {"name": "spare", "image": "spare@sha256:1", "memory": 64, "essential": False, "healthCheck": CHECK}
    shop.runtime.ran["spare@sha256:1"] = FAILED
    shop.client.register_task_definition(family="web", containerDefinitions=[app, spare])
    shop.client.create_service(cluster="shop", serviceName="web", taskDefinition="web", desiredCount=1)
    shop.tick(60)
    (task,) = shop.tasks()
    assert [one["healthStatus"] for one in task["containers"]] == ["UNKNOWN", "UNHEALTHY"]
    assert task["healthStatus"] == "UNKNOWN"
    assert shop.tasks("STOPPED") == []


def test_a_check_goes_on_after_a_crash_when_it_was_due_and_ends_with_its_container(shop: Serving) -> None:
    checked(shop)
    shop.tick(6)
    shop.reboot()
    shop.tick(3)
    assert shop.runtime.execs == []
    shop.tick(1)
    assert len(shop.runtime.execs) == 1
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick(1)
    assert shop.runs.of_kind("ecs.check") == []


def test_a_container_goes_on_being_checked_although_the_engine_keeps_dying_in_its_checks(shop: Serving) -> None:
    checked(shop)
    for _ in range(6):
        with shop.store.transaction() as tx:
            # What a kill between the two commits of a step leaves behind.
            tx.execute("UPDATE steps SET attempts = attempts + 1 WHERE name = 'Check'")
    shop.tick(30)
    assert [task["healthStatus"] for task in shop.tasks()] == ["HEALTHY"]
    assert len(shop.runs.of_kind("ecs.check", is_open=True)) == 1


def test_a_container_starts_when_what_it_waits_for_has_succeeded_and_is_healthy(shop: Serving) -> None:
    together(
        shop,
        {"name": "app", "dependsOn": [*after("db", "HEALTHY"), *after("init", "SUCCESS")]},
        {"name": "db", "healthCheck": CHECK},
        {"name": "init", "essential": False},
    )
    (task,) = shop.tasks()
    assert sorted(started(shop)) == ["db", "init"]
    assert task["lastStatus"] == "PENDING"
    assert {one["name"]: one["lastStatus"] for one in task["containers"]} == {
        "app": "PENDING",
        "db": "RUNNING",
        "init": "RUNNING",
    }
    shop.tick(10)
    assert "app" not in started(shop)
    shop.runtime.end(name_of(task, "init"), 0)
    shop.tick()
    assert "app" in started(shop)
    assert shop.tasks()[0]["lastStatus"] == "RUNNING"


def test_a_task_stops_when_what_it_waits_for_has_failed(shop: Serving) -> None:
    together(shop, {"name": "app", "dependsOn": after("init", "SUCCESS")}, {"name": "init", "essential": False})
    shop.runtime.end(name_of(shop.tasks()[0], "init"), 3)
    shop.tick()
    (task,) = shop.tasks("STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert "did not exit successfully (exit code 3)" in task["stoppedReason"]
    assert shop.runtime.containers == {}


def test_a_start_timeout_gives_up_the_task(shop: Serving) -> None:
    shop.runtime.ran["shop@sha256:db"] = FAILED
    together(
        shop,
        {"name": "app", "dependsOn": after("db", "HEALTHY")},
        {"name": "db", "image": "shop@sha256:db", "healthCheck": CHECK, "startTimeout": 25},
    )
    shop.tick(24)
    assert shop.tasks()[0]["lastStatus"] == "PENDING"
    shop.tick(1)
    (task,) = shop.tasks("STOPPED")
    assert "[db] for target [app] has timed out after 25 s" in task["stoppedReason"]


def test_a_task_of_a_service_that_waits_for_an_unhealthy_container_is_replaced(shop: Serving) -> None:
    shop.client.create_cluster(clusterName="shop")
    shop.runtime.ran["db@sha256:1"] = FAILED
    app = {"name": "app", "image": "shop:latest", "memory": 64, "dependsOn": after("db", "HEALTHY")}
    db = {"name": "db", "image": "db@sha256:1", "memory": 64, "healthCheck": CHECK}
    shop.client.register_task_definition(family="web", containerDefinitions=[app, db])
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
    shop.client.create_service(**asked, deploymentConfiguration={"maximumPercent": 100, "minimumHealthyPercent": 0})
    shop.tick(25)
    (stopped,) = shop.tasks("STOPPED")
    assert stopped["stoppedReason"] == "Task failed container health checks"


def test_containers_stop_in_the_reverse_order(shop: Serving) -> None:
    together(shop, {"name": "app", "dependsOn": after("log", "START")}, {"name": "log", "stopTimeout": 5})
    task = shop.tasks()[0]
    shop.runtime.stubborn.add(name_of(task, "app"))
    shop.client.stop_task(cluster="shop", task=task["taskArn"])
    shop.tick(29)
    assert shop.runtime.signals == [(name_of(task, "app"), "SIGTERM")]
    shop.tick(2)
    assert [(name.rsplit("-", 1)[1], signal) for name, signal in shop.runtime.signals[1:]] == [
        ("app", "SIGKILL"),
        ("log", "SIGTERM"),
    ]


def test_a_container_that_is_not_essential_may_end(shop: Serving) -> None:
    together(shop, {"name": "app"}, {"name": "spare", "essential": False})
    task = shop.tasks()[0]
    shop.runtime.end(name_of(task, "spare"), 1)
    shop.tick(1)
    (task,) = shop.tasks()
    assert [one["lastStatus"] for one in task["containers"]] == ["RUNNING", "STOPPED"]


def test_a_load_balanced_task_with_checks_is_not_in_the_target_group_before_it_runs(shop: Serving) -> None:
    shop.client.create_cluster(clusterName="shop")
    group = shop.balancer.add("blue")
    app = {
        "name": "app",
        "image": "shop:latest",
        "memory": 64,
        "portMappings": [{"containerPort": 80}],
        "dependsOn": after("db", "HEALTHY"),
    }
    db = {"name": "db", "image": "db", "memory": 64, "healthCheck": CHECK}
    shop.client.register_task_definition(family="web", containerDefinitions=[app, db])
    asked = {"cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
    shop.client.create_service(**asked, loadBalancers=[balanced(group)])
    shop.tick(9)
    assert shop.balancer.targets[group] == {}
    shop.tick(1)
    assert len(shop.balancer.targets[group]) == 1

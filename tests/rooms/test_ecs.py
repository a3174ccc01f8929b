"""Services of the room ecs: desired counts, targets, stability, deletion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms.serving import Serving, name_of


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def test_a_service_starts_its_desired_count_and_registers_the_allocated_ports(shop: Serving) -> None:
    created = shop.create()
    assert created["deployments"] == []
    (task_set,) = created["taskSets"]
    assert (task_set["status"], task_set["startedBy"]) == ("PRIMARY", "CODE_DEPLOY")
    shop.tick()
    tasks = shop.tasks()
    assert [task["lastStatus"] for task in tasks] == ["RUNNING", "RUNNING"]
    instance = shop.room.machine()["ec2InstanceId"]
    ports = {task["containers"][0]["networkBindings"][0]["hostPort"] for task in tasks}
    assert set(shop.balancer.targets[shop.blue]) == {(instance, port) for port in ports}
    assert len(ports) == 2
    assert 0 not in ports
    assert {task["startedBy"] for task in tasks} == {task_set["id"]}


def test_a_service_of_many_tasks_starts_them_in_parts(shop: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnout.ecs.acting.MOST_STARTS", 2)
    shop.create(desiredCount=5)
    shop.tick(3)
    assert len(shop.tasks()) == 5
    started = [message for message in shop.messages() if "has started" in message]
    assert [message.split(" has started ")[1].split(" ")[0] for message in reversed(started)] == ["2", "2", "1"]


def test_a_task_set_is_stable_only_when_all_targets_are_healthy(shop: Serving) -> None:
    shop.create()
    shop.tick()
    (task_set,) = shop.service()["taskSets"]
    assert (task_set["runningCount"], task_set["stabilityStatus"]) == (2, "STABILIZING")
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick()
    (task_set,) = shop.service()["taskSets"]
    assert (task_set["computedDesiredCount"], task_set["stabilityStatus"]) == (2, "STEADY_STATE")
    assert shop.messages()[0] == "(service web) has reached a steady state."


def test_a_target_group_behind_no_listener_does_not_hold_up_stability(shop: Serving) -> None:
    shop.serve()
    green = shop.add_green()
    assert green["stabilityStatus"] == "STABILIZING"
    shop.tick()
    found = {one["id"]: one for one in shop.service()["taskSets"]}[green["id"]]
    assert (found["status"], found["runningCount"], found["stabilityStatus"]) == ("ACTIVE", 2, "STEADY_STATE")


def test_the_whole_blue_green_exchange(shop: Serving) -> None:
    blue = shop.serve()["taskSets"][0]
    green = shop.add_green(externalId="d-ABC123DEF", scale={"value": 100.0, "unit": "PERCENT"})
    assert green["externalId"] == "d-ABC123DEF"
    shop.tick()
    shop.client.update_service_primary_task_set(cluster="shop", service="web", primaryTaskSet=green["taskSetArn"])
    assert {one["id"]: one["status"] for one in shop.service()["taskSets"]} == {
        blue["id"]: "ACTIVE",
        green["id"]: "PRIMARY",
    }
    assert shop.service()["taskDefinition"].endswith("web:2")
    assert shop.service()["loadBalancers"][0]["targetGroupArn"] == shop.green
    deleted = shop.client.delete_task_set(cluster="shop", service="web", taskSet=blue["id"], force=True)["taskSet"]
    assert deleted["status"] == "DRAINING"
    shop.tick()
    (left,) = shop.service()["taskSets"]
    assert left["id"] == green["id"]
    assert shop.balancer.targets[shop.blue] == {}
    assert len(shop.tasks()) == 2
    assert {task["stopCode"] for task in shop.tasks("STOPPED")} == {"ServiceSchedulerInitiated"}


def test_targets_are_drained_before_sigterm_and_sigkill_waits_for_the_stop_timeout(shop: Serving) -> None:
    shop.create(desiredCount=1, taskDefinition=shop.register(stopTimeout=7))
    shop.tick()
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick()
    (task,) = shop.tasks()
    name = name_of(task)
    shop.runtime.stubborn.add(name)
    shop.balancer.drains_at_once = False
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick(20)
    (task,) = shop.tasks("STOPPED")
    assert task["lastStatus"] == "DEACTIVATING"
    assert shop.runtime.signals == []
    shop.balancer.drained(shop.blue)
    shop.tick()
    assert shop.runtime.signals == [(name, "SIGTERM")]
    assert shop.tasks("STOPPED")[0]["lastStatus"] == "STOPPING"
    shop.tick(6.9)
    assert len(shop.runtime.signals) == 1
    shop.tick(0.2)
    assert shop.runtime.signals[1:] == [(name, "SIGKILL")]
    (task,) = shop.tasks("STOPPED")
    assert task["lastStatus"] == "STOPPED"
    assert task["containers"][0]["exitCode"] == 137
    assert task["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    assert shop.runtime.containers == {}


def test_stopped_tasks_are_told_for_an_hour(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick(3590)
    assert len(shop.tasks("STOPPED")) == 1
    shop.tick(20)
    assert shop.tasks("STOPPED") == []
    assert shop.runs.of_kind("ecs.task") == []

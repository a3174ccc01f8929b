"""Tasks of the room ecs that die, do not start, or fail their checks; and engines that die."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.rooms.serving import Serving, name_of
from turnout.errors import Hindered


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Serving]:
    shop = Serving(tmp_path)
    yield shop
    shop.close()


def test_a_task_that_dies_is_replaced_quickly_and_its_target_deregistered(shop: Serving) -> None:
    shop.serve()
    shop.tick(100)
    dying, left = shop.tasks()
    shop.runtime.end(name_of(dying), 3)
    shop.tick(0.3)
    assert [task["lastStatus"] for task in shop.tasks()] == ["RUNNING", "RUNNING"]
    assert left["taskArn"] in {task["taskArn"] for task in shop.tasks()}
    assert len(shop.balancer.targets[shop.blue]) == 2
    (dead,) = shop.tasks("STOPPED")
    assert dead["stopCode"] == "EssentialContainerExited"
    assert dead["stoppedReason"] == "Essential container in task exited"
    assert dead["containers"][0]["exitCode"] == 3
    assert dead["lastStatus"] == "STOPPED"
    assert any(
        "has stopped: Essential container in task exited (container app, exit code 3)" in m for m in shop.messages()
    )


def test_a_task_that_keeps_dying_is_restarted_with_backoff(shop: Serving) -> None:
    shop.create(desiredCount=1)
    shop.tick()
    starts = []
    for _ in range(12):
        (task,) = shop.tasks()
        starts.append(task["createdAt"].timestamp())
        shop.runtime.end(name_of(task), 1)
        shop.tick()
        while not shop.tasks():
            shop.tick(0.25)
    waits = [then - first for first, then in pairwise(starts)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert any("is unable to consistently start tasks successfully" in message for message in shop.messages())


@pytest.mark.parametrize("desired", [1, 3])
def test_tasks_that_keep_failing_their_health_checks_are_replaced_with_backoff(shop: Serving, desired: int) -> None:
    """Each is stopped only when another runs in its place, and it, too, is one more that failed."""
    shop.create(desiredCount=desired)
    shop.balancer.fate[shop.blue] = "unhealthy"
    starts: set[float] = set()
    for _ in range(150):
        shop.tick(1)
        starts |= {task["createdAt"].timestamp() for task in shop.tasks()}
    waits = [then - first for first, then in pairwise(sorted(starts))]
    assert len(waits) < 10, "of a hundred and fifty looks"
    assert waits == sorted(waits)
    assert waits[-1] > 30
    assert sum("is unable to consistently start tasks successfully" in message for message in shop.messages()) == 1
    shop.balancer.fate[shop.blue] = "healthy"
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick(100)
    for task in shop.tasks():
        shop.runtime.end(name_of(task), 1)
    shop.tick(0.3)
    assert len(shop.tasks()) == desired, "what had been stable is replaced quickly again"


def test_an_image_that_is_missing_is_told_by_the_task_that_cannot_start(shop: Serving) -> None:
    shop.runtime.missing.add("shop:latest")
    shop.create(desiredCount=1)
    shop.tick()
    (task,) = shop.tasks("STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: pull image manifest has been retried")
    shop.tick(1)
    assert len(shop.tasks("STOPPED", serviceName="web")) == 3


def test_a_container_that_cannot_be_started_is_told_in_ecs_words(shop: Serving) -> None:
    shop.create(desiredCount=0)
    arn = shop.register("job", image="shop@sha256:1")
    shop.runtime.cannot_start["shop@sha256:1"] = "exec format error"
    shop.client.run_task(cluster="shop", taskDefinition=arn)
    shop.tick()
    (task,) = shop.tasks("STOPPED", family="job")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"] == "CannotStartContainerError: exec format error"


def test_what_cannot_be_honoured_yet_fails_the_start_and_says_so(shop: Serving) -> None:
    shop.create(desiredCount=0)
    arn = shop.register("job", repositoryCredentials={"credentialsParameter": "arn:aws:secretsmanager:::secret:key"})
    shop.client.run_task(cluster="shop", taskDefinition=arn)
    shop.tick()
    (task,) = shop.tasks("STOPPED", family="job")
    assert task["stoppedReason"] == "container app asks for repositoryCredentials, which turnout does not implement yet"
    assert shop.runtime.containers == {}


def test_what_only_a_container_can_have_is_refused_by_a_runtime_of_processes(shop: Serving) -> None:
    shop.create(desiredCount=0)
    ulimits = [{"name": "nofile", "softLimit": 1, "hardLimit": 1}]
    arn = shop.register("job", ulimits=ulimits)
    shop.client.run_task(cluster="shop", taskDefinition=arn)
    shop.tick()
    (task,) = shop.tasks("STOPPED", family="job")
    assert task["stoppedReason"].startswith("container app asks for ulimits, which a process of this machine cannot")
    shop.runtime.honoured = ("ulimits",)
    shop.client.run_task(cluster="shop", taskDefinition=arn)
    shop.tick()
    (container,) = shop.runtime.containers.values()
    assert container.workload.options == {"ulimits": ulimits}


def test_a_container_engine_that_does_not_answer_is_waited_for(shop: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is nobody's fault, and the tasks may well be serving: nothing is stopped, nothing has failed."""
    shop.serve()
    before = shop.tasks()
    find = shop.runtime.find

    async def away(name: str) -> None:
        raise Hindered("the container engine does not answer")

    monkeypatch.setattr(shop.runtime, "find", away)
    shop.tick(400)
    assert [task["taskArn"] for task in shop.tasks()] == [task["taskArn"] for task in before]
    monkeypatch.setattr(shop.runtime, "find", find)
    shop.tick(10)
    assert [task["lastStatus"] for task in shop.tasks()] == ["RUNNING", "RUNNING"]


def test_a_task_that_fails_its_health_checks_is_replaced_after_the_grace_period(shop: Serving) -> None:
    shop.create(desiredCount=1, healthCheckGracePeriodSeconds=30)
    shop.tick()
    (first,) = shop.tasks()
    shop.balancer.set_health(shop.blue, "unhealthy")
    shop.tick(29)
    assert [task["taskArn"] for task in shop.tasks()] == [first["taskArn"]]
    shop.balancer.fate[shop.blue] = "healthy"
    shop.tick(2)
    (second,) = shop.tasks()
    assert second["taskArn"] != first["taskArn"]
    (stopped,) = shop.tasks("STOPPED")
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {shop.blue})"
    assert any("is unhealthy in (target-group" in message for message in shop.messages())


def test_stop_task_is_undone_by_the_scheduler(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    (task,) = shop.tasks()
    stopped = shop.client.stop_task(cluster="shop", task=task["taskArn"], reason="gone fishing")["task"]
    assert stopped["desiredStatus"] == "STOPPED"
    shop.tick()
    (other,) = shop.tasks()
    assert other["taskArn"] != task["taskArn"]
    (stopped,) = shop.tasks("STOPPED")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "gone fishing")


def test_after_a_crash_of_the_engine_the_same_tasks_go_on(shop: Serving) -> None:
    shop.serve()
    before = {task["taskArn"]: task["containers"][0]["networkBindings"] for task in shop.tasks()}
    shop.reboot()
    shop.tick(400)
    assert {task["taskArn"]: task["containers"][0]["networkBindings"] for task in shop.tasks()} == before
    assert len(shop.runtime.containers) == 2
    shop.runtime.end(name_of(shop.tasks()[0]), 1)
    shop.tick(1)
    assert len(shop.tasks()) == 2


def test_a_container_that_ended_while_the_engine_was_away_is_noticed_at_once(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    (task,) = shop.tasks()
    shop.run(shop.runtime.close())
    shop.runtime.end(name_of(task), 9)
    shop.reboot()
    shop.tick(1)
    assert len(shop.tasks()) == 1
    assert shop.tasks()[0]["taskArn"] != task["taskArn"]
    assert shop.tasks("STOPPED")[0]["containers"][0]["exitCode"] == 9


def test_a_drain_goes_on_after_a_crash_and_sigterm_is_sent_once(shop: Serving) -> None:
    shop.serve(desiredCount=1)
    shop.balancer.drains_at_once = False
    shop.client.update_service(cluster="shop", service="web", desiredCount=0)
    shop.tick(5)
    shop.reboot()
    shop.tick(5)
    assert shop.runtime.signals == []
    shop.balancer.drained(shop.blue)
    shop.tick()
    assert [signal for _, signal in shop.runtime.signals] == ["SIGTERM"]
    assert shop.runtime.containers == {}


def test_a_scheduler_survives_an_unexpected_error(shop: Serving, caplog: pytest.LogCaptureFixture) -> None:
    shop.serve()
    del shop.balancer.groups[shop.blue]["TargetGroupArn"]
    shop.balancer.set_health(shop.blue, "healthy")
    shop.tick()
    assert "KeyError" in caplog.text
    shop.balancer.groups[shop.blue]["TargetGroupArn"] = shop.blue
    shop.tick(6)
    shop.client.update_service(cluster="shop", service="web", desiredCount=3)
    shop.tick()
    assert len(shop.tasks()) == 3

"""The engine dies at every commit and around every act of the plans of one step, and none is without its deaths."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crash.dying import Killed, survive
from tests.fakes.seed import seed
from tests.rooms.registering import RegistryClient
from tests.rooms.test_cloudwatch import ALARM
from tests.rooms.test_lambda import create, runs_of
from turnout.runs import StepSpec

REGION = "us-east-1"
EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "3"))

STORIES = {
    "autoscaling.target": "tests.crash.test_autoscaling",
    "cloudwatch.action": "tests.crash.test_small_plans",
    "cloudwatch.evaluation": "tests.crash.test_small_plans",
    "codebuild": "tests.crash.test_codebuild",
    "codedeploy": "tests.crash.test_codedeploy",
    "codedeploy.alarms": "tests.crash.test_codedeploy",
    "codedeploy.hook": "tests.crash.test_codedeploy",
    "codedeploy.trigger": "tests.crash.test_small_plans",
    "codepipeline": "tests.crash.test_codepipeline",
    "codepipeline.poll": "tests.crash.test_small_plans",
    "ecr.lifecycle": "tests.crash.test_small_plans",
    "ecr.sweep": "tests.crash.test_small_plans",
    "ecs.alarms": "tests.crash.test_ecs_rolling",
    "ecs.check": "tests.crash.test_ecs",
    "ecs.deployment": "tests.crash.test_ecs_shifting",
    "ecs.rollback": "tests.crash.test_ecs_shifting",
    "ecs.service": "tests.crash.test_ecs",
    "ecs.task": "tests.crash.test_ecs",
    "elbv2.deregistration": "tests.crash.test_kill_anywhere",
    "elbv2.registration": "tests.crash.test_kill_anywhere",
    "lambda.invocation": "tests.crash.test_small_plans",
}
"""Kind of a plan → where it is killed at every point."""


def test_every_plan_has_a_story_in_which_it_is_killed(world: World) -> None:
    """A new plan fails here until its story is told: what it leaves behind, wherever the engine dies."""
    assert world.engine.runner._plans.keys() == STORIES.keys()
    for module in set(STORIES.values()):
        assert any(name.startswith("test_") for name in vars(importlib.import_module(module)))


def alarm(world: World) -> Callable[[], Any]:
    """A datapoint crosses the threshold: the alarm tells its topic."""
    topic = world.boto("sns").create_topic(Name="told")["TopicArn"]
    client = world.boto("cloudwatch")
    client.put_metric_alarm(**ALARM, AlarmActions=[topic])
    datum = {"MetricName": ALARM["MetricName"], "Value": 9.0}
    client.put_metric_data(Namespace=ALARM["Namespace"], MetricData=[datum])

    def end() -> Any:
        items = client.describe_alarm_history(AlarmName=ALARM["AlarmName"], ScanBy="TimestampAscending")
        (described,) = client.describe_alarms()["MetricAlarms"]
        return described["StateValue"], [item["HistoryItemType"] for item in items["AlarmHistoryItems"]]

    return end


def polled(world: World) -> Callable[[], Any]:
    """A new version of the S3 source of a pipeline: one execution of it."""
    s3, client = world.boto("s3"), world.boto("codepipeline")
    s3.create_bucket(Bucket="source")
    s3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="source", Key="app.zip", Body=b"one")
    declaration = seed()
    (action,) = declaration["stages"][0]["actions"]
    action["actionTypeId"]["provider"] = "S3"
    action["configuration"] = {"S3Bucket": "source", "S3ObjectKey": "app.zip"}
    client.create_pipeline(pipeline=declaration)
    world.tick(1)
    s3.put_object(Bucket="source", Key="app.zip", Body=b"two")

    def end() -> Any:
        found = client.list_pipeline_executions(pipelineName=declaration["name"])["pipelineExecutionSummaries"]
        return [execution["trigger"]["triggerType"] for execution in found]

    return end


def trigger(world: World) -> Callable[[], Any]:
    """A deployment's trigger publishes its message."""
    topic = world.boto("sns").create_topic(Name="told")["TopicArn"]
    message = {"TopicArn": topic, "Message": "{}"}
    with world.store.transaction() as tx:
        run = world.runs.insert(tx, "codedeploy.trigger", REGION, "d-1/START/t", message, [StepSpec("Publish", 0)])
    return lambda: world.runs.get(run.id).status


def expiring(world: World) -> Callable[[], Any]:
    """A lifecycle policy keeps one image of two, and a day later the layer of the other is gone."""
    ecr = world.boto("ecr")
    ecr.create_repository(repositoryName="hello")
    for tag in ("1", "2"):
        RegistryClient(world).push("hello", tag, f"layer of {tag}".encode())
        world.clock.advance(1)
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    rule = {"rulePriority": 1, "description": "x" * 30, "selection": selection, "action": {"type": "expire"}}
    ecr.put_lifecycle_policy(repositoryName="hello", lifecyclePolicyText=json.dumps({"rules": [rule]}))
    blobs = world.home / "images" / "blobs" / "sha256"
    (blobs / ("a" * 64)).write_text("what a kill has left of a push")

    def end() -> Any:
        images = ecr.list_images(repositoryName="hello")["imageIds"]
        return images, sorted(blob.name for blob in blobs.iterdir())

    return end


@pytest.mark.parametrize(("story", "seconds"), [(alarm, 5.0), (polled, 130.0), (trigger, 1.0), (expiring, 29 * 3600.0)])
def test_a_small_plan_ends_the_same_wherever_the_engine_dies(
    tmp_path: Path, story: Callable[[World], Callable[[], Any]], seconds: float
) -> None:
    def lived(fatal: int | None) -> tuple[int, Any]:
        home = tmp_path / str(fatal)
        home.mkdir()
        world = World(home)
        end = story(world)
        points = survive(world, seconds, fatal, world.reboot)
        ended = end()
        world.close()
        return points, ended

    points, whole = lived(None)
    assert points > 1
    for fatal in range(1, points + 1):
        assert lived(fatal)[1] == whole, f"killed at point {fatal}"


def test_an_accepted_event_runs_once_wherever_the_engine_dies(tmp_path: Path) -> None:
    def lived(fatal: int | None) -> int:
        home = tmp_path / str(fatal)
        home.mkdir()
        world = World(home)
        create(world).invoke(FunctionName="f", InvocationType="Event")
        points = 0

        def fuse(point: str) -> None:
            nonlocal points
            points += point != "before commit"
            if points == fatal:
                raise Killed(point)

        world.fuse = fuse
        deadline = time.monotonic() + 30
        while world.runs.of_kind("lambda.invocation", is_open=True):
            assert time.monotonic() < deadline
            try:
                world.tick(0.1)
                world.run(world.engine.runner.wait_due(0.02))
            except Killed:
                world.fuse = lambda point: None
                world.reboot()
        world.fuse = lambda point: None
        assert runs_of(world) == 1, f"killed at point {fatal}"
        world.close()
        return points

    for fatal in range(1, lived(None) + 1, EVERY):
        lived(fatal)

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
from tests.rooms.certifying import imported, validate
from tests.rooms.registering import RegistryClient
from tests.rooms.test_acm import described, requested
from tests.rooms.test_cloudwatch import ALARM
from tests.rooms.test_lambda import create, runs_of
from tests.rooms.test_loadbalancer import Stack
from tests.rooms.test_loadbalancer_tls import secure
from turnout.runs import StepSpec

REGION = "us-east-1"
EVERY = int(os.environ.get("TURNOUT_CRASH_EVERY", "1" if os.environ.get("CI") else "3"))

STORIES = {
    "acm.issuance": "tests.crash.test_small_plans",
    "acm.renewal": "tests.crash.test_small_plans",
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


def certified(world: World) -> Callable[[], Any]:
    """A certificate is issued; it is in use, and renewed within the year: one key is left, and served."""
    arn = requested(world, "example.com")
    validate(world, arn)
    stack = Stack(world)
    listener = secure(stack, imported(world, "www.example.com"))["ListenerArn"]

    def end() -> Any:
        found = described(world, arn)
        stack.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": arn}])
        (secret,) = world.proxy.picture.secrets.values()
        keys = {path.read_text() for path in (world.home / "acm").iterdir()}
        return found["Status"], secret.key in keys, len(keys), sorted(run.kind for run in open_runs(world))

    return end


def renewed(world: World) -> Callable[[], Any]:
    """A certificate that is in use comes near its end: it is renewed, and the proxy has the new one."""
    arn = requested(world, "example.com")
    validate(world, arn)
    world.tick()
    secure(Stack(world), arn)
    (first,) = world.proxy.picture.secrets.values()

    def end() -> Any:
        (secret,) = world.proxy.picture.secrets.values()
        (key,) = [path.read_text() for path in (world.home / "acm").iterdir()]
        summary = described(world, arn)["RenewalSummary"]["RenewalStatus"]
        return summary, secret.key == key, secret != first, sorted(run.kind for run in open_runs(world))

    return end


def open_runs(world: World) -> list[Any]:
    return [run for kind in ("acm.issuance", "acm.renewal") for run in world.runs.of_kind(kind, is_open=True)]


SMALL = [
    (certified, 5.0),
    (renewed, 336 * 86400.0),
    (alarm, 5.0),
    (polled, 130.0),
    (trigger, 1.0),
    (expiring, 29 * 3600.0),
]
"""A story, and how long it takes."""


@pytest.mark.parametrize(("story", "seconds"), SMALL)
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

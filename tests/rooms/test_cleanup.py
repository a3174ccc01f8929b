"""turnout cleanup, by AWS's API alone: what nobody uses goes, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.fakes import modelled
from tests.rooms.registering import IMAGE, INDEX, RegistryClient, described, digest_of
from tests.rooms.shifting import Shop
from tests.rooms.test_codedeploy_together import Stack
from tests.rooms.test_verbs import wait_for_somebody
from tests.rooms.verbs import Verbs
from turnout.cli.cleaning import definitions

ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture
def verbs(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Verbs:
    return Verbs(world, monkeypatch, capsys, tmp_path)


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def define(world: World, family: str, count: int = 1, image: str = "app:1") -> None:
    container = {"name": "app", "image": image, "memory": 64}
    for _ in range(count):
        world.boto("ecs").register_task_definition(family=family, containerDefinitions=[container])


def listed(world: World, family: str) -> dict[int, str]:
    """Revision → status of all that there are, oldest first."""
    ecs = world.boto("ecs")
    return {
        int(arn.rpartition(":")[2]): status
        for status in ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS")
        for arn in ecs.list_task_definitions(familyPrefix=family, status=status)["taskDefinitionArns"]
    }


def clean(verbs: Verbs, *words: str) -> str:
    status, said = verbs("cleanup", *words)
    assert status == 0, said
    return said


# Task definitions


def test_active_and_inactive_revisions_go_ten_at_a_time_and_pages_of_them(world: World, verbs: Verbs) -> None:
    define(world, "web", 123)
    define(world, "web-admin", 2)
    for revision in (1, 3, 7):
        world.boto("ecs").deregister_task_definition(taskDefinition=f"web:{revision}")
    said = clean(verbs, "task-definitions", "web", "--keep", "2")
    assert listed(world, "web") == {122: "ACTIVE", 123: "ACTIVE"}
    assert listed(world, "web-admin") == {1: "ACTIVE", 2: "ACTIVE"}
    assert "Deleted 121: web:1–121" in said
    assert {len(params["taskDefinitions"]) for params in verbs.asked("DeleteTaskDefinitions")} == {10, 1}
    assert len(verbs.asked("DeregisterTaskDefinition")) == 118, "those that are INACTIVE are so already"
    assert "Nothing to delete of web." in clean(verbs, "task-definitions", "web", "--keep", "2")


def test_a_dry_run_says_what_would_go_and_what_stays_and_does_nothing(stack: Stack, verbs: Verbs) -> None:
    stack.define("2")
    stack.define("3")
    said = clean(verbs, "task-definitions", "web", "--keep", "1", "--dry-run")
    assert "Would delete 1: web:2" in said
    assert [line.split() for line in said.splitlines() if line.startswith("web:3")] == [
        ["web:3", "ACTIVE", "the", "newest"]
    ]
    assert "web:1" in said
    assert "service prod/web" in said
    assert listed(stack.world, "web") == dict.fromkeys((1, 2, 3), "ACTIVE")


def test_what_a_service_its_task_sets_and_its_last_deployments_use_stays(stack: Stack, verbs: Verbs) -> None:
    for version in ("2", "3", "4"):
        assert verbs("deploy", verbs.write(version))[0] == 0
    stack.ecs.deregister_task_definition(taskDefinition="web:4")
    stack.define("5")
    stack.define("6")
    said = clean(verbs, "task-definitions", "web", "--keep", "2")
    assert listed(stack.world, "web") == {3: "ACTIVE", 4: "INACTIVE", 5: "ACTIVE", 6: "ACTIVE"}
    assert "PRIMARY task set of prod/web" in said
    status, said = verbs("rollback")
    assert status == 0, said


def test_a_failed_release_does_not_push_one_that_succeeded_out_of_what_is_kept(stack: Stack, verbs: Verbs) -> None:
    stack.deploy("2")
    stack.world.tick(120)
    stack.deploy("3")
    stack.world.tick(120)
    for version in ("7", "8"):
        resolved = stack.world.run(stack.world.runtime.resolve(f"app:{version}", "us-east-1"))
        stack.world.runtime.cannot_start[resolved] = "no such file"
        stack.deploy(version)
        stack.world.tick(600)
    for number in range(3):
        stack.define(f"1{number}")
    clean(verbs, "task-definitions", "web", "--keep", "2")
    assert {2, 3} <= listed(stack.world, "web").keys()
    assert 6 not in listed(stack.world, "web")


def test_a_deployment_under_way_is_not_disturbed(stack: Stack, verbs: Verbs) -> None:
    wait_for_somebody(stack)
    deployment = stack.deploy("2")
    stack.world.tick(60)
    said = clean(verbs, "task-definitions", "web", "--keep", "0")
    assert f"deployment {deployment} is under way" in said
    assert set(listed(stack.world, "web")) == {1, 2}
    assert verbs("promote", "--now")[0] == 0


def test_what_tasks_schedules_and_rules_start_stays(world: World, verbs: Verbs) -> None:
    define(world, "job", 4)
    ecs, events, scheduler = world.boto("ecs"), world.boto("events"), world.boto("scheduler")
    cluster = ecs.create_cluster(clusterName="prod")["cluster"]["clusterArn"]
    ecs.run_task(cluster="prod", taskDefinition="job:1")
    world.tick(5)
    arns = ecs.list_task_definitions(familyPrefix="job")["taskDefinitionArns"]
    role = "arn:aws:iam::000000000000:role/events"
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    target = {"Id": "job", "Arn": cluster, "RoleArn": role, "EcsParameters": {"TaskDefinitionArn": arns[1]}}
    events.put_targets(Rule="nightly", Targets=[target])
    scheduler.create_schedule(
        Name="hourly",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": cluster, "RoleArn": role, "EcsParameters": {"TaskDefinitionArn": arns[2]}},
    )
    said = clean(verbs, "task-definitions", "job", "--keep", "0")
    assert set(listed(world, "job")) == {1, 2, 3}
    for why in ("1 task in prod", "rule nightly", "schedule hourly"):
        assert why in said
    (task,) = ecs.list_tasks(cluster="prod")["taskArns"]
    ecs.stop_task(cluster="prod", task=task)
    world.tick(120)
    clean(verbs, "task-definitions", "job", "--keep", "0")
    assert set(listed(world, "job")) == {2, 3}


def test_a_service_that_ecs_shifts_keeps_the_revisions_of_its_last_deployments(world: World, verbs: Verbs) -> None:
    shop = Shop(world)
    shop.create()
    for version in ("2", "3", "4"):
        shop.deploy(f"shop:{version}")
        world.tick(900)
    clean(verbs, "task-definitions", "web", "--keep", "1")
    assert set(listed(world, "web")) == {4}
    shop.deploy("shop:5")
    world.tick(30)
    said = clean(verbs, "task-definitions", "web", "--keep", "0")
    assert set(listed(world, "web")) == {4, 5}
    assert "is under way" in said
    world.tick(900)
    assert shop.images() == {"shop"}


def test_with_keep_0_and_nothing_left_everything_goes(world: World, verbs: Verbs) -> None:
    define(world, "web", 3)
    assert "Deleted 3: web:1–3" in clean(verbs, "task-definitions", "web", "--keep", "0")
    assert listed(world, "web") == {}
    assert "Nothing to delete of web." in clean(verbs, "task-definitions", "web", "--keep", "0")


def test_an_appspec_that_cannot_be_read_stops_the_clean_up_before_anything_is_deleted(
    stack: Stack, verbs: Verbs
) -> None:
    s3 = stack.world.boto("s3")
    s3.create_bucket(Bucket="specs")
    spec = {"version": 0.0, "Resources": [{"web": {"Type": "AWS::ECS::Service", "Properties": {}}}]}
    spec["Resources"][0]["web"]["Properties"] = {  # type: ignore[index]
        "TaskDefinition": stack.define("2"),
        "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80},
    }
    s3.put_object(Bucket="specs", Key="appspec.json", Body=json.dumps(spec).encode())
    location = {"bucket": "specs", "key": "appspec.json", "bundleType": "JSON"}
    deployment = stack.codedeploy.create_deployment(
        applicationName="shop",
        deploymentGroupName="live",
        revision={"revisionType": "S3", "s3Location": location},
    )["deploymentId"]
    stack.world.tick(120)
    assert stack.info(deployment)["status"] == "Succeeded"
    assert f"deployment {deployment} of shop/live" in clean(verbs, "task-definitions", "web", "--dry-run")
    s3.delete_object(Bucket="specs", Key="appspec.json")
    stack.define("3")
    status, said = verbs("cleanup", "task-definitions", "web", "--keep", "1")
    assert (status, f"the AppSpec of the deployment {deployment}" in said) == (2, True)
    assert set(listed(stack.world, "web")) == {1, 2, 3}
    clean(verbs, "task-definitions", "web", "--keep", "0")
    assert set(listed(stack.world, "web")) == {2}


def test_what_could_not_be_deleted_is_told_and_the_exit_status_says_so(
    world: World, verbs: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(world, "web", 3)
    ask = modelled.ModelledClient.__getattr__

    def throttled_for_good(client: Any, method: str) -> Any:
        call = ask(client, method)

        def asked(**params: Any) -> Any:
            if method == "deregister_task_definition" and params["taskDefinition"].endswith(":2"):
                raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "X")
            return call(**params)

        return asked

    monkeypatch.setattr(modelled.ModelledClient, "__getattr__", throttled_for_good)
    status, said = verbs("cleanup", "task-definitions", "web", "--keep", "0")
    assert (status, "Could not delete web:2: ThrottlingException: Rate exceeded" in said) == (1, True), said
    assert listed(world, "web") == {2: "ACTIVE"}


def test_a_long_clean_up_looks_again_who_uses_what(stack: Stack, verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(25):
        stack.define("2")
    monkeypatch.setattr(definitions, "LOOK_AGAIN_S", -1.0)
    ask = modelled.ModelledClient.__getattr__

    def rolled_back_meanwhile(client: Any, method: str) -> Any:
        call = ask(client, method)

        def asked(**params: Any) -> Any:
            answer = call(**params)
            if method == "delete_task_definitions" and len(verbs.asked("DeleteTaskDefinitions")) == 1:
                stack.ecs.run_task(cluster="prod", taskDefinition="web:2")
            return answer

        return asked

    monkeypatch.setattr(modelled.ModelledClient, "__getattr__", rolled_back_meanwhile)
    said = clean(verbs, "task-definitions", "web", "--keep", "1")
    assert set(listed(stack.world, "web")) == {1, 2, 26}
    assert "1 task in prod" in said


def test_a_family_with_a_revision_is_refused(world: World, verbs: Verbs) -> None:
    status, said = verbs("cleanup", "task-definitions", "web:3")
    assert (status, "without :REVISION" in said) == (2, True)


# Images


class Shelf:
    """A repository `app`, pushed to by the registry's API."""

    def __init__(self, world: World) -> None:
        self.world, self.ecr = world, world.boto("ecr")
        self.ecr.create_repository(repositoryName="app")
        self.client = RegistryClient(world)

    def push(self, tag: str, **members: Any) -> str:
        self.world.tick(1)
        return self.client.push("app", tag, tag.encode(), **members)

    def tags(self) -> set[str]:
        found = self.ecr.describe_images(repositoryName="app")["imageDetails"]
        return {tag for image in found for tag in image.get("imageTags", ["untagged"])}


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world)


def test_images_that_a_kept_task_definition_names_by_tag_or_digest_stay(shelf: Shelf, verbs: Verbs) -> None:
    digests = {tag: shelf.push(tag) for tag in ("v1", "v2", "v3", "v4", "v5")}
    define(shelf.world, "web", image=f"{ECR}/app:v1")
    define(shelf.world, "api", image=f"{ECR}/app@{digests['v2']}")
    define(shelf.world, "old", image=f"{ECR}/app:v3")
    define(shelf.world, "old", image="app.example.org/app:v4")
    words = ("images", "app", "--keep", "1")
    said = clean(verbs, *words, "--dry-run")
    assert shelf.tags() == {"v1", "v2", "v3", "v4", "v5"}
    assert f"Would delete 2: {digests['v4'][7:19]} (v4), {digests['v3'][7:19]} (v3)" in said
    assert "web:1 (one of the newest of its family)" in said
    said = clean(verbs, *words)
    assert shelf.tags() == {"v1", "v2", "v5"}
    assert "Deleted 2:" in said
    assert "Nothing to delete of app." in clean(verbs, *words)


def test_what_tasks_run_stays_although_its_tag_has_moved(shelf: Shelf, stack: Stack, verbs: Verbs) -> None:
    first = shelf.push("latest")
    with_image = stack.ecs.register_task_definition(
        family="app", containerDefinitions=[{"name": "app", "image": f"{ECR}/app:latest", "memory": 64}]
    )["taskDefinition"]["taskDefinitionArn"]
    stack.ecs.run_task(cluster="prod", taskDefinition=with_image)
    stack.world.tick(5)
    shelf.world.tick(1)
    second = shelf.client.push("app", "latest", b"another")
    third = shelf.push("v3")
    said = clean(verbs, "images", "app", "--keep", "0")
    left = {image["imageDigest"] for image in shelf.ecr.describe_images(repositoryName="app")["imageDetails"]}
    assert left == {first, second}, "the second by its tag, the first because it runs"
    assert "a task in prod" in said
    assert third[7:19] in said


def test_what_a_kept_index_lists_and_what_is_attached_to_a_kept_image_stays(shelf: Shelf, verbs: Verbs) -> None:
    def index(tag: str) -> str:
        """Two images, and an index of them; only that has a tag."""
        parts = []
        for number in range(2):
            manifest = shelf.client.image("app", f"{tag} {number}".encode())
            body = json.dumps(manifest).encode()
            assert shelf.client.put("app", digest_of(body), manifest).status == 201
            parts.append(described(IMAGE, body))
        shelf.world.tick(1)
        pushed = shelf.client.put("app", tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts})
        assert pushed.status == 201
        return pushed.headers["docker-content-digest"]

    old, new = index("old"), index("new")
    for digest in (old, new):
        shelf.push(f"sha256-{digest[7:]}.sig")
    define(shelf.world, "web", image=f"{ECR}/app:new")
    said = clean(verbs, "images", "app", "--keep", "1")
    assert shelf.tags() == {"new", "untagged", f"sha256-{new[7:]}.sig"}
    assert len(shelf.ecr.describe_images(repositoryName="app")["imageDetails"]) == 4
    assert "Deleted 4:" in said


def test_what_builds_and_functions_run_in_stays(shelf: Shelf, verbs: Verbs) -> None:
    for tag in ("build", "function", "nobody"):
        shelf.push(tag)
    role = "arn:aws:iam::000000000000:role/build"
    shelf.world.boto("codebuild").create_project(
        name="web",
        source={"type": "NO_SOURCE", "buildspec": 'version: 0.2\nphases: {build: {commands: ["true"]}}'},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": f"{ECR}/app:build", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
    )
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    shelf.world.boto("iam").create_role(RoleName="build", AssumeRolePolicyDocument=trust)
    shelf.world.boto("lambda").create_function(
        FunctionName="resize", Role=role, PackageType="Image", Code={"ImageUri": f"{ECR}/app:function"}
    )
    said = clean(verbs, "images", "app", "--keep", "0")
    assert shelf.tags() == {"build", "function"}
    assert "builds of web" in said
    assert "function resize" in said


def test_a_repository_that_is_not_there_is_named(world: World, verbs: Verbs) -> None:
    status, said = verbs("cleanup", "images", "nowhere")
    assert (status, "there is no repository nowhere in us-east-1" in said) == (2, True)


def test_an_image_that_could_not_be_deleted_is_told(
    shelf: Shelf, verbs: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.push("v1")
    ask = modelled.ModelledClient.__getattr__

    def refused(client: Any, method: str) -> Any:
        call = ask(client, method)

        def asked(**params: Any) -> Any:
            if method == "batch_delete_image":
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "BatchDeleteImage")
            return call(**params)

        return asked

    monkeypatch.setattr(modelled.ModelledClient, "__getattr__", refused)
    status, said = verbs("cleanup", "images", "app", "--keep", "0")
    assert (status, "(v1): AccessDeniedException: no" in said) == (1, True), said

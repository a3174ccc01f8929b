"""CodePipeline with an ECR source: a push of the tag starts it, and imageDetail.json tells the image by digest."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.conftest import World
from tests.fakes.readings import actions_of, executions_of
from tests.fakes.seed import action, approval, pipeline
from tests.rooms.registering import RegistryClient


def image_source(**configuration: str) -> dict[str, Any]:
    return action("Source", "ECR", "Image", {"RepositoryName": "hello", **configuration}, output=["Image"])


@pytest.fixture
def client(world: World) -> Any:
    world.boto("s3").create_bucket(Bucket="artifacts")
    world.boto("ecr").create_repository(repositoryName="hello")
    return world.boto("codepipeline")


def made(client: Any, **configuration: str) -> Any:
    source = image_source(**configuration)
    client.create_pipeline(pipeline=pipeline(("Source", [source]), ("Wait", [approval()])))
    return client


def test_a_push_of_the_tag_starts_the_pipeline_with_the_image_by_digest(world: World, client: Any) -> None:
    made(client, ImageTag="live")
    world.tick()
    assert executions_of(client) == ["Failed"]
    assert "hello:live cannot be read from ECR" in actions_of(client)["Image"]["errorDetails"]["message"]
    registry = RegistryClient(world)
    registry.push("hello", "other", b"other")
    digest = registry.push("hello", "live", b"live")
    world.tick()
    summaries = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    assert [each["status"] for each in summaries] == ["InProgress", "Failed"]
    assert summaries[0]["trigger"] == {
        "triggerType": "CloudWatchEvent",
        "triggerDetail": "arn:aws:ecr:us-east-1:000000000000:repository/hello",
    }
    assert summaries[0]["sourceRevisions"][0]["revisionId"] == digest
    details = client.list_action_executions(pipelineName="web")["actionExecutionDetails"]
    (source,) = [each for each in details if each["actionName"] == "Image" and each["status"] == "Succeeded"]
    uri = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/hello@{digest}"
    assert source["output"]["outputVariables"] == {
        "RegistryId": "000000000000",
        "RepositoryName": "hello",
        "ImageTag": "live",
        "ImageDigest": digest,
        "ImageURI": uri,
    }
    (artifact,) = source["output"]["outputArtifacts"]
    where = artifact["s3location"]
    body = world.boto("s3").get_object(Bucket=where["bucket"], Key=where["key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        detail = json.loads(archive.read("imageDetail.json"))
    assert (detail["ImageURI"], detail["ImageDigest"], detail["ImageTags"]) == (uri, digest, ["live"])
    assert detail.keys() == {
        "ImageSizeInBytes",
        "ImageDigest",
        "Version",
        "ImagePushedAt",
        "RegistryId",
        "RepositoryName",
        "ImageURI",
        "ImageTags",
    }


def test_latest_is_the_tag_that_is_meant_and_deleting_starts_nothing(world: World, client: Any) -> None:
    registry = RegistryClient(world)
    registry.push("hello", "latest")
    made(client)
    world.tick()
    assert executions_of(client) == ["InProgress"]
    world.boto("ecr").batch_delete_image(repositoryName="hello", imageIds=[{"imageTag": "latest"}])
    registry.push("hello", "1")
    world.tick()
    assert executions_of(client) == ["InProgress"]


def test_an_execution_takes_the_image_that_it_is_told_to(world: World, client: Any) -> None:
    registry = RegistryClient(world)
    first = registry.push("hello", "latest", b"one")
    registry.push("hello", "latest", b"two")
    made(client)
    world.tick()
    revision = {"actionName": "Image", "revisionType": "IMAGE_DIGEST", "revisionValue": first}
    client.start_pipeline_execution(name="web", sourceRevisions=[revision])
    world.tick()
    summary = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"][0]
    assert summary["sourceRevisions"][0]["revisionId"] == first

"""Build projects through boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rooms.building import Building

ECHO = "version: 0.2\nphases: {build: {commands: [echo hi]}}\n"


@pytest.fixture
def building(world: Any) -> Building:
    return Building(world)


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_a_project_is_described_with_aws_defaults(building: Building) -> None:
    project = building.create(ECHO, variables=[{"name": "A", "value": "1"}], tags=[{"key": "k", "value": "v"}])
    assert project["arn"] == "arn:aws:codebuild:us-east-1:000000000000:project/app"
    assert project["timeoutInMinutes"] == 60
    assert project["queuedTimeoutInMinutes"] == 480
    assert project["encryptionKey"] == "arn:aws:kms:us-east-1:000000000000:alias/aws/s3"
    assert project["cache"] == {"type": "NO_CACHE"}
    assert project["badge"] == {"badgeEnabled": False}
    assert project["environment"]["environmentVariables"] == [{"name": "A", "value": "1", "type": "PLAINTEXT"}]
    assert project["logsConfig"]["cloudWatchLogs"] == {"status": "ENABLED"}
    assert project["tags"] == [{"key": "k", "value": "v"}]
    answer = building.codebuild.batch_get_projects(names=["app", "none", project["arn"]])
    assert answer["projects"] == [project, project]
    assert answer["projectsNotFound"] == ["none"]


def test_an_update_replaces_what_it_names_and_keeps_the_rest(building: Building) -> None:
    before = building.create(ECHO, description="old", timeoutInMinutes=30, concurrentBuildLimit=2)
    building.world.clock.advance(5)
    after = building.codebuild.update_project(name="app", description="new", concurrentBuildLimit=-1)["project"]
    assert (after["description"], after["timeoutInMinutes"]) == ("new", 30)
    assert "concurrentBuildLimit" not in after
    assert after["created"] == before["created"]
    assert after["lastModified"] > before["lastModified"]
    with pytest.raises(ClientError) as raised:
        building.codebuild.update_project(name="none")
    assert code_of(raised) == "ResourceNotFoundException"


def test_projects_are_listed_in_the_order_that_was_asked_for(building: Building) -> None:
    building.create(ECHO)
    building.world.clock.advance(1)
    building.create(ECHO, name="aaa")
    assert building.codebuild.list_projects()["projects"] == ["aaa", "app"]
    newest = building.codebuild.list_projects(sortBy="CREATED_TIME", sortOrder="ASCENDING")["projects"]
    assert newest == ["app", "aaa"]


def test_the_builds_of_a_deleted_project_stay(building: Building) -> None:
    build = building.run(ECHO)
    building.codebuild.delete_project(name="app")
    assert building.codebuild.batch_get_projects(names=["app"])["projects"] == []
    assert building.get(build["id"])["buildStatus"] == "SUCCEEDED"
    with pytest.raises(ClientError) as raised:
        building.start()
    assert code_of(raised) == "ResourceNotFoundException"


S3 = {"type": "S3", "location": "bucket/src.zip"}


@pytest.mark.parametrize(
    "members",
    [
        {"source": {"type": "NO_SOURCE"}},
        {"source": {"type": "S3"}},
        {"source": {"type": "S3", "location": "bucket"}},
        {"source": {"type": "CODECOMMIT", "location": "https://github.com/a/b"}},
        {"source": {"type": "CODEPIPELINE"}},
        {"source": S3, "artifacts": {"type": "CODEPIPELINE"}},
        {"source": S3, "artifacts": {"type": "S3"}},
        {"source": S3, "secondarySources": [S3]},
        {"source": S3, "secondarySources": [{**S3, "sourceIdentifier": "a"}, {**S3, "sourceIdentifier": "a"}]},
        {"source": S3, "secondaryArtifacts": [{"type": "S3", "location": "b"}]},
        {"source": S3, "variables": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        {"source": S3, "concurrentBuildLimit": 0},
    ],
)
def test_a_project_that_aws_would_refuse_is_refused(building: Building, members: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as raised:
        building.create(**members)
    assert code_of(raised) == "InvalidInputException"


def test_a_name_is_taken_only_once(building: Building) -> None:
    building.create(ECHO)
    with pytest.raises(ClientError) as raised:
        building.create(ECHO)
    assert code_of(raised) == "ResourceAlreadyExistsException"


@pytest.mark.parametrize(
    "overrides",
    [
        {"sourceTypeOverride": "GITHUB", "sourceLocationOverride": "https://github.com/a/b"},
        {"environmentTypeOverride": "WINDOWS_SERVER_2022_CONTAINER"},
        {"debugSessionEnabled": True},
        {"autoRetryLimitOverride": 2},
        {"gitSubmodulesConfigOverride": {"fetchSubmodules": True}},
    ],
)
def test_a_build_that_would_not_be_what_it_is_on_aws_is_refused(building: Building, overrides: dict[str, Any]) -> None:
    building.create(ECHO)
    with pytest.raises(ClientError) as raised:
        building.start(**overrides)
    assert code_of(raised) == "InvalidInputException"
    assert building.codebuild.list_builds()["ids"] == []

"""Where the source of a build comes from, and where its artifacts go."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rooms.building import Building, context_of, statuses, unzipped, zipped
from turnout.names import DEFAULT_REGION

ARTIFACT = """\
version: 0.2
phases: {build: {commands: ['mkdir out; tr a-z A-Z <in >out/result']}}
artifacts: {files: [out/*]}
"""
CLONED = """\
version: 0.2
phases:
  build:
    commands: [git log --format=%s, git remote get-url origin, cat file, echo $CODEBUILD_RESOLVED_SOURCE_VERSION]
"""


@pytest.fixture
def building(world: Any) -> Building:
    building = Building(world)
    building.s3.create_bucket(Bucket="bucket")
    return building


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def body_of(building: Building, key: str) -> bytes:
    return bytes(building.s3.get_object(Bucket="bucket", Key=key)["Body"].read())


def test_a_zip_in_s3_is_built_and_its_artifact_is_described_with_its_sums(building: Building) -> None:
    building.s3.put_object(Bucket="bucket", Key="src.zip", Body=zipped(buildspec__yml=ARTIFACT, **{"in": "text"}))
    building.create(
        source={"type": "S3", "location": "bucket/src.zip"},
        artifacts={
            "type": "S3",
            "location": "bucket",
            "path": "built",
            "namespaceType": "BUILD_ID",
            "packaging": "ZIP",
        },
    )
    build = building.finish(building.start())
    assert build["buildStatus"] == "SUCCEEDED", building.log(build)
    key = f"built/{build['id'].partition(':')[2]}/app"
    assert build["artifacts"]["location"] == f"arn:aws:s3:::bucket/{key}"
    assert unzipped(body_of(building, key)) == {"out/result": "TEXT"}
    metadata = building.s3.head_object(Bucket="bucket", Key=key)["Metadata"]
    assert metadata["codebuild-buildarn"] == build["arn"]
    assert metadata["codebuild-content-sha256"] == build["artifacts"]["sha256sum"]
    assert build["resolvedSourceVersion"]


def test_artifacts_without_packaging_are_plain_objects(building: Building) -> None:
    spec = ARTIFACT.replace("files: [out/*]", "files: [out/*], name: 'v$(echo 7)', discard-paths: yes")
    building.s3.put_object(Bucket="bucket", Key="src/in", Body=b"text")
    building.create(
        source={"type": "S3", "location": "bucket/src/", "buildspec": spec},
        artifacts={"type": "S3", "location": "bucket", "overrideArtifactName": True},
    )
    build = building.finish(building.start())
    assert build["buildStatus"] == "SUCCEEDED", building.log(build)
    assert body_of(building, "v7/result") == b"TEXT"
    assert build["artifacts"]["location"] == "arn:aws:s3:::bucket/v7"


def test_a_pipeline_gives_the_source_and_gets_each_artifact_under_its_exact_key(building: Building) -> None:
    commit = {"codecommit-commit-id": "c0ffee"}
    building.s3.put_object(Bucket="bucket", Key="p/Source/1", Body=zipped(**{"in": "text"}), Metadata=commit)
    building.s3.put_object(Bucket="bucket", Key="p/More/2", Body=zipped(more="more"))
    spec = """
        version: 0.2
        phases:
          build:
            commands:
              - cp $CODEBUILD_SRC_DIR_More/more . && cat in more; echo
              - echo $CODEBUILD_INITIATOR $CODEBUILD_RESOLVED_SOURCE_VERSION
        artifacts:
          files: [in]
          secondary-artifacts:
            One: {files: [in]}
            Two: {files: ['**/*'], exclude-paths: [in]}
        """
    building.create(
        spec,
        source={"type": "CODEPIPELINE", "buildspec": spec.replace("\n        ", "\n")},
        artifacts={"type": "CODEPIPELINE"},
    )
    with pytest.raises(ClientError) as raised:
        building.start()
    assert code_of(raised) == "InvalidInputException"
    to_s3 = {"type": "S3", "location": "bucket", "packaging": "ZIP", "namespaceType": "NONE"}
    pipeline = {
        "projectName": "app",
        "_initiator": "codepipeline/p",
        "sourceTypeOverride": "CODEPIPELINE",
        "sourceLocationOverride": "arn:aws:s3:::bucket/p/Source/1",
        "secondarySourcesOverride": [
            {"type": "CODEPIPELINE", "location": "arn:aws:s3:::bucket/p/More/2", "sourceIdentifier": "More"}
        ],
    }
    several = {
        "artifactsOverride": {"type": "NO_ARTIFACTS"},
        "secondaryArtifactsOverride": [
            {**to_s3, "name": f"p/{name}/3", "artifactIdentifier": name} for name in ("One", "Two")
        ],
    }
    start = building.world.aws.call("codebuild", "StartBuild", DEFAULT_REGION, cause="step:1", **pipeline, **several)
    build = building.finish(building.world.run(start)["build"]["id"])
    assert build["buildStatus"] == "SUCCEEDED", building.log(build)
    assert building.said(build) == ["textmore", "codepipeline/p c0ffee"]
    assert build["resolvedSourceVersion"] == "c0ffee"
    assert unzipped(body_of(building, "p/One/3")) == {"in": "text"}
    assert unzipped(body_of(building, "p/Two/3")) == {"more": "more"}
    assert [each["artifactIdentifier"] for each in build["secondaryArtifacts"]] == ["One", "Two"]
    single = {"artifactsOverride": {**to_s3, "name": "p/Out/4"}}
    start = building.world.aws.call("codebuild", "StartBuild", DEFAULT_REGION, cause="step:2", **pipeline, **single)
    build = building.finish(building.world.run(start)["build"]["id"])
    assert unzipped(body_of(building, "p/Out/4")) == {"in": "text"}


def test_a_codecommit_repository_is_cloned_at_the_version_that_was_asked_for(building: Building) -> None:
    codecommit = building.world.boto("codecommit")
    url = codecommit.create_repository(repositoryName="repo")["repositoryMetadata"]["cloneUrlHttp"]
    first = codecommit.put_file(
        repositoryName="repo", branchName="main", filePath="buildspec.yml", fileContent=CLONED, commitMessage="first"
    )["commitId"]
    second = codecommit.put_file(
        repositoryName="repo",
        branchName="main",
        filePath="file",
        fileContent=b"two\n",
        parentCommitId=first,
        commitMessage="second",
    )["commitId"]
    building.create(source={"type": "CODECOMMIT", "location": url})
    build = building.finish(building.start())
    assert building.said(build) == ["second", "first", url, "two", second]
    assert build["resolvedSourceVersion"] == second
    old = building.finish(building.start(sourceVersion=first))
    assert old["buildStatus"] == "FAILED"
    assert old["resolvedSourceVersion"] == first
    shallow = building.finish(building.start(sourceVersion="main", gitCloneDepthOverride=1))
    assert building.said(shallow) == ["second", url, "two", second]
    shallow = building.finish(building.start(sourceVersion=first, gitCloneDepthOverride=1))
    assert building.said(shallow)[0] == "first"
    none = building.finish(building.start(sourceVersion="nowhere"))
    assert statuses(none)["DOWNLOAD_SOURCE"] == "FAILED"
    assert "nowhere" in context_of(none, "DOWNLOAD_SOURCE")["message"]


def test_a_source_without_a_buildspec_says_which_file_is_missing(building: Building) -> None:
    building.s3.put_object(Bucket="bucket", Key="src.zip", Body=zipped(readme="x"))
    building.create(source={"type": "S3", "location": "bucket/src.zip", "buildspec": "ci/build.yml"})
    build = building.finish(building.start())
    assert context_of(build, "DOWNLOAD_SOURCE") == {
        "statusCode": "YAML_FILE_ERROR",
        "message": "YAML file does not exist: ci/build.yml is not in the source",
    }
    assert any("State: FAILED" in line for line in building.log(build))


def test_artifacts_that_are_not_there_fail_the_upload(building: Building) -> None:
    spec = "version: 0.2\nphases: {build: {commands: ['true']}}\nartifacts: {files: [taskdef.json]}\n"
    building.create(spec, artifacts={"type": "S3", "location": "bucket"})
    build = building.finish(building.start())
    assert build["buildStatus"] == "FAILED"
    assert context_of(build, "UPLOAD_ARTIFACTS") == {
        "statusCode": "CLIENT_ERROR",
        "message": "no matching artifact paths found",
    }
    assert any("Skipping invalid file path taskdef.json" in line for line in building.log(build))


def test_a_log_can_be_kept_in_s3_and_elsewhere_in_cloudwatch(building: Building) -> None:
    building.create(
        "version: 0.2\nphases: {build: {commands: [echo hi]}}\n",
        logsConfig={
            "cloudWatchLogs": {"status": "ENABLED", "groupName": "builds", "streamName": "app"},
            "s3Logs": {"status": "ENABLED", "location": "bucket/logs"},
        },
    )
    build = building.finish(building.start())
    uuid = build["id"].partition(":")[2]
    assert (build["logs"]["groupName"], build["logs"]["streamName"]) == ("builds", f"app/{uuid}")
    assert building.said(build) == ["hi"]
    assert b"\nhi\n" in gzip.decompress(body_of(building, f"logs/{uuid}.gz"))

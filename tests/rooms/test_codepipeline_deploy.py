"""CodePipeline's CodeDeployToECS action through boto3: files, placeholders, and what is red."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.fakes.pipeline import APP_SPEC, DEPLOYABLE, TASK_DEFINITION, PipelineWorld, zipped
from tests.fakes.readings import actions_of, executions_of, stages_of
from tests.fakes.seed import build, deploy, pipeline, source
from turnout.hookplace import place_in


def test_the_deployment_carries_the_new_task_definition(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    (arn,) = yard.ecs.registered
    revision = yard.codedeploy.inputs["d-1"]["revision"]
    assert revision["revisionType"] == "AppSpecContent"
    assert f"TaskDefinition: {arn}\n" in revision["appSpecContent"]["content"]
    assert actions_of(client)["Deploy"]["externalExecutionId"] == "d-1"
    yard.codedeploy.end("d-1", status="Succeeded")
    assert actions_of(client)["Deploy"]["summary"] == "Deployment Succeeded"


def test_the_deployment_names_its_execution_and_the_commit_that_it_brings(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    (summary,) = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    commit = summary["sourceRevisions"][0]["revisionId"]
    execution = summary["pipelineExecutionId"]
    assert yard.codedeploy.inputs["d-1"]["description"] == f"CodePipeline web, execution {execution}: {commit}"


def test_placeholders_are_filled_with_the_images_of_image_detail(yard: PipelineWorld) -> None:
    deploying = deploy(configuration={"Image1ArtifactName": "BuildArtifact", "Image1ContainerName": "IMAGE1_NAME"})
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [build()]), ("Deploy", [deploying])))
    yard.tick()
    files = DEPLOYABLE | {
        "taskdef.json": TASK_DEFINITION.replace("repo@sha256:1", "<IMAGE1_NAME>"),
        "imageDetail.json": json.dumps({"ImageURI": "repo@sha256:2"}),
    }
    yard.codebuild.succeed("web:1", files)
    (registered,) = yard.ecs.registered.values()
    assert registered["containerDefinitions"][0]["image"] == "repo@sha256:2"


def test_a_hook_file_beside_the_appspec_is_named_in_a_comment_of_it(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1", DEPLOYABLE | {"turnout.yml": "version: 1"})
    text = yard.codedeploy.inputs["d-1"]["revision"]["appSpecContent"]["content"]
    place = place_in(text)
    assert place is not None
    assert place.path == "turnout.yml"
    artifact = yard.run(yard.aws.call("s3", "GetObject", "us-east-1", Bucket=place.bucket, Key=place.key))
    body = artifact["Body"]
    assert zipfile.ZipFile(io.BytesIO(body)).read(place.path) == b"version: 1"


def test_templates_have_default_names(yard: PipelineWorld) -> None:
    deploying = deploy()
    del deploying["configuration"]["AppSpecTemplatePath"]
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [build()]), ("Deploy", [deploying])))
    yard.tick()
    yard.codebuild.succeed("web:1", {"taskdef.json": TASK_DEFINITION, "appspec.yaml": APP_SPEC})
    assert list(yard.codedeploy.inputs) == ["d-1"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"appspec.yml": APP_SPEC},
            "Exception while trying to read the task definition artifact file from: BuildArtifact",
        ),
        (
            {"taskdef.json": TASK_DEFINITION},
            "Exception while trying to read the appspec artifact file from: BuildArtifact",
        ),
        (DEPLOYABLE | {"taskdef.json": '{"family": "web",\n}'}, "BuildArtifact/taskdef.json:2 is not JSON"),
        (DEPLOYABLE | {"appspec.yml": "a: b\nc: [d"}, "BuildArtifact/appspec.yml:2 is not YAML"),
    ],
)
def test_files_that_are_missing_or_wrong_fail_the_deployment_action(
    yard: PipelineWorld, client: Any, files: dict[str, str], message: str
) -> None:
    yard.codebuild.succeed("web:1", files)
    assert message in actions_of(client)["Deploy"]["errorDetails"]["message"]
    assert yard.codedeploy.inputs == {}
    assert yard.ecs.registered == {}
    assert stages_of(client)["Deploy"] == "Failed"


def test_an_artifact_over_three_megabytes_is_refused_by_the_deployment(yard: PipelineWorld, client: Any) -> None:
    wanted = yard.codebuild.inputs["web:1"]["artifactsOverride"]
    yard.codebuild.succeed("web:1")
    yard.codedeploy.end("d-1", status="Succeeded")
    yard.others.put(wanted["location"], wanted["name"], zipped({"a": "b"}) + b"\0" * (3 * 1024 * 1024))
    yard.codecommit.push("c2")
    yard.tick()
    yard.codebuild.end("web:2", buildStatus="SUCCEEDED")
    artifact = yard.codebuild.inputs["web:2"]["artifactsOverride"]
    assert artifact["name"] != wanted["name"]
    assert "cannot be read" in actions_of(client)["Deploy"]["errorDetails"]["message"]
    yard.others.objects["artifacts", artifact["name"]] = yard.others.objects["artifacts", wanted["name"]]
    execution = client.get_pipeline_state(name="web")["stageStates"][2]["latestExecution"]["pipelineExecutionId"]
    client.retry_stage_execution(
        pipelineName="web", stageName="Deploy", pipelineExecutionId=execution, retryMode="FAILED_ACTIONS"
    )
    yard.tick()
    assert "the limit for this action is 3145728" in actions_of(client)["Deploy"]["errorDetails"]["message"]


def test_an_app_spec_that_names_another_task_definition_is_red(yard: PipelineWorld, client: Any) -> None:
    old = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1"
    yard.ecs.registered[old] = {"family": "web", "containerDefinitions": [{"name": "web", "image": "repo@sha256:0"}]}
    yard.codebuild.succeed("web:1", DEPLOYABLE | {"appspec.yml": APP_SPEC.replace("<TASK_DEFINITION>", old)})
    assert "would not be the one serving" in actions_of(client)["Deploy"]["errorDetails"]["message"]


def test_an_app_spec_may_name_a_task_definition_that_the_build_registered(yard: PipelineWorld, client: Any) -> None:
    built = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:7"
    yard.ecs.registered[built] = json.loads(TASK_DEFINITION)
    yard.codebuild.succeed("web:1", DEPLOYABLE | {"appspec.yml": APP_SPEC.replace("<TASK_DEFINITION>", built)})
    assert built in yard.codedeploy.inputs["d-1"]["revision"]["appSpecContent"]["content"]


def test_a_failed_deployment_is_red_even_when_its_rollback_went_well(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    rolled_back = "Deployment d-1 terminated. Automatic rollback is triggered with a DeploymentId d-2."
    yard.codedeploy.end(
        "d-1",
        status="Stopped",
        errorInformation={"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated"},
        rollbackInfo={"rollbackDeploymentId": "d-2", "rollbackMessage": rolled_back},
    )
    error = actions_of(client)["Deploy"]["errorDetails"]
    assert error["code"] == "JobFailed"
    assert error["message"].startswith(
        "Deployment d-1 failed. Error code: ALARM_ACTIVE; Error message: One or more alarms have been activated"
    )
    assert rolled_back in error["message"]
    assert executions_of(client) == ["Failed"]


def test_a_busy_deployment_group_fails_the_action(yard: PipelineWorld, client: Any) -> None:
    yard.codedeploy.is_busy = True
    yard.codebuild.succeed("web:1")
    message = actions_of(client)["Deploy"]["errorDetails"]["message"]
    assert "The Deployment Group 'web-group' already has an active Deployment 'd-OTHER'" in message
    assert "DeploymentLimitExceededException" in message

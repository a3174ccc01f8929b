"""CodePipeline through boto3: S3 sources and manual approvals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import actions_of, executions_of, stages_of
from tests.fakes.seed import action, approval, build, pipeline, source

TOPIC = "arn:aws:sns:eu-central-1:000000000000:releases"


def s3_source(**configuration: str) -> dict[str, Any]:
    known = {"S3Bucket": "incoming", "S3ObjectKey": "app.zip"}
    return action("Source", "S3", "Upload", {**known, **configuration}, output=["SourceArtifact"])


@pytest.fixture
def uploads(yard: PipelineWorld) -> Any:
    """A pipeline over an S3 object, whose first build is under way."""
    yard.others.put("incoming", "app.zip", b"one")
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [s3_source()]), ("Build", [build()])))
    yard.tick()
    return client


def test_an_object_becomes_the_artifact_as_it_is(yard: PipelineWorld, uploads: Any) -> None:
    (artifact,) = (found["Body"] for (bucket, _), found in yard.others.objects.items() if bucket == "artifacts")
    assert artifact == b"one"
    state = uploads.get_pipeline_state(name="web")["stageStates"][0]["actionStates"][0]
    assert state["currentRevision"]["revisionId"] == "1"
    details = uploads.list_action_executions(pipelineName="web")["actionExecutionDetails"]
    assert details[1]["output"]["outputVariables"]["VersionId"] == "1"


def test_a_new_version_of_the_object_starts_an_execution_within_a_minute(yard: PipelineWorld, uploads: Any) -> None:
    yard.tick(600)
    assert len(executions_of(uploads)) == 1
    yard.others.put("incoming", "app.zip", b"two")
    yard.tick(60)
    summary = uploads.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"][0]
    assert summary["trigger"]["triggerType"] == "PollForSourceChanges"
    assert summary["sourceRevisions"][0]["revisionId"] == "2"
    yard.tick(600)
    assert len(executions_of(uploads)) == 2


def test_an_object_that_appears_later_starts_an_execution(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [s3_source()]), ("Build", [build()])))
    yard.tick()
    assert executions_of(client) == ["Failed"]
    assert "app.zip" in actions_of(client)["Upload"]["errorDetails"]["message"]
    yard.others.put("incoming", "app.zip", b"one")
    yard.tick(60)
    assert executions_of(client) == ["InProgress", "Failed"]


def test_an_object_is_not_looked_at_when_changes_are_not_polled_for(yard: PipelineWorld, uploads: Any) -> None:
    definition = uploads.get_pipeline(name="web")["pipeline"]
    definition["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = "false"
    uploads.update_pipeline(pipeline=definition)
    yard.others.put("incoming", "app.zip", b"two")
    yard.tick(600)
    assert len(executions_of(uploads)) == 1
    assert yard.runs.next_wake_at(yard.clock.at) is None


def test_a_deleted_pipeline_looks_at_nothing_any_more(yard: PipelineWorld, uploads: Any) -> None:
    uploads.delete_pipeline(name="web")
    yard.tick(600)
    assert yard.runs.next_wake_at(yard.clock.at) is None


def test_watching_goes_on_after_a_restart(yard: PipelineWorld, uploads: Any) -> None:
    yard.reboot()
    yard.others.put("incoming", "app.zip", b"two")
    yard.tick(60)
    assert len(executions_of(uploads)) == 2


def approving(yard: PipelineWorld, **more: Any) -> Any:
    """A pipeline whose approval is waiting."""
    client = yard.boto("codepipeline")
    client.create_pipeline(
        pipeline=pipeline(("Source", [source()]), ("Gate", [approval(**more)]), ("Build", [build()]))
    )
    yard.tick()
    return client


def answer(client: Any, status: str, token: str, summary: str = "looks good") -> Any:
    result = {"status": status, "summary": summary}
    return client.put_approval_result(
        pipelineName="web", stageName="Gate", actionName="Approve", token=token, result=result
    )


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_an_approval_lets_the_execution_go_on(yard: PipelineWorld) -> None:
    client = approving(yard)
    waiting = actions_of(client)["Approve"]
    assert (waiting["status"], stages_of(client)["Build"]) == ("InProgress", "-")
    assert answer(client, "Approved", waiting["token"])["approvedAt"]
    yard.tick()
    approved = actions_of(client)["Approve"]
    assert (approved["status"], approved["summary"]) == ("Succeeded", "looks good")
    assert approved["lastUpdatedBy"].startswith("arn:aws:iam::")
    assert "token" not in approved
    assert stages_of(client)["Build"] == "InProgress"


def test_a_rejection_fails_the_stage_with_its_reason(yard: PipelineWorld) -> None:
    client = approving(yard)
    answer(client, "Rejected", actions_of(client)["Approve"]["token"], "too late on a Friday")
    yard.tick()
    assert actions_of(client)["Approve"]["status"] == "Failed"
    assert actions_of(client)["Approve"]["summary"] == "too late on a Friday"
    assert stages_of(client) == {"Source": "Succeeded", "Gate": "Failed", "Build": "-"}


@pytest.mark.parametrize(("more", "seconds"), [({}, 7 * 86400), ({"timeoutInMinutes": 5}, 300)])
def test_an_approval_that_nobody_gives_fails_in_time(yard: PipelineWorld, more: dict[str, Any], seconds: int) -> None:
    client = approving(yard, **more)
    yard.tick(seconds - 1)
    assert actions_of(client)["Approve"]["status"] == "InProgress"
    yard.tick(1)
    assert actions_of(client)["Approve"]["status"] == "Failed"
    assert "timed out" in actions_of(client)["Approve"]["errorDetails"]["message"]
    assert executions_of(client) == ["Failed"]


def test_an_approval_is_given_once_and_with_its_token(yard: PipelineWorld) -> None:
    client = approving(yard)
    token = actions_of(client)["Approve"]["token"]
    with pytest.raises(ClientError) as raised:
        answer(client, "Approved", "00000000-0000-0000-0000-000000000000")
    assert code_of(raised) == "InvalidApprovalTokenException"
    answer(client, "Approved", token)
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            answer(client, "Rejected", token)
        assert code_of(raised) == "ApprovalAlreadyCompletedException"
        yard.tick()
    assert actions_of(client)["Approve"]["status"] == "Succeeded"
    with pytest.raises(ClientError) as raised:
        client.put_approval_result(
            pipelineName="web",
            stageName="Build",
            actionName="Approve",
            token=token,
            result={"status": "Approved", "summary": ""},
        )
    assert code_of(raised) == "ActionNotFoundException"


def test_who_is_needed_is_told_over_sns(yard: PipelineWorld) -> None:
    links = {"ExternalEntityLink": "https://example.com/pr/1", "CustomData": "commit #{Src.CommitId}"}
    client = yard.boto("codepipeline")
    gate = approval(configuration={"NotificationArn": TOPIC, **links})
    stages = ("Source", [source(namespace="Src")]), ("Gate", [gate]), ("Build", [build()])
    client.create_pipeline(pipeline=pipeline(*stages))
    yard.tick()
    (published,) = yard.others.published
    assert published["TopicArn"] == TOPIC
    message = json.loads(published["Message"])
    assert set(message) == {"region", "consoleLink", "approval"}
    token = actions_of(client)["Approve"]["token"]
    assert message["approval"] | {"approvalReviewLink": ""} == {
        "pipelineName": "web",
        "stageName": "Gate",
        "actionName": "Approve",
        "token": token,
        "expires": "2026-09-28T14:13Z",
        "externalEntityLink": "https://example.com/pr/1",
        "approvalReviewLink": "",
        "customData": "commit c1",
    }
    yard.tick(3 * 86400)
    assert len(yard.others.published) == 1


def test_an_approval_is_asked_for_even_when_sns_is_down(yard: PipelineWorld) -> None:
    yard.others.is_sns_broken = True
    client = approving(yard, configuration={"NotificationArn": TOPIC})
    answer(client, "Approved", actions_of(client)["Approve"]["token"])
    yard.tick()
    assert stages_of(client)["Build"] == "InProgress"


def test_an_approval_waits_on_through_a_restart(yard: PipelineWorld) -> None:
    client = approving(yard)
    token = actions_of(client)["Approve"]["token"]
    yard.reboot()
    yard.tick(86400)
    answer(client, "Approved", token)
    yard.reboot()
    yard.tick()
    assert actions_of(client)["Approve"]["status"] == "Succeeded"

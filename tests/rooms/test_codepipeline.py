"""CodePipeline through boto3: an execution on its way, and the ways in which it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import actions_of, executions_of, stages_of
from tests.fakes.seed import build, deploy, pipeline, seed, source


def test_a_commit_travels_through_all_stages(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    assert stages_of(client) == {"Source": "Succeeded", "Build": "Succeeded", "Deploy": "InProgress"}
    yard.codedeploy.end("d-1", status="Succeeded")
    assert stages_of(client) == {"Source": "Succeeded", "Build": "Succeeded", "Deploy": "Succeeded"}
    assert executions_of(client) == ["Succeeded"]


def test_the_state_has_the_shape_that_aws_documents(yard: PipelineWorld, client: Any) -> None:
    state = client.get_pipeline_state(name="web")
    assert (state["pipelineName"], state["pipelineVersion"]) == ("web", 1)
    at_source, at_build, at_deploy = state["stageStates"]
    (summary,) = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    execution = {"pipelineExecutionId": summary["pipelineExecutionId"], "type": "STANDARD"}
    assert at_source["latestExecution"] == execution | {"status": "Succeeded"}
    assert at_build["latestExecution"] == execution | {"status": "InProgress"}
    assert "latestExecution" not in at_deploy
    assert at_deploy["actionStates"] == [{"actionName": "Deploy"}]
    assert at_source["inboundTransitionState"] == {"enabled": True}
    (fetched,) = at_source["actionStates"]
    assert fetched["currentRevision"]["revisionId"] == "c1"
    assert fetched["revisionUrl"].endswith("/repositories/app/commit/c1?region=us-east-1")
    assert fetched["latestExecution"]["summary"] == 'say "hi"'
    (building,) = at_build["actionStates"]
    assert building["latestExecution"]["externalExecutionId"] == "web:1"
    assert building["latestExecution"]["status"] == "InProgress"


def test_the_first_execution_is_triggered_by_its_creation_and_the_next_by_a_push(
    yard: PipelineWorld, client: Any
) -> None:
    yard.codecommit.push("c2", message="second")
    yard.tick()
    summaries = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    assert [each["trigger"]["triggerType"] for each in summaries] == ["PollForSourceChanges", "CreatePipeline"]
    assert [each["sourceRevisions"][0]["revisionId"] for each in summaries] == ["c2", "c1"]
    assert summaries[0]["sourceRevisions"][0]["revisionSummary"] == "second"


@pytest.mark.parametrize(("repository", "branch"), [("app", "other"), ("other", "main")])
def test_a_push_elsewhere_starts_nothing(yard: PipelineWorld, client: Any, repository: str, branch: str) -> None:
    yard.codecommit.push("c2", branch, repository)
    assert len(executions_of(client)) == 1


@pytest.mark.parametrize("value", ["false", "False"])
def test_nobody_starts_when_changes_are_not_polled_for(yard: PipelineWorld, value: str) -> None:
    client = yard.boto("codepipeline")
    quiet = source(configuration={"PollForSourceChanges": value})
    client.create_pipeline(pipeline=pipeline(("Source", [quiet]), ("Build", [build()])))
    yard.codecommit.push("c2")
    assert len(executions_of(client)) == 1


def test_a_source_takes_the_head_of_the_time_at_which_it_runs(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=seed())
    yard.codecommit.heads["app", "main"] = "c0"
    yard.codecommit.messages["c0"] = "rewound"
    yard.tick()
    assert (
        client.get_pipeline_state(name="web")["stageStates"][0]["actionStates"][0]["currentRevision"]["revisionId"]
        == "c0"
    )


def test_a_source_can_be_told_which_commit_to_take(yard: PipelineWorld, client: Any) -> None:
    yard.codecommit.push("c2")
    told = [{"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": "c1"}]
    started = client.start_pipeline_execution(name="web", sourceRevisions=told)["pipelineExecutionId"]
    yard.tick()
    execution = client.get_pipeline_execution(pipelineName="web", pipelineExecutionId=started)["pipelineExecution"]
    assert execution["artifactRevisions"][0]["revisionId"] == "c1"
    assert execution["artifactRevisions"][0]["name"] == "SourceArtifact"


def test_a_branch_that_does_not_exist_fails_the_source(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    lost = source(configuration={"BranchName": "lost"})
    client.create_pipeline(pipeline=pipeline(("Source", [lost]), ("Build", [build()])))
    yard.tick()
    error = actions_of(client)["Source"]["errorDetails"]
    assert error["code"] == "ConfigurationError"
    assert "lost" in error["message"]
    assert stages_of(client) == {"Source": "Failed", "Build": "-"}


def test_artifacts_lie_in_the_bucket_under_short_names_without_extension(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=seed(name="cruddur-backend-fargate"))
    yard.tick()
    ((bucket, key),) = yard.others.objects
    prefix, artifact, rest = key.split("/")
    assert (bucket, prefix, artifact) == ("artifacts", "cruddur-backend-farg", "SourceArti")
    assert len(rest) == 7
    assert rest.isalnum()


def test_a_build_is_given_the_artifact_and_told_where_to_put_its_own(yard: PipelineWorld, client: Any) -> None:
    given = yard.codebuild.inputs["web:1"]
    ((_, key),) = yard.others.objects
    assert given["sourceTypeOverride"] == "CODEPIPELINE"
    assert given["sourceLocationOverride"] == f"arn:aws:s3:::artifacts/{key}"
    assert given["_initiator"] == "codepipeline/web"
    name = given["artifactsOverride"].pop("name")
    assert name.startswith("web/BuildArtif/")
    assert given["artifactsOverride"] == {
        "type": "S3",
        "location": "artifacts",
        "packaging": "ZIP",
        "namespaceType": "NONE",
    }


def test_several_artifacts_travel_as_secondary_sources_and_artifacts(yard: PipelineWorld) -> None:
    yard.codecommit.push("t1", repository="tools")
    tools = source(configuration={"RepositoryName": "tools"})
    tools |= {"name": "Tools", "outputArtifacts": [{"name": "Tools"}]}
    both = build(
        configuration={"PrimarySource": "SourceArtifact"}, input=["Tools", "SourceArtifact"], output=["A", "B"]
    )
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source(), tools]), ("Build", [both])))
    yard.tick()
    given = yard.codebuild.inputs["web:1"]
    assert "/SourceArti/" in given["sourceLocationOverride"]
    (secondary,) = given["secondarySourcesOverride"]
    assert secondary["sourceIdentifier"] == "Tools"
    assert given["artifactsOverride"] == {"type": "NO_ARTIFACTS"}
    assert [each["artifactIdentifier"] for each in given["secondaryArtifactsOverride"]] == ["A", "B"]


def test_a_red_build_stops_the_line(yard: PipelineWorld, client: Any) -> None:
    context = {"statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error while executing command: make."}
    phases = [
        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
        {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [context]},
    ]
    yard.codebuild.end("web:1", buildStatus="FAILED", phases=phases)
    assert stages_of(client) == {"Source": "Succeeded", "Build": "Failed", "Deploy": "-"}
    assert executions_of(client) == ["Failed"]
    error = actions_of(client)["Build"]["errorDetails"]
    assert error["code"] == "JobFailed"
    assert error["message"].startswith("Build terminated with state: FAILED. Phase: BUILD")
    assert "Error while executing command: make." in error["message"]
    assert yard.codedeploy.inputs == {}


def test_variables_reach_a_build_even_when_they_hold_quotes(yard: PipelineWorld) -> None:
    variables = [
        {"name": "MESSAGE", "value": "#{SourceVariables.CommitMessage}"},
        {"name": "EXECUTION", "value": "#{codepipeline.PipelineExecutionId}", "type": "PLAINTEXT"},
    ]
    building = build(configuration={"EnvironmentVariables": json.dumps(variables)}, namespace="Built")
    deploying = deploy(configuration={"ApplicationName": "#{Built.APP}"})
    client = yard.boto("codepipeline")
    stages = ("Source", [source(namespace="SourceVariables")]), ("Build", [building]), ("Deploy", [deploying])
    client.create_pipeline(pipeline=pipeline(*stages))
    yard.tick()
    message, execution = yard.codebuild.inputs["web:1"]["environmentVariablesOverride"]
    assert message == {"name": "MESSAGE", "value": 'say "hi"', "type": "PLAINTEXT"}
    yard.codebuild.succeed("web:1", APP="from-the-build")
    assert yard.codedeploy.inputs["d-1"]["applicationName"] == "from-the-build"
    details = client.list_action_executions(pipelineName="web")["actionExecutionDetails"]
    assert details[0]["pipelineExecutionId"] == execution["value"]
    assert details[1]["output"]["outputVariables"] == {"APP": "from-the-build"}
    assert details[2]["output"]["outputVariables"]["CommitId"] == "c1"
    assert details[2]["output"]["outputVariables"]["AuthorDate"] == "2017-01-11T20:49:58Z"


def test_a_variable_that_nobody_produced_fails_the_action_and_says_which(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    wrong = build(configuration={"ProjectName": "#{SourceVariables.Nothing}"})
    client.create_pipeline(pipeline=pipeline(("Source", [source(namespace="SourceVariables")]), ("Build", [wrong])))
    yard.tick()
    error = actions_of(client)["Build"]["errorDetails"]
    assert error["code"] == "ConfigurationError"
    assert "#{SourceVariables.Nothing}" in error["message"]
    assert "SourceVariables.CommitId" in error["message"]


def test_the_variables_of_a_v2_pipeline_have_defaults_and_can_be_given(yard: PipelineWorld) -> None:
    client = yard.boto("codepipeline")
    building = build(configuration={"ProjectName": "#{variables.project}"})
    declared = {"pipelineType": "V2", "variables": [{"name": "project", "defaultValue": "usual"}]}
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [building]), **declared))
    yard.tick()
    yard.codebuild.succeed("usual:1")
    given = [{"name": "project", "value": "special"}]
    started = client.start_pipeline_execution(name="web", variables=given)["pipelineExecutionId"]
    yard.tick()
    assert [wanted["projectName"] for wanted in yard.codebuild.inputs.values()] == ["usual", "special"]
    execution = client.get_pipeline_execution(pipelineName="web", pipelineExecutionId=started)["pipelineExecution"]
    assert execution["variables"] == [{"name": "project", "resolvedValue": "special"}]
    with pytest.raises(ClientError, match="does not declare the variable other"):
        client.start_pipeline_execution(name="web", variables=[{"name": "other", "value": "x"}])


def test_the_same_client_token_starts_one_execution(yard: PipelineWorld, client: Any) -> None:
    once = client.start_pipeline_execution(name="web", clientRequestToken="t")
    again = client.start_pipeline_execution(name="web", clientRequestToken="t")
    assert once["pipelineExecutionId"] == again["pipelineExecutionId"]
    assert len(executions_of(client)) == 2


def test_actions_of_equal_run_order_run_together_and_the_others_afterwards(yard: PipelineWorld) -> None:
    first, second = ({**build(output=[name]), "name": name} for name in ("First", "Second"))
    last = {**build(output=["Last"]), "name": "Last", "runOrder": 2}
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [first, second, last])))
    yard.tick()
    assert len(yard.codebuild.inputs) == 2
    yard.codebuild.succeed("web:1")
    assert len(yard.codebuild.inputs) == 2
    yard.codebuild.succeed("web:2")
    assert len(yard.codebuild.inputs) == 3
    yard.codebuild.succeed("web:3")
    assert executions_of(client) == ["Succeeded"]


def test_an_action_that_fails_lets_its_neighbour_end_before_the_stage_is_failed(yard: PipelineWorld) -> None:
    first, second = ({**build(output=[name]), "name": name} for name in ("First", "Second"))
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [first, second])))
    yard.tick()
    yard.codebuild.end("web:1", buildStatus="FAILED")
    assert stages_of(client)["Build"] == "InProgress"
    yard.codebuild.succeed("web:2")
    assert stages_of(client)["Build"] == "Failed"


def test_events_tell_every_change_once(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    yard.codedeploy.end("d-1", status="Failed", errorInformation={"code": "TIMEOUT", "message": "never healthy"})
    assert yard.told("Pipeline") == ["web STARTED", "web FAILED"]
    assert yard.told("Stage") == [
        "Source STARTED",
        "Source SUCCEEDED",
        "Build STARTED",
        "Build SUCCEEDED",
        "Deploy STARTED",
        "Deploy FAILED",
    ]
    assert yard.told("Action")[-2:] == ["Deploy STARTED", "Deploy FAILED"]
    failed = next(event.detail for event in reversed(yard.events) if "Action" in event.detail_type)
    assert failed["execution-result"]["external-execution-id"] == "d-1"
    assert "never healthy" in failed["execution-result"]["external-execution-summary"]
    assert failed["type"] == {"owner": "AWS", "provider": "CodeDeployToECS", "category": "Deploy", "version": "1"}

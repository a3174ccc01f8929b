"""CodePipeline through boto3: definitions, versions, tags and lists."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import executions_of
from tests.fakes.seed import build, pipeline, seed, source

ARN = "arn:aws:codepipeline:us-east-1:000000000000:web"


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_a_definition_comes_back_as_it_was_given(client: Any) -> None:
    answer = client.get_pipeline(name="web")
    given = seed()
    found = answer["pipeline"]
    assert (found["version"], found["pipelineType"], found["executionMode"]) == (1, "V1", "SUPERSEDED")
    assert found["artifactStore"] == given["artifactStore"]
    assert [stage["name"] for stage in found["stages"]] == ["Source", "Build", "Deploy"]
    deploying = found["stages"][2]["actions"][0]
    assert deploying["configuration"] == given["stages"][2]["actions"][0]["configuration"]
    assert deploying["inputArtifacts"] == [{"name": "BuildArtifact"}]
    assert (deploying["runOrder"], deploying["outputArtifacts"]) == (1, [])
    assert answer["metadata"]["pipelineArn"] == ARN
    assert "pollingDisabledAt" not in answer["metadata"]


def test_each_update_is_a_further_version(yard: PipelineWorld, client: Any) -> None:
    definition = client.get_pipeline(name="web")["pipeline"]
    definition["stages"][1]["actions"][0]["configuration"]["ProjectName"] = "other"
    yard.clock.advance(60)
    assert client.update_pipeline(pipeline=definition)["pipeline"]["version"] == 2
    configuration = client.get_pipeline(name="web", version=1)["pipeline"]["stages"][1]["actions"][0]["configuration"]
    assert configuration == {"ProjectName": "web"}
    assert client.get_pipeline(name="web")["pipeline"]["version"] == 2
    metadata = client.get_pipeline(name="web")["metadata"]
    assert (metadata["updated"] - metadata["created"]).total_seconds() == 60
    with pytest.raises(ClientError) as raised:
        client.get_pipeline(name="web", version=3)
    assert code_of(raised) == "PipelineVersionNotFoundException"


def test_what_is_not_there_is_not_found(client: Any) -> None:
    execution = "00000000-0000-0000-0000-000000000000"
    for operation, params in (
        ("get_pipeline", {"name": "nothing"}),
        ("get_pipeline_state", {"name": "nothing"}),
        ("update_pipeline", {"pipeline": seed(name="nothing")}),
        ("start_pipeline_execution", {"name": "nothing"}),
        ("list_pipeline_executions", {"pipelineName": "nothing"}),
        ("get_pipeline_execution", {"pipelineName": "nothing", "pipelineExecutionId": execution}),
    ):
        with pytest.raises(ClientError) as raised:
            getattr(client, operation)(**params)
        assert code_of(raised) == "PipelineNotFoundException"
    with pytest.raises(ClientError) as raised:
        client.get_pipeline_execution(pipelineName="web", pipelineExecutionId=execution)
    assert code_of(raised) == "PipelineExecutionNotFoundException"
    client.delete_pipeline(name="nothing")


def test_a_name_is_taken_once_in_each_region(yard: PipelineWorld, client: Any) -> None:
    with pytest.raises(ClientError) as raised:
        client.create_pipeline(pipeline=seed())
    assert code_of(raised) == "PipelineNameInUseException"
    elsewhere = yard.boto("codepipeline", region="eu-central-1")
    elsewhere.create_pipeline(pipeline=seed())
    assert executions_of(elsewhere) == ["InProgress"]


def test_a_structure_that_is_refused_leaves_nothing_behind(client: Any) -> None:
    with pytest.raises(ClientError) as raised:
        client.create_pipeline(pipeline=pipeline(("Source", [source()]), name="short"))
    assert code_of(raised) == "InvalidStructureException"
    assert [each["name"] for each in client.list_pipelines()["pipelines"]] == ["web"]


def test_an_operation_that_is_not_there_says_so(client: Any) -> None:
    with pytest.raises(ClientError) as raised:
        client.list_webhooks()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "codepipeline.ListWebhooks is not implemented by turnout" in str(raised.value)


def test_lists_come_in_pages(yard: PipelineWorld, client: Any) -> None:
    for name in ("a", "b", "c"):
        client.create_pipeline(pipeline=seed(name=name))
    pages = list(client.get_paginator("list_pipelines").paginate(PaginationConfig={"PageSize": 3}))
    assert [[each["name"] for each in page["pipelines"]] for page in pages] == [["a", "b", "c"], ["web"]]
    for _ in range(4):
        client.start_pipeline_execution(name="web")
        yard.tick()
    paginator = client.get_paginator("list_pipeline_executions")
    pages = list(paginator.paginate(pipelineName="web", PaginationConfig={"PageSize": 2}))
    assert [len(page["pipelineExecutionSummaries"]) for page in pages] == [2, 2, 1]
    assert len({each["pipelineExecutionId"] for page in pages for each in page["pipelineExecutionSummaries"]}) == 5
    paginator = client.get_paginator("list_action_executions")
    pages = list(paginator.paginate(pipelineName="web", PaginationConfig={"PageSize": 4}))
    assert [len(page["actionExecutionDetails"]) for page in pages] == [4, 2]
    for operation, params in (
        ("list_pipelines", {}),
        ("list_pipeline_executions", {"pipelineName": "web"}),
        ("list_action_executions", {"pipelineName": "web"}),
    ):
        with pytest.raises(ClientError) as raised:
            getattr(client, operation)(**params, nextToken="nowhere")
        assert code_of(raised) == "InvalidNextTokenException"


def test_executions_can_be_listed_by_the_stage_in_which_they_succeeded(yard: PipelineWorld, client: Any) -> None:
    yard.codebuild.succeed("web:1")
    client.start_pipeline_execution(name="web")
    yard.tick()

    def succeeded_in(stage: str) -> int:
        wanted = {"succeededInStage": {"stageName": stage}}
        return len(client.list_pipeline_executions(pipelineName="web", filter=wanted)["pipelineExecutionSummaries"])

    assert [succeeded_in(stage) for stage in ("Source", "Build", "Deploy")] == [2, 1, 0]


def test_the_actions_of_one_execution_can_be_listed_with_what_went_in_and_out(yard: PipelineWorld, client: Any) -> None:
    (summary,) = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    client.start_pipeline_execution(name="web")
    yard.tick()
    wanted = {"pipelineExecutionId": summary["pipelineExecutionId"]}
    building, fetched = client.list_action_executions(pipelineName="web", filter=wanted)["actionExecutionDetails"]
    assert (building["stageName"], building["actionName"], building["status"]) == ("Build", "Build", "InProgress")
    assert building["input"]["inputArtifacts"] == fetched["output"]["outputArtifacts"]
    assert building["input"]["resolvedConfiguration"] == {"ProjectName": "web"}
    assert building["output"]["outputArtifacts"] == []
    assert building["output"]["executionResult"]["externalExecutionId"] == "web:1"
    assert fetched["input"]["actionTypeId"]["provider"] == "CodeCommit"


def test_tags_are_kept_and_taken_away(client: Any) -> None:
    tags = [{"key": "team", "value": "a"}, {"key": "env", "value": "prod"}]
    client.tag_resource(resourceArn=ARN, tags=tags)
    assert client.list_tags_for_resource(resourceArn=ARN)["tags"] == [
        {"key": "env", "value": "prod"},
        {"key": "team", "value": "a"},
    ]
    client.untag_resource(resourceArn=ARN, tagKeys=["env"])
    assert client.list_tags_for_resource(resourceArn=ARN)["tags"] == [{"key": "team", "value": "a"}]
    with pytest.raises(ClientError) as raised:
        client.tag_resource(resourceArn=f"{ARN}x", tags=tags)
    assert code_of(raised) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as raised:
        client.tag_resource(resourceArn=ARN, tags=[{"key": "aws:mine", "value": ""}])
    assert code_of(raised) == "InvalidTagsException"
    with pytest.raises(ClientError) as raised:
        client.tag_resource(resourceArn=ARN, tags=[{"key": str(n), "value": ""} for n in range(50)])
    assert code_of(raised) == "TooManyTagsException"


def test_tags_of_a_new_pipeline_are_answered(client: Any) -> None:
    tags = [{"key": "team", "value": "a"}]
    answer = client.create_pipeline(
        pipeline=pipeline(("Source", [source()]), ("Build", [build()]), name="tagged"), tags=tags
    )
    assert answer["tags"] == tags


def test_the_action_types_are_those_that_there_are(client: Any) -> None:
    types = client.list_action_types()["actionTypes"]
    assert {(each["id"]["category"], each["id"]["provider"]) for each in types} >= {
        ("Source", "CodeCommit"),
        ("Source", "S3"),
        ("Build", "CodeBuild"),
        ("Test", "CodeBuild"),
        ("Deploy", "CodeDeployToECS"),
        ("Approval", "Manual"),
    }
    assert client.list_action_types(actionOwnerFilter="Custom")["actionTypes"] == []

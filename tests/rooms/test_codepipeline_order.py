"""CodePipeline through boto3: who goes first, who waits, who is replaced; stopping, retrying, and starting anew."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import actions_of, executions_of, stages_of
from tests.fakes.seed import build, pipeline, seed, source


def ids_of(client: Any) -> list[str]:
    """Execution ids, oldest first."""
    summaries = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    return [summary["pipelineExecutionId"] for summary in summaries[::-1]]


def push(yard: PipelineWorld, *commits: str) -> None:
    for commit in commits:
        yard.codecommit.push(commit)
        yard.tick()


def retry(client: Any, stage: str, execution: str, mode: str = "FAILED_ACTIONS") -> Any:
    return client.retry_stage_execution(
        pipelineName="web", stageName=stage, pipelineExecutionId=execution, retryMode=mode
    )


def stop(client: Any, execution: str, **more: Any) -> Any:
    return client.stop_pipeline_execution(pipelineName="web", pipelineExecutionId=execution, **more)


def hold(client: Any, stage: str, transition: str = "Inbound") -> None:
    client.disable_stage_transition(
        pipelineName="web", stageName=stage, transitionType=transition, reason="not on a Friday"
    )


def release(client: Any, stage: str, transition: str = "Inbound") -> None:
    client.enable_stage_transition(pipelineName="web", stageName=stage, transitionType=transition)


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_one_execution_is_in_a_stage_and_the_next_waits_in_front_of_it(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2")
    first, second = ids_of(client)
    at_source, at_build, _ = client.get_pipeline_state(name="web")["stageStates"]
    assert at_source["latestExecution"] == {"pipelineExecutionId": second, "status": "Succeeded", "type": "STANDARD"}
    assert at_build["latestExecution"]["pipelineExecutionId"] == first
    assert at_build["inboundExecution"]["pipelineExecutionId"] == second
    assert len(at_build["inboundExecutions"]) == 1
    assert len(yard.codebuild.inputs) == 1


def test_a_third_execution_replaces_the_second_that_waits(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2", "c3")
    assert executions_of(client) == ["InProgress", "Superseded", "InProgress"]
    yard.codebuild.succeed("web:1")
    assert len(yard.codebuild.inputs) == 2
    yard.codedeploy.end("d-1", status="Succeeded")
    yard.codebuild.succeed("web:2")
    yard.codedeploy.end("d-2", status="Succeeded")
    assert executions_of(client) == ["Succeeded", "Superseded", "Succeeded"]
    summary = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"][1]
    assert ids_of(client)[2] in summary["statusSummary"]
    assert "web SUPERSEDED" in yard.told("Pipeline")


def test_an_execution_inside_a_stage_is_never_replaced(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2", "c3", "c4")
    assert executions_of(client) == ["InProgress", "Superseded", "Superseded", "InProgress"]
    yard.codebuild.succeed("web:1")
    assert stages_of(client)["Deploy"] == "InProgress"
    assert executions_of(client)[3] == "InProgress"


def test_two_pushes_at_once_leave_the_newer_one(yard: PipelineWorld, client: Any) -> None:
    yard.codecommit.push("c2")
    yard.codecommit.push("c3")
    yard.tick()
    yard.codebuild.succeed("web:1")
    yard.codebuild.succeed("web:2")
    assert len(yard.codebuild.inputs) == 2
    assert executions_of(client) == ["InProgress", "Superseded", "InProgress"]


def test_a_failure_gives_the_stage_back(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2")
    yard.codebuild.end("web:1", buildStatus="FAILED")
    assert executions_of(client) == ["InProgress", "Failed"]
    assert len(yard.codebuild.inputs) == 2
    assert stages_of(client)["Build"] == "InProgress"


def test_pipelines_do_not_wait_for_each_other(yard: PipelineWorld, client: Any) -> None:
    client.create_pipeline(pipeline=seed(name="other"))
    yard.tick()
    assert len(yard.codebuild.inputs) == 2


def test_a_disabled_transition_holds_the_newest_execution_until_it_is_enabled(yard: PipelineWorld, client: Any) -> None:
    hold(client, "Deploy")
    yard.codebuild.succeed("web:1")
    push(yard, "c2")
    yard.codebuild.succeed("web:2")
    assert executions_of(client) == ["InProgress", "Superseded"]
    state = client.get_pipeline_state(name="web")["stageStates"][2]
    assert state["inboundTransitionState"]["enabled"] is False
    assert state["inboundTransitionState"]["disabledReason"] == "not on a Friday"
    assert state["inboundExecution"]["pipelineExecutionId"] == ids_of(client)[1]
    assert yard.codedeploy.inputs == {}
    release(client, "Deploy")
    yard.tick()
    yard.codedeploy.end("d-1", status="Succeeded")
    assert executions_of(client) == ["Succeeded", "Superseded"]
    assert client.get_pipeline_state(name="web")["stageStates"][2]["inboundTransitionState"]["enabled"] is True


def test_the_way_out_of_a_stage_is_the_way_into_the_next(yard: PipelineWorld, client: Any) -> None:
    hold(client, "Build", "Outbound")
    yard.codebuild.succeed("web:1")
    assert yard.codedeploy.inputs == {}
    release(client, "Deploy")
    yard.tick()
    assert list(yard.codedeploy.inputs) == ["d-1"]
    with pytest.raises(ClientError, match="last one"):
        hold(client, "Deploy", "Outbound")
    with pytest.raises(ClientError) as raised:
        hold(client, "Nowhere")
    assert code_of(raised) == "StageNotFoundException"


def test_an_execution_is_held_for_thirty_days_at_most(yard: PipelineWorld, client: Any) -> None:
    hold(client, "Deploy")
    yard.codebuild.succeed("web:1")
    yard.tick(29 * 86400)
    assert executions_of(client) == ["InProgress"]
    yard.tick(86400)
    assert executions_of(client) == ["Failed"]


def test_stopping_lets_the_action_in_progress_end_and_begins_no_other(yard: PipelineWorld, client: Any) -> None:
    (execution,) = ids_of(client)
    stop(client, execution, reason="wrong branch")
    yard.tick()
    assert executions_of(client) == ["Stopping"]
    assert stages_of(client)["Build"] == "Stopping"
    assert actions_of(client)["Build"]["status"] == "InProgress"
    yard.codebuild.succeed("web:1")
    assert executions_of(client) == ["Stopped"]
    assert stages_of(client) == {"Source": "Succeeded", "Build": "Succeeded", "Deploy": "-"}
    assert yard.codedeploy.inputs == {}
    (summary,) = client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"]
    assert summary["stopTrigger"] == {"reason": "wrong branch"}
    assert yard.told("Pipeline") == ["web STARTED", "web STOPPING", "web STOPPED"]


def test_a_failure_while_stopping_is_a_failure(yard: PipelineWorld, client: Any) -> None:
    stop(client, ids_of(client)[0])
    yard.codebuild.end("web:1", buildStatus="FAILED")
    assert executions_of(client) == ["Failed"]


def test_an_abandoned_action_is_left_to_itself(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2")
    first, second = ids_of(client)
    stop(client, first, abandon=True)
    yard.tick()
    assert executions_of(client) == ["InProgress", "Stopped"]
    details = client.list_action_executions(pipelineName="web", filter={"pipelineExecutionId": first})
    assert [each["status"] for each in details["actionExecutionDetails"]] == ["Abandoned", "Succeeded"]
    assert yard.codebuild.states["web:1"]["buildStatus"] == "IN_PROGRESS"
    state = client.get_pipeline_state(name="web")["stageStates"][1]
    assert state["latestExecution"]["pipelineExecutionId"] == second
    assert "Build ABANDONED" in yard.told("Action")


def test_an_execution_that_waits_stops_at_once(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2")
    stop(client, ids_of(client)[1])
    yard.tick()
    assert executions_of(client) == ["Stopped", "InProgress"]
    assert "inboundExecution" not in client.get_pipeline_state(name="web")["stageStates"][1]


def test_a_stop_is_asked_for_once_but_may_become_an_abandonment(yard: PipelineWorld, client: Any) -> None:
    (execution,) = ids_of(client)
    stop(client, execution)
    with pytest.raises(ClientError) as raised:
        stop(client, execution)
    assert code_of(raised) == "DuplicatedStopRequestException"
    stop(client, execution, abandon=True)
    with pytest.raises(ClientError) as raised:
        stop(client, execution, abandon=True)
    assert code_of(raised) == "DuplicatedStopRequestException"
    yard.tick()
    assert executions_of(client) == ["Stopped"]
    with pytest.raises(ClientError) as raised:
        stop(client, execution)
    assert code_of(raised) == "PipelineExecutionNotStoppableException"
    with pytest.raises(ClientError) as raised:
        stop(client, "00000000-0000-0000-0000-000000000000")
    assert code_of(raised) == "PipelineExecutionNotStoppableException"


def test_a_retry_continues_the_same_execution(yard: PipelineWorld, client: Any) -> None:
    (execution,) = ids_of(client)
    yard.codebuild.end("web:1", buildStatus="FAILED")
    assert retry(client, "Build", execution)["pipelineExecutionId"] == execution
    assert executions_of(client) == ["InProgress"]
    yard.tick()
    assert (
        yard.codebuild.inputs["web:2"]["sourceLocationOverride"]
        == (yard.codebuild.inputs["web:1"]["sourceLocationOverride"])
    )
    yard.codebuild.succeed("web:2")
    yard.codedeploy.end("d-1", status="Succeeded")
    assert executions_of(client) == ["Succeeded"]
    assert ids_of(client) == [execution]
    assert yard.told("Pipeline") == ["web STARTED", "web FAILED", "web RESUMED", "web SUCCEEDED"]
    assert "Build RESUMED" in yard.told("Stage")


def test_a_second_retry_is_as_good_as_the_first(yard: PipelineWorld, client: Any) -> None:
    (execution,) = ids_of(client)
    for build_id in ("web:1", "web:2"):
        yard.codebuild.end(build_id, buildStatus="FAILED")
        retry(client, "Build", execution)
        yard.tick()
    yard.codebuild.succeed("web:3")
    yard.codedeploy.end("d-1", status="Failed")
    retry(client, "Deploy", execution, "ALL_ACTIONS")
    yard.tick()
    yard.codedeploy.end("d-2", status="Succeeded")
    assert executions_of(client) == ["Succeeded"]


@pytest.mark.parametrize(("mode", "builds"), [("FAILED_ACTIONS", 3), ("ALL_ACTIONS", 4)])
def test_a_retry_repeats_the_failed_actions_or_all(yard: PipelineWorld, mode: str, builds: int) -> None:
    client = yard.boto("codepipeline")
    both = [{**build(output=[name]), "name": name} for name in ("Good", "Bad")]
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", both)))
    yard.tick()
    yard.codebuild.succeed("web:1")
    yard.codebuild.end("web:2", buildStatus="FAILED")
    (execution,) = ids_of(client)
    retry(client, "Build", execution, mode)
    yard.tick()
    assert len(yard.codebuild.inputs) == builds
    for number in range(3, builds + 1):
        yard.codebuild.succeed(f"web:{number}")
    assert executions_of(client) == ["Succeeded"]
    assert stages_of(client)["Build"] == "Succeeded"
    latest = {"pipelineExecutionId": execution, "startTimeRange": "All"}
    details = client.list_action_executions(pipelineName="web", filter={"latestInPipelineExecution": latest})
    assert sorted(each["actionName"] for each in details["actionExecutionDetails"]) == ["Bad", "Good", "Source"]


def test_an_abandoned_stage_can_be_retried(yard: PipelineWorld, client: Any) -> None:
    (execution,) = ids_of(client)
    stop(client, execution, abandon=True)
    yard.tick()
    retry(client, "Build", execution)
    yard.tick()
    yard.codebuild.succeed("web:2")
    assert stages_of(client)["Deploy"] == "InProgress"


def test_only_the_latest_execution_in_a_stage_that_ended_red_can_be_retried(yard: PipelineWorld, client: Any) -> None:
    first = ids_of(client)[0]
    with pytest.raises(ClientError) as raised:
        retry(client, "Build", first)
    assert code_of(raised) == "StageNotRetryableException"
    yard.codebuild.end("web:1", buildStatus="FAILED")
    with pytest.raises(ClientError) as raised:
        retry(client, "Source", first)
    assert code_of(raised) == "StageNotRetryableException"
    with pytest.raises(ClientError) as raised:
        retry(client, "Deploy", first)
    assert code_of(raised) == "NotLatestPipelineExecutionException"
    push(yard, "c2")
    with pytest.raises(ClientError) as raised:
        retry(client, "Build", first)
    assert code_of(raised) == "NotLatestPipelineExecutionException"


def test_updating_the_definition_cancels_what_is_in_progress(yard: PipelineWorld, client: Any) -> None:
    definition = client.get_pipeline(name="web")["pipeline"]
    client.update_pipeline(pipeline=definition)
    yard.tick()
    assert executions_of(client) == ["InProgress"]
    definition["stages"][1]["actions"][0]["configuration"]["ProjectName"] = "other"
    client.update_pipeline(pipeline=definition)
    yard.tick()
    assert executions_of(client) == ["Cancelled"]
    assert stages_of(client)["Build"] == "Cancelled"
    assert "web CANCELED" in yard.told("Pipeline")
    with pytest.raises(ClientError) as raised:
        retry(client, "Build", ids_of(client)[0])
    assert code_of(raised) == "StageNotRetryableException"


def test_a_new_pipeline_of_an_old_name_begins_anew(yard: PipelineWorld, client: Any) -> None:
    client.delete_pipeline(name="web")
    client.create_pipeline(pipeline=seed())
    assert len(executions_of(client)) == 1
    yard.tick()
    assert stages_of(client)["Build"] == "InProgress"
    assert [run.status for run in yard.runs.of_kind("codepipeline")] == ["InProgress", "Stopped"]


def test_an_engine_that_dies_between_any_two_ticks_goes_on_where_it_was(yard: PipelineWorld, client: Any) -> None:
    push(yard, "c2")
    yard.reboot()
    yard.tick()
    yard.codebuild.succeed("web:1")
    yard.reboot()
    yard.codedeploy.end("d-1", status="Succeeded")
    yard.reboot()
    yard.codebuild.succeed("web:2")
    yard.codedeploy.end("d-2", status="Succeeded")
    assert executions_of(client) == ["Succeeded", "Succeeded"]
    assert (len(yard.codebuild.inputs), len(yard.codedeploy.inputs), len(yard.ecs.registered)) == (2, 2, 2)

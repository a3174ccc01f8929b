"""CodeBuild through boto3: real commands, a clock that stands still."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rooms.building import Building, context_of, statuses
from turnout.codebuild.spec import PHASES
from turnout.runtimes.processes import stat_of

ECHO = "version: 0.2\nphases: {build: {commands: [echo hi]}}\n"


@pytest.fixture
def building(world: Any) -> Building:
    return Building(world)


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_a_build_goes_through_aws_phases_and_is_described_as_aws_does(building: Building) -> None:
    build = building.run(ECHO)
    assert build["buildStatus"] == "SUCCEEDED"
    assert build["buildComplete"]
    assert build["currentPhase"] == "COMPLETED"
    assert build["buildNumber"] == 1
    assert list(statuses(build)) == list(PHASES)
    assert statuses(build) == {**dict.fromkeys(PHASES, "SUCCEEDED"), "COMPLETED": None}
    assert context_of(build, "BUILD") == {"statusCode": "", "message": ""}
    assert "durationInSeconds" not in build["phases"][-1]
    assert build["initiator"] == "root"
    uuid = build["id"].partition(":")[2]
    assert build["arn"] == f"arn:aws:codebuild:us-east-1:000000000000:build/{build['id']}"
    assert (build["logs"]["groupName"], build["logs"]["streamName"]) == ("/aws/codebuild/app", uuid)
    assert building.said(build) == ["hi"]
    assert not list(building.world.engine.config.builds.iterdir())


def test_a_new_build_is_submitted_and_queued(building: Building) -> None:
    building.create(ECHO)
    build = building.codebuild.start_build(projectName="app")["build"]
    assert (build["buildStatus"], build["currentPhase"]) == ("IN_PROGRESS", "QUEUED")
    assert statuses(build) == {"SUBMITTED": "SUCCEEDED", "QUEUED": None}
    assert not build["buildComplete"]
    assert "endTime" not in build


def test_every_phase_and_the_build_itself_are_announced(building: Building) -> None:
    build = building.run(ECHO)
    phases = [event.detail["completed-phase"] for event in building.events if "completed-phase" in event.detail]
    assert phases == list(PHASES)
    states = [event for event in building.events if event.detail_type == "CodeBuild Build State Change"]
    assert [event.detail["build-status"] for event in states] == ["IN_PROGRESS", "SUCCEEDED"]
    information = states[-1].detail["additional-information"]
    assert states[-1].detail["build-id"] == build["arn"]
    assert information["build-start-time"] == "Sep 21, 2026 2:13:20 PM"
    assert information["logs"]["stream-name"] == build["id"].partition(":")[2]


def test_a_failing_build_still_runs_post_build_which_knows_and_then_tries_the_artifacts(building: Building) -> None:
    build = building.run(
        """
        version: 0.2
        phases:
          build:
            commands: [exit 3, echo never]
          post_build:
            commands: [echo succeeding=$CODEBUILD_BUILD_SUCCEEDING]
        """
    )
    assert build["buildStatus"] == "FAILED"
    assert statuses(build) == {**dict.fromkeys(PHASES, "SUCCEEDED"), "BUILD": "FAILED", "COMPLETED": None}
    assert context_of(build, "BUILD") == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": "Error while executing command: exit 3. Reason: exit status 3",
    }
    assert building.said(build) == ["succeeding=0"]
    assert any("Command did not exit successfully exit 3 exit status 3" in line for line in building.log(build))


@pytest.mark.parametrize(
    ("buildspec", "run"),
    [
        ("install: {commands: ['false']}, build: {commands: [echo never]}", ["INSTALL"]),
        ("pre_build: {commands: ['false']}, build: {commands: [echo never]}", ["INSTALL", "PRE_BUILD"]),
        (
            "pre_build: {on-failure: CONTINUE, commands: ['false']}, build: {commands: ['true']}",
            ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS"],
        ),
        (
            "build: {on-failure: ABORT, commands: ['false']}, post_build: {commands: [echo never]}",
            ["INSTALL", "PRE_BUILD", "BUILD"],
        ),
        (
            "post_build: {commands: ['false']}",
            ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS"],
        ),
    ],
)
def test_what_follows_a_failed_phase_is_as_on_aws(building: Building, buildspec: str, run: list[str]) -> None:
    build = building.run(f"version: 0.2\nphases: {{{buildspec}}}\n")
    assert build["buildStatus"] == "FAILED"
    assert list(statuses(build)) == [*PHASES[:4], *run, *PHASES[-2:]]
    assert building.said(build) == []


def test_the_shell_state_is_carried_across_commands_and_phases_and_exported_variables_are_kept(
    building: Building,
) -> None:
    build = building.run(
        """
        version: 0.2
        env:
          variables: {A: from-buildspec, B: from-buildspec, C: from-buildspec}
          exported-variables: [TAG, A, MISSING]
        phases:
          pre_build:
            commands:
              - mkdir sub && cd sub
              - TAG=v$(echo 1)
              - quiet="not exported"
          build:
            commands:
              - |
                echo "$A $B $C"
                basename "$PWD"
              - echo "$quiet"
            finally:
              - TAG=$TAG.1
        """,
        environmentVariablesOverride=[{"name": "C", "value": "$literal"}],
    )
    assert building.said(build)[-3:] == ["from-buildspec from-buildspec $literal", "sub", "not exported"]
    assert build["exportedEnvironmentVariables"] == [
        {"name": "TAG", "value": "v1.1"},
        {"name": "A", "value": "from-buildspec"},
    ]


def test_commands_see_the_builds_environment_and_nothing_of_the_engines(
    building: Building, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_SECRET", "x")
    building.create(
        "version: 0.2\nenv: {variables: {OURS: lost}}\nphases: {build: {commands: [env]}}\n",
        variables=[{"name": "OURS", "value": "project"}],
    )
    build = building.finish(building.start(sourceVersion="v7"))
    seen = dict(line.split("=", 1) for line in building.said(build))
    assert "ENGINE_SECRET" not in seen
    assert seen["OURS"] == "project"
    assert seen["CODEBUILD_BUILD_ID"] == build["id"]
    assert seen["CODEBUILD_BUILD_ARN"] == build["arn"]
    assert seen["CODEBUILD_BUILD_NUMBER"] == "1"
    assert seen["CODEBUILD_BUILD_SUCCEEDING"] == "1"
    assert seen["CODEBUILD_INITIATOR"] == "root"
    assert seen["CODEBUILD_LOG_PATH"] == build["logs"]["streamName"]
    assert seen["CODEBUILD_SOURCE_VERSION"] == "v7"
    assert seen["CODEBUILD_START_TIME"] == "1790000000000"
    assert seen["AWS_DEFAULT_REGION"] == seen["AWS_REGION"] == "us-east-1"
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert seen["TURNOUT_HOME"] == str(building.world.home)
    assert seen["HOME"].startswith(str(building.world.home))
    assert seen["CODEBUILD_SRC_DIR"] == seen["PWD"]


def test_secrets_are_resolved_and_never_shown(building: Building) -> None:
    building.world.boto("ssm").put_parameter(Name="/app/token", Value="t0ken", Type="SecureString")
    building.world.boto("secretsmanager").create_secret(Name="app/db", SecretString='{"password": "s3cret"}')
    build = building.run(
        """
        version: 0.2
        env:
          parameter-store: {TOKEN: /app/token}
          secrets-manager: {PASSWORD: "app/db:password", WHOLE: app/db}
        phases:
          build:
            commands:
              - echo "$TOKEN and $PASSWORD" ${#TOKEN} ${#PASSWORD}
              - test "$PASSWORD" = s3cret
              - echo "$WHOLE"
        """
    )
    log = "\n".join(building.log(build))
    assert "t0ken" not in log
    assert "s3cret" not in log
    assert building.said(build) == ["*** and *** 5 6", "***"]
    assert build["buildStatus"] == "SUCCEEDED"


def test_a_parameter_that_is_missing_fails_before_any_command(building: Building) -> None:
    build = building.run("version: 0.2\nenv: {parameter-store: {T: /no}}\nphases: {build: {commands: [echo never]}}\n")
    assert context_of(build, "DOWNLOAD_SOURCE") == {
        "statusCode": "Decrypted Variables Error",
        "message": "parameter does not exist: /no",
    }
    assert building.said(build) == []


@pytest.mark.parametrize(
    ("buildspec", "message"),
    [
        ("version: 0.2\nphases:\n  build:\n    commands: make\n", "commands must be a list, found a string"),
        ("version: 0.2\nphases: {build: {run-as: nobody-here, commands: [a]}}\n", "turnout runs builds as"),
    ],
)
def test_a_buildspec_with_a_mistake_fails_the_build_with_its_place(
    building: Building, buildspec: str, message: str
) -> None:
    build = building.run(buildspec)
    assert build["buildStatus"] == "FAILED"
    assert statuses(build)["DOWNLOAD_SOURCE"] == "FAILED"
    assert context_of(build, "DOWNLOAD_SOURCE")["statusCode"] == "YAML_FILE_ERROR"
    assert message in context_of(build, "DOWNLOAD_SOURCE")["message"]


def test_a_long_and_wide_log_arrives_whole_and_in_order(building: Building) -> None:
    build = building.run(
        """
        version: 0.2
        phases:
          build:
            commands:
              - seq 1 100000
              - head -c 600000 /dev/zero | tr '\\0' x
              - printf '\\nlast without newline'
        """
    )
    said = building.said(build)
    assert said[:100000] == [str(number) for number in range(1, 100001)]
    assert "".join(said[100000:]).startswith("x" * 600000)
    assert max(map(len, said[100000:])) == 200000
    assert any(line.startswith("last without newline") for line in said)


def test_commands_that_leave_something_running_are_cleaned_up_after(building: Building) -> None:
    build = building.run(
        """
        version: 0.2
        phases:
          install:
            commands: ["sleep 600 & echo $! >pid"]
          build:
            commands: ['kill -0 $(cat pid) && echo alive', 'echo pid=$(cat pid)']
        """
    )
    alive, pid = building.said(build)
    assert alive == "alive"
    left = stat_of(int(pid.removeprefix("pid=")))
    assert left is None or left.is_dead


def test_the_same_cause_or_token_starts_one_build(building: Building) -> None:
    building.create(ECHO)
    call = {"projectName": "app", "_initiator": "codepipeline/p"}
    start = [
        building.world.run(building.world.aws.call("codebuild", "StartBuild", "us-east-1", cause="step:7", **call))
        for _ in range(2)
    ]
    assert start[0]["build"]["id"] == start[1]["build"]["id"]
    assert start[0]["build"]["initiator"] == "codepipeline/p"
    assert building.start(idempotencyToken="t") == building.start(idempotencyToken="t")
    with pytest.raises(ClientError) as raised:
        building.start(idempotencyToken="t", sourceVersion="other")
    assert code_of(raised) == "InvalidInputException"
    assert len(building.codebuild.list_builds()["ids"]) == 2


def test_builds_are_listed_retried_and_deleted(building: Building) -> None:
    first = building.run(ECHO)
    second = building.finish(building.codebuild.retry_build(id=first["id"])["build"]["id"])
    assert second["buildNumber"] == 2
    assert building.codebuild.list_builds()["ids"] == [second["id"], first["id"]]
    ascending = building.codebuild.list_builds_for_project(projectName="app", sortOrder="ASCENDING")["ids"]
    assert ascending == [first["id"], second["id"]]
    running = building.start()
    answer = building.codebuild.batch_delete_builds(ids=[first["id"], running, "app:none"])
    assert answer["buildsDeleted"] == [first["arn"]]
    assert [each["statusCode"] for each in answer["buildsNotDeleted"]] == ["BUILD_IN_PROGRESS", "BUILD_NOT_FOUND"]
    answer = building.codebuild.batch_get_builds(ids=[first["id"], second["id"]])
    assert answer["buildsNotFound"] == [first["id"]]


def test_a_project_runs_no_more_builds_at_once_than_it_may(building: Building) -> None:
    building.create(ECHO, concurrentBuildLimit=1)
    first = building.start()
    with pytest.raises(ClientError) as raised:
        building.start()
    assert code_of(raised) == "AccountLimitExceededException"
    building.finish(first)
    building.start()

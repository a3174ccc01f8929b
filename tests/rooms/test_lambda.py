"""Lambda functions: they really run, in AWS's own runtime client, and what they answer is what they said."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from turnout.awslambda.node import TOOLS
from turnout.names import DEFAULT_REGION

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
CODE = """\
import os, time

def handler(event, context):
    print("asked", event, context.aws_request_id)
    with open(os.environ.get("LEDGER", os.devnull), "a") as ledger:
        ledger.write("ran\\n")
    if event.get("do") == "raise":
        raise ValueError("not today")
    if event.get("do") == "exit":
        os._exit(3)
    if event.get("do") == "sleep":
        time.sleep(60)
    return {"environment": dict(os.environ), "here": os.getcwd()}
"""


def zipped(code: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", code)
    return body.getvalue()


def create(world: World, **more: Any) -> Any:
    """The client, with a function `f`."""
    world.boto("iam").create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps(TRUST))
    client = world.boto("lambda")
    function = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/f",
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped(CODE)},
        "Environment": {"Variables": {"LEDGER": str(world.home / "ledger"), "GREETING": "hello"}},
    }
    client.create_function(**{**function, **more})
    return client


def runs_of(world: World) -> int:
    ledger = world.home / "ledger"
    return ledger.read_text().count("ran") if ledger.exists() else 0


def test_a_function_runs_with_its_own_environment_and_none_of_the_engines(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_ENGINE", "x")
    answer = create(world).invoke(FunctionName="f", Payload=b'{"a": 1}')
    told = json.loads(answer["Payload"].read())
    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    assert told["here"] == told["environment"]["LAMBDA_TASK_ROOT"]
    expected = {
        "GREETING": "hello",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_REGION": DEFAULT_REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "_HANDLER": "app.handler",
    }
    assert told["environment"].items() >= expected.items()
    assert "SECRET_OF_THE_ENGINE" not in told["environment"]


@pytest.mark.parametrize("name", ["f", "f:$LATEST", f"arn:aws:lambda:{DEFAULT_REGION}:000000000000:function:f"])
def test_a_function_is_found_by_its_name_and_by_its_arn(world: World, name: str) -> None:
    assert create(world).invoke(FunctionName=name)["StatusCode"] == 200


@pytest.mark.parametrize(
    ("do", "error_type", "message"),
    [
        ("raise", "ValueError", "not today"),
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_a_function_that_fails_says_how_in_lambdas_words(world: World, do: str, error_type: str, message: str) -> None:
    client = create(world, Timeout=1)
    answer = client.invoke(FunctionName="f", Payload=json.dumps({"do": do}).encode(), LogType="Tail")
    error = json.loads(answer["Payload"].read())
    assert (answer["StatusCode"], answer["FunctionError"], error["errorType"]) == (200, "Unhandled", error_type)
    assert message in error["errorMessage"]
    assert f"asked {{'do': '{do}'}}" in base64.b64decode(answer["LogResult"]).decode()


def test_a_handler_that_is_not_there_is_the_functions_error(world: World) -> None:
    answer = create(world, Handler="app.nobody").invoke(FunctionName="f")
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.HandlerNotFound"


def test_what_a_function_writes_is_in_its_log_group_in_lambdas_format(world: World) -> None:
    create(world).invoke(FunctionName="f")
    logs = world.boto("logs")
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    events = logs.get_log_events(logGroupName="/aws/lambda/f", logStreamName=stream["logStreamName"])["events"]
    begins = [event["message"].split(" ")[0] for event in events]
    assert begins == ["INIT_START", "START", "asked", "END", "REPORT"]
    assert "Memory Size: 128 MB\tMax Memory Used: " in events[-1]["message"]


def test_new_code_is_what_runs_next(world: World) -> None:
    client = create(world)
    client.update_function_code(FunctionName="f", ZipFile=zipped("def handler(e, c): return 'new'"))
    assert json.loads(client.invoke(FunctionName="f")["Payload"].read()) == "new"


def test_a_dry_run_runs_nothing(world: World) -> None:
    assert create(world).invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    world.tick(1)
    assert runs_of(world) == 0


def test_an_event_is_accepted_at_once_and_runs_once(world: World) -> None:
    assert create(world).invoke(FunctionName="f", InvocationType="Event")["StatusCode"] == 202
    assert runs_of(world) == 0
    world.until(lambda: not world.runs.of_kind("lambda.invocation", is_open=True))
    assert runs_of(world) == 1


def test_an_event_that_fails_is_tried_twice_again(world: World) -> None:
    create(world).invoke(FunctionName="f", InvocationType="Event", Payload=b'{"do": "raise"}')
    world.until(lambda: not world.runs.of_kind("lambda.invocation", is_open=True), within_s=60)
    (run,) = world.runs.of_kind("lambda.invocation")
    assert (runs_of(world), run.status, run.code) == (3, "Failed", "Unhandled")


def test_an_accepted_event_outlives_the_engine_and_runs_once(world: World) -> None:
    """Killed before it was begun, and again while the function runs."""
    slow = CODE.replace("    if event", "    time.sleep(0.3)\n    if event", 1)
    create(world, Code={"ZipFile": zipped(slow)}).invoke(FunctionName="f", InvocationType="Event")
    world.reboot()
    world.tick()
    (run,) = world.runs.of_kind("lambda.invocation", is_open=True)
    assert world.engine.awslambda._running.find(f"{run.name}.0") is not None
    world.reboot()
    world.until(lambda: not world.runs.of_kind("lambda.invocation", is_open=True))
    assert (world.runs.get(run.id).status, runs_of(world)) == ("Succeeded", 1)


def test_the_same_cause_gets_the_same_invocation(world: World) -> None:
    """A step that was killed while it waited asks again."""
    create(world)
    answers = [
        world.run(world.aws.call("lambda", "Invoke", DEFAULT_REGION, cause="step:1", FunctionName="f"))
        for _ in range(2)
    ]
    assert answers[0]["Payload"] == answers[1]["Payload"]
    assert runs_of(world) == 1


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"FunctionName": "nobody"}, "ResourceNotFoundException"),
        ({"FunctionName": "f", "Qualifier": "7"}, "ResourceNotFoundException"),
        ({"FunctionName": "f", "Payload": b"{"}, "InvalidRequestContentException"),
        ({"FunctionName": "f", "Payload": b'"' + b"x" * 6_300_000 + b'"'}, "RequestTooLargeException"),
        ({"FunctionName": "f", "InvocationType": "Later"}, "ValidationException"),
    ],
)
def test_an_invocation_that_cannot_be_is_refused(world: World, params: dict[str, Any], code: str) -> None:
    client = create(world)
    with pytest.raises(ClientError) as refused:
        client.invoke(**params)
    assert refused.value.response["Error"]["Code"] == code


def test_a_runtime_that_turnout_does_not_run_is_named(world: World) -> None:
    client = create(world, Runtime="ruby3.3")
    with pytest.raises(ClientError, match=r"f has the runtime ruby3\.3; turnout runs python3\.x and nodejs"):
        client.invoke(FunctionName="f")


def test_a_node_function_without_node_says_what_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create(world, Runtime="nodejs20.x", Handler="index.handler")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ClientError, match="needs node and npm on this machine"):
        client.invoke(FunctionName="f")


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ({"node": "echo v20.1.0", "npm": "exit 1"}, "has no cmake, make, g++, autoconf, automake, libtoolize"),
        ({"node": "echo v20.1.0", "npm": "echo broken; exit 1", "*": ""}, "failed (it is built on this machine"),
        ({"node": "exit 3", "npm": ""}, "--version` failed"),
    ],
)
def test_a_node_function_says_why_its_client_cannot_be_built(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: dict[str, str], message: str
) -> None:
    client = create(world, Runtime="nodejs20.x", Handler="index.handler")
    tools = {name: tools.get("*", "") for name in TOOLS if "*" in tools} | tools
    (tmp_path / "bin").mkdir()
    for name, does in tools.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ClientError, match=re.escape(message)):
        client.invoke(FunctionName="f")


def test_code_that_is_no_zip_makes_no_function(world: World, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        create(world, Code={"ZipFile": b"not a zip"})
    assert world.boto("lambda").list_functions()["Functions"] == []

"""The environment of a container: files in S3, secrets, and what ECS says of those that are not there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import World
from turnout.ecs.environments import SecretOf, parse_file, secret_of
from turnout.errors import StepFailed

ARN = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db-AbCdEf"


def run_with(world: World, override: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Run a task with such a container: the environment it got, or why it stopped under the name "stopped"."""
    ecs = world.boto("ecs")
    ecs.create_cluster()
    container = {"name": "app", "image": "shop:latest", "memory": 64, **members}
    ecs.register_task_definition(family="env", containerDefinitions=[container])
    overrides = {"containerOverrides": [{"name": "app", **(override or {})}]}
    arn = ecs.run_task(taskDefinition="env", overrides=overrides)["tasks"][0]["taskArn"]
    world.tick()
    (task,) = ecs.describe_tasks(tasks=[arn])["tasks"]
    if task["desiredStatus"] == "STOPPED":
        return {"stopped": task["stoppedReason"]}
    return dict(world.runtime.containers[f"{arn.rsplit('/', 1)[1]}-app"].workload.environment)


def test_secrets_come_from_parameters_and_from_secrets_by_key_and_version(world: World) -> None:
    ssm, secrets = world.boto("ssm"), world.boto("secretsmanager")
    ssm.put_parameter(Name="/shop/token", Value="t-1", Type="SecureString")
    ssm.put_parameter(Name="plain", Value="p-1", Type="String")
    parameter = ssm.get_parameter(Name="/shop/token")["Parameter"]["ARN"]
    made = secrets.create_secret(Name="db", SecretString=json.dumps({"user": "u", "password": "one"}))
    secrets.put_secret_value(SecretId="db", SecretString=json.dumps({"user": "u", "password": "two"}))
    arn, version = made["ARN"], made["VersionId"]
    given = {
        "TOKEN": parameter,
        "NAMED": "/shop/token",
        "PLAIN": "plain",
        "WHOLE": arn,
        "NOW": f"{arn}:password::",
        "BEFORE": f"{arn}:password:AWSPREVIOUS:",
        "FIRST": f"{arn}:password::{version}",
    }
    got = run_with(world, secrets=[{"name": name, "valueFrom": value} for name, value in given.items()])
    assert {name: got[name] for name in given} == {
        "TOKEN": "t-1",
        "NAMED": "t-1",
        "PLAIN": "p-1",
        "WHOLE": '{"user": "u", "password": "two"}',
        "NOW": "two",
        "BEFORE": "one",
        "FIRST": "one",
    }


@pytest.mark.parametrize(
    ("value_from", "told"),
    [
        ("/no/such", "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm"),
        (ARN, "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret"),
        ("KEY", "retrieved secret from Secrets Manager did not contain json key nosuch"),
    ],
)
def test_a_secret_that_is_not_there_is_a_task_that_says_so(world: World, value_from: str, told: str) -> None:
    arn = world.boto("secretsmanager").create_secret(Name="db", SecretString="{}")["ARN"]
    value_from = f"{arn}:nosuch::" if value_from == "KEY" else value_from
    stopped = run_with(world, secrets=[{"name": "A", "valueFrom": value_from}])["stopped"]
    assert stopped.startswith("ResourceInitializationError: unable to pull secrets or registry auth: ")
    assert told in stopped


def test_of_files_the_first_value_counts_and_the_definitions_own_before_them_all(world: World) -> None:
    s3 = world.boto("s3")
    s3.create_bucket(Bucket="settings")
    s3.put_object(Bucket="settings", Key="one.env", Body=b'# a comment\nA=1\nB=2\nQUOTED="as it is"\n\nEMPTY=\n')
    s3.put_object(Bucket="settings", Key="sub/two.env", Body=b"A=9\nC=3=3\nD=9\n")
    files = [{"type": "s3", "value": f"arn:aws:s3:::settings/{key}"} for key in ("one.env", "sub/two.env")]
    own = [{"name": "B", "value": "own"}, {"name": "D", "value": "own"}]
    got = run_with(
        world, {"environment": [{"name": "D", "value": "overridden"}]}, environmentFiles=files, environment=own
    )
    names = ("A", "B", "C", "D", "QUOTED", "EMPTY")
    assert [got[name] for name in names] == ["1", "own", "3=3", "overridden", '"as it is"', ""]
    assert got["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"


def test_a_file_that_is_not_there_is_a_task_that_says_so(world: World) -> None:
    world.boto("s3").create_bucket(Bucket="settings")
    files = [{"type": "s3", "value": "arn:aws:s3:::settings/no.env"}]
    stopped = run_with(world, environmentFiles=files)["stopped"]
    assert stopped.startswith("ResourceInitializationError: failed to download env files:")
    assert "arn:aws:s3:::settings/no.env" in stopped


def test_a_secret_is_written_down_nowhere(world: World) -> None:
    world.boto("ssm").put_parameter(Name="token", Value="very-secret-indeed", Type="SecureString")
    # What moto keeps of the parameter itself is not meant.
    assert run_with(world, secrets=[{"name": "T", "valueFrom": "token"}])["T"] == "very-secret-indeed"
    rows = "\n".join(world.store._connection.iterdump())
    assert "very-secret-indeed" not in rows


def test_names_and_arns_of_secrets_are_told_apart() -> None:
    assert secret_of("name", "r") == SecretOf("ssm", "r", "name")
    assert secret_of("arn:aws:ssm:eu-west-1:0:parameter/a/b", "r") == SecretOf("ssm", "eu-west-1", "/a/b")
    assert secret_of("arn:aws:ssm:eu-west-1:0:parameter/a", "r") == SecretOf("ssm", "eu-west-1", "a")
    assert secret_of(ARN, "r") == SecretOf("secretsmanager", "eu-west-1", ARN)
    whole = SecretOf("secretsmanager", "eu-west-1", ARN, "key", "stage", "version")
    assert secret_of(f"{ARN}:key:stage:version", "r") == whole


def test_a_line_that_is_no_setting_is_named() -> None:
    with pytest.raises(StepFailed, match=r"a\.env, line 2: it must read NAME=VALUE"):
        parse_file("A=1\nnonsense\n", "a.env")

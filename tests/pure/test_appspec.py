"""The AppSpec file: what is read, and what is said of a wrong one."""

from __future__ import annotations

import hashlib
import json
import textwrap

import pytest

from turnout.codedeploy.appspec import AppSpec, parse
from turnout.errors import AwsError

FULL = """\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"
        LoadBalancerInfo:
          ContainerName: "web"
          ContainerPort: 8080
        PlatformVersion: "LATEST"
        NetworkConfiguration:
          AwsvpcConfiguration:
            Subnets: ["subnet-1", "subnet-2"]
            SecurityGroups: ["sg-1"]
            AssignPublicIp: "DISABLED"
        CapacityProviderStrategy:
          - Base: 1
            CapacityProvider: "FARGATE_SPOT"
            Weight: 2
Hooks:
  - BeforeInstall: "check"
  - AfterAllowTraffic: "arn:aws:lambda:us-east-1:000000000000:function:smoke"
"""
EXPECTED = AppSpec(
    task_definition="arn:aws:ecs:us-east-1:000000000000:task-definition/web:3",
    container_name="web",
    container_port=8080,
    platform_version="LATEST",
    network_configuration={
        "awsvpcConfiguration": {
            "subnets": ["subnet-1", "subnet-2"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "DISABLED",
        }
    },
    capacity_provider_strategy=[{"capacityProvider": "FARGATE_SPOT", "base": 1, "weight": 2}],
    hooks={"BeforeInstall": "check", "AfterAllowTraffic": "arn:aws:lambda:us-east-1:000000000000:function:smoke"},
)
SMALL = {
    "version": 0.0,
    "Resources": [
        {
            "TargetService": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "TaskDefinition": "web:1",
                    "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80},
                },
            }
        }
    ],
}


def message_of(text: str, sha256: str | None = None) -> str:
    with pytest.raises(AwsError) as raised:
        parse(text, sha256)
    assert raised.value.code == "InvalidRevisionException"
    return raised.value.message


def test_every_member_of_the_yaml_file_is_read() -> None:
    assert parse(FULL) == EXPECTED


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read_however_it_is_indented(indent: int | str | None) -> None:
    assert parse(json.dumps(SMALL, indent=indent)) == AppSpec("web:1", "web", 80)


def test_the_case_of_keys_does_not_matter() -> None:
    text = json.dumps(SMALL).replace("Resources", "resources").replace("TaskDefinition", "taskDefinition")
    assert parse(text).task_definition == "web:1"


def test_empty_hooks_are_none() -> None:
    assert parse(json.dumps({**SMALL, "Hooks": []})).hooks == {}
    assert parse(json.dumps({**SMALL, "Hooks": None})).hooks == {}


def test_the_checksum_is_checked_when_it_is_given() -> None:
    text = json.dumps(SMALL)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert parse(text, digest.upper()).container_name == "web"
    assert message_of(text, "00") == f"The sha256 of the AppSpec content is {digest}, but 00 was given."


@pytest.mark.parametrize(
    ("was", "became", "message"),
    [
        ("version: 0.0", "version: 1.0", "line 1: version must be 0.0, not 1.0."),
        ("version: 0.0\n", "", "line 1: the AppSpec file needs version."),
        ("AWS::ECS::Service", "AWS::Lambda::Function", "line 4: Type must be AWS::ECS::Service"),
        ("ContainerPort: 8080", "ContainerPort: web", "line 9: ContainerPort must be a whole number from 1 to 65535"),
        ("ContainerPort: 8080", "ContainerPort: 0", "line 9: ContainerPort must be a whole number from 1 to 65535"),
        ("          ContainerPort: 8080\n", "", "line 7: LoadBalancerInfo needs ContainerPort."),
        ("ContainerName:", "ContainerNam:", "line 8: LoadBalancerInfo has no ContainerNam in an ECS deployment"),
        ('"DISABLED"', "maybe", "line 15: AssignPublicIp must be ENABLED or DISABLED, not maybe."),
        ("Subnets: [", "Subnets: x #", "line 13: Subnets must be a list"),
        ("BeforeInstall:", "AllowTraffic:", "line 21: AllowTraffic cannot have a hook; these can: BeforeInstall"),
        ("AfterAllowTraffic:", "BeforeInstall:", "line 22: BeforeInstall has two hooks."),
        ("Hooks:", "files:", "line 20: the AppSpec file has no files in an ECS deployment"),
        ('"arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"', "<TASK_DEFINITION>", "still the placeholder"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(was: str, became: str, message: str) -> None:
    assert was in FULL
    assert message in message_of(FULL.replace(was, became))


def test_a_file_that_is_not_yaml_or_json_says_where() -> None:
    assert message_of("version: 0.0\nResources: [").startswith("The AppSpec file is not valid YAML, line 2")
    assert message_of('{"version": 0.0,\n "Resources" []}') == (
        "The AppSpec file is not valid JSON, line 2: Expecting ':' delimiter."
    )


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_missing(text: str) -> None:
    assert message_of(text) == "An AppSpec file is required, but could not be found in the revision"


def test_one_service_is_deployed_at_a_time() -> None:
    two = {**SMALL, "Resources": [*SMALL["Resources"], *SMALL["Resources"]]}  # type: ignore[misc]
    assert "exactly one service, not 2" in message_of(json.dumps(two))


def test_a_text_is_not_a_file() -> None:
    assert "must be a mapping" in message_of("hello")
    assert "must have exactly one name" in message_of(
        textwrap.dedent("""\
            version: 0.0
            Resources:
              - Type: AWS::ECS::Service
                Properties: {}
            """)
    )


def test_a_comment_after_an_appspec_in_json_is_read_past() -> None:
    document = {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": "web:3",
                        "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80},
                    },
                }
            }
        ],
        "Hooks": [{"AfterInstall": "check"}],
    }
    text = json.dumps(document) + "\n# turnout.yml: s3://bucket/key.zip#turnout.yml\n"
    assert parse(text).hooks == {"AfterInstall": "check"}

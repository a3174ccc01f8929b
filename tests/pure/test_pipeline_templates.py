"""taskdef.json, appspec.yaml and imageDetail.json."""

import json
from typing import Any

import pytest

from turnout.codepipeline.actions.templates import image_uri_of, task_definition_named_in, task_definition_of
from turnout.errors import StepFailed

TASK: dict[str, Any] = {"family": "web", "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>"}]}


def read(document: Any, images: dict[str, str] | None = None) -> dict[str, Any]:
    return task_definition_of(json.dumps(document), images or {}, "Out/taskdef.json")


def test_the_placeholder_is_replaced_wherever_it_stands() -> None:
    task = {**TASK, "tags": [{"key": "image", "value": "<IMAGE1_NAME>"}]}
    read_task = read(task, {"IMAGE1_NAME": "repo@sha256:1"})
    assert read_task["containerDefinitions"][0]["image"] == "repo@sha256:1"
    assert read_task["tags"][0]["value"] == "repo@sha256:1"


def test_a_placeholder_that_is_not_there_is_told() -> None:
    with pytest.raises(StepFailed, match="does not contain the placeholder <IMAGE2>"):
        read(TASK, {"IMAGE2": "x"})


def test_what_an_export_adds_is_left_out() -> None:
    exported = {
        "taskDefinitionArn": "arn:aws:ecs:eu-central-1:0:task-definition/web:3",
        "revision": 3,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "x"}],
        "compatibilities": ["EC2"],
        "registeredAt": "2023-04-01T00:00:00Z",
        "registeredBy": "arn:aws:iam::0:root",
        "networkMode": None,
        "volumes": [],
    }
    container = {**TASK["containerDefinitions"][0], "cpu": None}
    assert read(TASK | exported | {"containerDefinitions": [container]}) == TASK | {"volumes": []}


def test_a_member_that_ecs_does_not_know_is_not_dropped_in_silence() -> None:
    wrong = {**TASK, "containerDefinitions": [{"name": "web", "image": "x", "portMapping": []}]}
    with pytest.raises(StepFailed, match="portMapping"):
        read(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"family": "web"}', 'Missing required parameter in input: "containerDefinitions"'),
        ("[]", "is not a JSON object"),
        ('{\n "family": "web",\n}', r"Out/taskdef.json:3 is not JSON"),
        ('{"family": 3, "containerDefinitions": []}', "family"),
    ],
)
def test_a_wrong_task_definition_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        task_definition_of(text, {}, "Out/taskdef.json")


def test_the_image_comes_from_image_detail() -> None:
    assert image_uri_of('{"ImageURI": "repo@sha256:1", "ImageTags": ["v1"]}', "d") == "repo@sha256:1"
    for text in ("{}", '{"ImageURI": ""}', "[]", '"x"'):
        with pytest.raises(StepFailed, match="ImageURI"):
            image_uri_of(text, "Out/imageDetail.json")


@pytest.mark.parametrize("quote", ["", '"'])
def test_an_app_spec_names_its_task_definition(quote: str) -> None:
    text = f"Resources:\n  - TargetService:\n      Properties:\n        TaskDefinition: {quote}<TASK_DEFINITION>{quote}"
    assert task_definition_named_in(text, "a") == "<TASK_DEFINITION>"


@pytest.mark.parametrize("text", ["", "a: b", "Resources: []", "Resources:\n - T: {Properties: {}}", "Resources: 3"])
def test_an_app_spec_without_a_task_definition_is_told(text: str) -> None:
    with pytest.raises(StepFailed, match="Properties name a TaskDefinition"):
        task_definition_named_in(text, "Out/appspec.yaml")


def test_an_app_spec_that_is_not_yaml_is_told_with_its_line() -> None:
    with pytest.raises(StepFailed, match=r"Out/appspec.yaml:2 is not YAML"):
        task_definition_named_in("a: b\nc: ]", "Out/appspec.yaml")

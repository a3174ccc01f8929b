"""taskdef.json, appspec.yaml and imageDetail.json: placeholders filled, then read as what they are. Pure.

Placeholders are replaced in the raw text, wherever they stand, and the result is parsed afterwards (the guide does not
say which; see docs/choices.md). A build may have put the image in place already: then there is none to replace.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from turnout.errors import StepFailed
from turnout.taskdef import registrable

PLACEHOLDER = "<TASK_DEFINITION>"


def image_uri_of(text: str, where: str) -> str:
    """ImageURI of an imageDetail.json."""
    detail = _json(text, where)
    uri = detail.get("ImageURI") if isinstance(detail, dict) else None
    if not isinstance(uri, str) or not uri:
        raise _wrong(f'{where} has no ImageURI: {{"ImageURI": "repository@sha256:…"}} is expected')
    return uri


def task_definition_of(text: str, images: dict[str, str], where: str) -> dict[str, Any]:
    """RegisterTaskDefinition's input from a taskdef.json. `images`: placeholder → image."""
    for placeholder, image in images.items():
        if f"<{placeholder}>" not in text:
            raise _wrong(f"{where} does not contain the placeholder <{placeholder}>")
        text = text.replace(f"<{placeholder}>", image)
    document = _json(text, where)
    if not isinstance(document, dict):
        raise _wrong(f"{where} is not a JSON object")
    given = registrable(document)
    faults = ParamValidator().validate(given, _register_shape())
    if faults.has_errors():
        raise _wrong(f"{where} is not what RegisterTaskDefinition takes: {faults.generate_report()}")
    return given


def task_definition_named_in(text: str, where: str) -> str:
    """What an AppSpec calls the task definition: PLACEHOLDER, or the one that somebody wrote there."""
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _wrong(f"{where}{line} is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise _wrong(f"{where} is not YAML: {error}") from error
    resources = (document.get("Resources") or document.get("resources")) if isinstance(document, dict) else None
    for resource in resources if isinstance(resources, list) else []:
        for target in resource.values() if isinstance(resource, dict) else ():
            properties = (target.get("Properties") or target.get("properties")) if isinstance(target, dict) else None
            if isinstance(properties, dict):
                named = properties.get("TaskDefinition") or properties.get("taskDefinition")
                if isinstance(named, str):
                    return named
    raise _wrong(f"{where} has no Resources with a TargetService whose Properties name a TaskDefinition")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(f"{where}:{error.lineno} is not JSON: {error.msg} (column {error.colno})") from error


@cache
def _register_shape() -> Shape:
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    assert shape is not None
    return shape


def _wrong(message: str) -> StepFailed:
    return StepFailed("ConfigurationError", message)

"""The AppSpec of a deployment, as CodeDeploy is handed it: which task definition, behind which container and port."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.errors import SetupError
from turnout.hookplace import place_in, with_place

Document = dict[str, Any]

HOOKS_AT = "# turnout.yml"
"""Where a parsed AppSpec keeps the HookPlace that its comment names: no key of YAML begins so."""


def find_appspec(folder: Path) -> Path:
    """appspec.yaml, .yml or .json of a folder. Raises SetupError."""
    for name in ("appspec.yaml", "appspec.yml", "appspec.json"):
        if (folder / name).is_file():
            return folder / name
    raise SetupError(f"{folder} has no appspec.yaml, appspec.yml or appspec.json: name it with --appspec.")


def parse(text: str, where: str) -> Document:
    """YAML or JSON. Raises SetupError that names `where` it is from, and the line if there is one."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise SetupError(f"{where}{place} is neither YAML nor JSON: {getattr(error, 'problem', error)}") from error
    if not isinstance(document, dict):
        raise SetupError(f"{where} is not an AppSpec: it must have version, Resources and, if there are any, Hooks.")
    try:
        hooks = place_in(text)
    except ValueError as error:
        raise SetupError(f"{where}: the comment on its hook file cannot be used: {error}") from error
    return document if hooks is None else {**document, HOOKS_AT: hooks}


def running(document: Document, task_definition: str, where: str) -> Document:
    """The same AppSpec with another task definition. Raises SetupError unless it names one ECS service."""
    resources = _member(document, "Resources")
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        raise SetupError(f"{where} must have Resources with exactly one entry, the target service.")
    name, service = next(iter(resources[0].items()), ("", None))
    properties = _member(service, "Properties")
    if not isinstance(service, dict) or not isinstance(properties, dict):
        raise SetupError(f"{where}: Resources[0].{name or '*'}.Properties is missing.")
    kept = {key: part for key, part in properties.items() if key.lower() != "taskdefinition"}
    changed = {key: part for key, part in service.items() if key.lower() != "properties"}
    changed["Properties"] = {"TaskDefinition": task_definition, **kept}
    others = {key: part for key, part in document.items() if key.lower() != "resources"}
    return {**others, "Resources": [{name: changed}]}


def _member(document: Any, name: str) -> Any:
    """Whatever its case, as CodeDeploy and `aws ecs deploy` read it."""
    if not isinstance(document, Mapping):
        return None
    return next((part for key, part in document.items() if str(key).lower() == name.lower()), None)


def made_for(task_definition: str, container: str, port: int) -> Document:
    """An AppSpec with nothing but what CodeDeploy must know."""
    info = {"ContainerName": container, "ContainerPort": port}
    properties = {"TaskDefinition": task_definition, "LoadBalancerInfo": info}
    return {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}]}


def revision_of(document: Document) -> Document:
    """The RevisionLocation of CreateDeployment. The place of its hook file becomes a comment again."""
    content = with_place(json.dumps({k: v for k, v in document.items() if k != HOOKS_AT}), document.get(HOOKS_AT))
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": sha256}}


def task_definition_of(document: Document) -> str | None:
    """The task definition that an AppSpec names."""
    resources = _member(document, "Resources")
    if not isinstance(resources, list) or not resources or not isinstance(resources[0], dict):
        return None
    service = next(iter(resources[0].values()), None)
    found = _member(_member(service, "Properties"), "TaskDefinition")
    return str(found) if found else None


def hooks_of(document: Document) -> list[tuple[str, str]]:
    """(lifecycle event, function) of an AppSpec's Hooks, in their order."""
    hooks = _member(document, "Hooks")
    named = [hook for hook in hooks if isinstance(hook, Mapping)] if isinstance(hooks, list) else []
    return [(str(event), str(function)) for hook in named for event, function in hook.items()]


def container_of(document: Document) -> tuple[str, int] | None:
    """(container, port) of its LoadBalancerInfo."""
    resources = _member(document, "Resources")
    service = next(iter(resources[0].values()), None) if isinstance(resources, list) and resources else None
    info = _member(_member(service, "Properties"), "LoadBalancerInfo")
    name, port = _member(info, "ContainerName"), _member(info, "ContainerPort")
    return (str(name), int(port)) if name and str(port).isdigit() else None

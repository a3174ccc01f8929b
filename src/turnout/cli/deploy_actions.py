"""The actions of pipelines that release a service: found, and led from CodeDeploy to ECS or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from turnout.cli.clients import Clients, pages
from turnout.cli.place import Place

Action = Mapping[str, Any]


def pipelines(clients: Clients) -> Iterator[dict[str, Any]]:
    """Every pipeline of the region, as GetPipeline declares it."""
    for summary in pages(clients("codepipeline"), "list_pipelines", "pipelines"):
        yield clients("codepipeline").get_pipeline(name=summary["name"])["pipeline"]


def is_of_group(action: Action, place: Place) -> bool:
    configuration = action.get("configuration", {})
    named = (configuration.get("ApplicationName"), configuration.get("DeploymentGroupName"))
    return action["actionTypeId"]["provider"] == "CodeDeployToECS" and named == (place.application, place.group)


def is_of_service(action: Action, cluster: str, service: str) -> bool:
    configuration = action.get("configuration", {})
    named = (configuration.get("ClusterName"), configuration.get("ServiceName"))
    return action["actionTypeId"]["provider"] == "ECS" and named == (cluster, service)


def actions(pipeline: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for stage in pipeline["stages"]:
        yield from stage["actions"]


def replaced(pipeline: Mapping[str, Any], change: Callable[[str, Action], Action]) -> dict[str, Any]:
    """The same pipeline with each action as `change` (told its stage) makes it. Pure."""
    stages = [
        {**stage, "actions": [change(stage["name"], action) for action in stage["actions"]]}
        for stage in pipeline["stages"]
    ]
    return {**pipeline, "stages": stages}


def former_action(clients: Clients, pipeline: Mapping[str, Any], stage: str, name: str, place: Place) -> Action | None:
    """The action of the same name as it released the group, in the newest version of the pipeline that had it."""
    for version in range(pipeline["version"] - 1, 0, -1):
        before = clients("codepipeline").get_pipeline(name=pipeline["name"], version=version)["pipeline"]
        for one in before["stages"]:
            for action in one["actions"]:
                if (one["name"], action["name"]) == (stage, name) and is_of_group(action, place):
                    return dict(action)
    return None

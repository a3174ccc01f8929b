"""Which release of a pipeline serves: the one whose deployment put it there, else the newest that brought the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.cli import appspec
from turnout.cli.clients import Clients, is_missing
from turnout.cli.controllers.revisions import spec_of
from turnout.cli.releases import Release, releases, with_actions
from turnout.cli.versions import short_name
from turnout.cli.view import Pipeline, Service
from turnout.errors import SetupError


def pipeline_of(
    clients: Clients, name: str, services: tuple[Service, ...], groups: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Pipeline:
    service = _deployed_by(clients, name, services, groups)
    listed = releases(clients, name, 100)
    latest = with_actions(clients, listed[0]) if listed else None
    serving = _serving(clients, service, [latest, *listed[1:]]) if service and latest else None
    return Pipeline(name, latest, serving, None if service is None else service.key)


def _serving(clients: Clients, service: Service, listed: list[Release | None]) -> Release | None:
    """Newest first; the first comes with its actions."""
    made_by = {service.deployment, service.revision} - {None}
    seen: list[Release] = []
    for release in filter(None, listed):
        # Almost always the latest, or the one before it: the search ends at once.
        seen.append(release if release.actions else with_actions(clients, release))
        if seen[-1].deployment in made_by:
            return seen[-1]
    # A migration and a `turnout deploy` put what a release had brought there by another deployment.
    return next((one for one in seen if _brought(clients, service, one) == service.task_definition), None)


def _brought(clients: Clients, service: Service, release: Release) -> str | None:
    """family:revision that a release put into service; None if it did not, or that can no longer be told."""
    deployment = release.deployment
    if deployment is None or release.status != "Succeeded":
        return None
    if deployment.startswith("d-"):
        try:
            info = clients("codedeploy").get_deployment(deploymentId=deployment)["deploymentInfo"]
            arn = appspec.task_definition_of(spec_of(clients, info) or {})
        except SetupError:
            return None
        except Exception as error:
            if is_missing(error, "DeploymentDoesNotExistException"):
                return None
            raise
        return short_name(arn) if arn else None
    ecs = clients("ecs")
    number = deployment.rpartition("/")[2]
    listed = ecs.list_service_deployments(cluster=service.cluster, service=service.name)["serviceDeployments"]
    for one in listed:
        if (revision := one["targetServiceRevisionArn"]).endswith(f"/{number}"):
            found = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
            return short_name(found[0]["taskDefinition"]) if found else None
    return None


def _deployed_by(
    clients: Clients, name: str, services: tuple[Service, ...], groups: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Service | None:
    """The service that a pipeline's CodeDeployToECS or ECS action releases."""
    declared = clients("codepipeline").get_pipeline(name=name)["pipeline"]
    for stage in declared["stages"]:
        for action in stage["actions"]:
            wanted = action.get("configuration", {})
            if action["actionTypeId"]["provider"] == "ECS":
                named = (wanted.get("ClusterName"), wanted.get("ServiceName"))
                return next((s for s in services if (s.cluster, s.name) == named), None)
            for (cluster, service_name), group in groups.items():
                is_it = (group["applicationName"], group["deploymentGroupName"]) == (
                    wanted.get("ApplicationName"),
                    wanted.get("DeploymentGroupName"),
                )
                if is_it:
                    return next((s for s in services if (s.cluster, s.name) == (cluster, service_name)), None)
    return None

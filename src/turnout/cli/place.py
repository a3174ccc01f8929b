"""Where a verb acts: the deployment group, its service, and the listeners and target groups between which it moves.

Found through AWS's API alone: by what was named, else as `bootstrap` names an application folder, else because there is
only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from turnout.cli.clients import Clients, is_missing, pages
from turnout.cli.git import git, is_repository
from turnout.cli.names import names_for
from turnout.errors import SetupError


@dataclass(frozen=True)
class Place:
    application: str
    group: str
    cluster: str
    service: str
    production: tuple[str, ...]
    """ARNs of the listeners that carry the users' traffic; `test` those that let green be looked at first."""
    test: tuple[str, ...]
    target_groups: Mapping[str, str]
    """Name → ARN, of the pair."""
    config: str
    """The name of the group's deployment configuration."""

    @property
    def name(self) -> str:
        return f"{self.application}/{self.group}"


@dataclass(frozen=True)
class Wanted:
    """What the options say; None where nothing was said."""

    application: str | None = None
    group: str | None = None
    cluster: str | None = None
    service: str | None = None
    folder: Path = Path()


def place_of_deployment(clients: Clients, deployment_id: str) -> Place:
    """Where a deployment acts. Raises SetupError if it is none of an ECS service."""
    try:
        info = clients("codedeploy").get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    except Exception as error:
        if is_missing(error, "DeploymentDoesNotExistException", "InvalidDeploymentIdException"):
            raise SetupError(f"there is no deployment {deployment_id} in {clients.region}.") from error
        raise
    found = find_group(clients, info["applicationName"], info["deploymentGroupName"])
    if found is None:
        raise SetupError(f"the deployment group of {deployment_id}, {info['deploymentGroupName']}, has been deleted.")
    return place(clients, found)


def groups(clients: Clients) -> Iterator[dict[str, Any]]:
    """Every deployment group of an ECS service in the region, as BatchGetDeploymentGroups has it."""
    codedeploy = clients("codedeploy")
    for application in pages(codedeploy, "list_applications", "applications"):
        names = pages(codedeploy, "list_deployment_groups", "deploymentGroups", applicationName=application)
        for start in range(0, len(names), 100):
            answer = codedeploy.batch_get_deployment_groups(
                applicationName=application, deploymentGroupNames=names[start : start + 100]
            )
            yield from (group for group in answer["deploymentGroupsInfo"] if group.get("ecsServices"))


def named_group(clients: Clients, wanted: Wanted) -> dict[str, Any]:
    """The deployment group that --application and --group name, or either of them. Raises SetupError."""
    if wanted.application is None:
        found = [group for group in groups(clients) if group["deploymentGroupName"] == wanted.group]
        return only(found, clients, "name its --application")
    if wanted.group is None:
        found = [group for group in groups(clients) if group["applicationName"] == wanted.application]
        return only(found, clients, "name one with --group")
    group = find_group(clients, wanted.application, wanted.group)
    if group is None or not group.get("ecsServices"):
        raise SetupError(
            f"there is no deployment group {wanted.group} of an ECS service in the application {wanted.application}"
            f" in {clients.region}."
        )
    return group


def only(found: list[dict[str, Any]], clients: Clients, how: str) -> dict[str, Any]:
    if len(found) == 1:
        return found[0]
    if not found:
        raise SetupError(f"there is no deployment group of an ECS service in {clients.region}.")
    listed = "".join(
        f"\n  --application {group['applicationName']} --group {group['deploymentGroupName']}" for group in found[:20]
    )
    raise SetupError(f"there are {len(found)} deployment groups in {clients.region}: {how}.{listed}")


def folder_names(folder: Path) -> Iterator[str]:
    """The names that `bootstrap` may have given: --name is in the remote's address, else the folder's own counts."""
    folder = folder.absolute()
    if is_repository(folder) and "turnout" in git(folder, "remote").splitlines():
        yield urlsplit(git(folder, "remote", "get-url", "turnout")).path.rpartition("/")[2]
    try:
        yield names_for(folder.name).name
    except SetupError:
        return


def find_group(clients: Clients, application: str, group: str) -> dict[str, Any] | None:
    try:
        answer = clients("codedeploy").get_deployment_group(applicationName=application, deploymentGroupName=group)
    except Exception as error:
        if is_missing(error, "ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"):
            return None
        raise
    info: dict[str, Any] = answer["deploymentGroupInfo"]
    return info


def place(clients: Clients, group: Mapping[str, Any]) -> Place:
    """Where a group acts. Raises SetupError if that is no ECS service."""
    if not group.get("ecsServices"):
        raise SetupError(f"the deployment group {group['deploymentGroupName']} releases no ECS service.")
    service = group["ecsServices"][0]
    pair = group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    names = [target_group["name"] for target_group in pair["targetGroups"]]
    found = clients("elbv2").describe_target_groups(Names=names)["TargetGroups"]
    return Place(
        application=group["applicationName"],
        group=group["deploymentGroupName"],
        cluster=service["clusterName"],
        service=service["serviceName"],
        production=tuple(pair["prodTrafficRoute"]["listenerArns"]),
        test=tuple(pair.get("testTrafficRoute", {}).get("listenerArns", [])),
        target_groups={target_group["TargetGroupName"]: target_group["TargetGroupArn"] for target_group in found},
        config=group["deploymentConfigName"],
    )

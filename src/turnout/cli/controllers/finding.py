"""Which controller a verb is to speak to: by a deployment's id, by what was named, or because there is only one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.cli.clients import Clients
from turnout.cli.controllers import Controller
from turnout.cli.controllers.codedeploy import CodeDeploy
from turnout.cli.controllers.native import Native
from turnout.cli.place import Place, Wanted, find_group, folder_names, groups, named_group, only, place_of_deployment
from turnout.cli.place import place as place_of_group
from turnout.cli.serving import find_service, services
from turnout.errors import SetupError


def find_controller(clients: Clients, wanted: Wanted, deployment: str | None = None) -> Controller:
    """Raises SetupError that says what there is to choose from."""
    if deployment is not None and deployment.startswith("d-"):
        return CodeDeploy(clients, place_of_deployment(clients, deployment))
    if deployment is not None and ":service-deployment/" in deployment:
        _, cluster, service, _ = deployment.rpartition(":")[2].split("/")
        return _of_service(clients, cluster, service)
    if wanted.application or wanted.group:
        return _of_group(clients, named_group(clients, wanted))
    if wanted.service or wanted.cluster:
        return _named_service(clients, wanted)
    for name in folder_names(wanted.folder):
        if group := find_group(clients, name, name):
            return _of_group(clients, group)
        if found := find_service(clients, name, name):
            return _steered(clients, found)
    known = list(groups(clients))
    if known:
        return _of_group(clients, only(known, clients, "name one with --application and --group"))
    return _only_service(list(services(clients)), clients)


def _of_group(clients: Clients, group: Mapping[str, Any]) -> Controller:
    """The group's service may have left it: `turnout migrate` leaves the group where it is."""
    place = place_of_group(clients, group)
    service = find_service(clients, place.cluster, place.service)
    if service is not None and _type(service) == "ECS":
        return Native(clients, service)
    return CodeDeploy(clients, place)


def _named_service(clients: Clients, wanted: Wanted) -> Controller:
    def is_it(cluster: str, service: str) -> bool:
        return wanted.service in (None, service) and wanted.cluster in (None, cluster)

    found = {
        key: group
        for group in groups(clients)
        for key in [(group["ecsServices"][0]["clusterName"], group["ecsServices"][0]["serviceName"])]
        if is_it(*key)
    }
    if found:
        return _of_group(clients, only(list(found.values()), clients, "name the --cluster too, or the --group"))
    named = [s for s in services(clients) if is_it(s["clusterArn"].rpartition("/")[2], s["serviceName"])]
    if not named:
        what = "/".join(name for name in (wanted.cluster, wanted.service) if name)
        raise SetupError(f"there is no service {what} in {clients.region}.")
    return _only_service(named, clients)


def _of_service(clients: Clients, cluster: str, name: str) -> Controller:
    service = find_service(clients, cluster, name)
    if service is None:
        raise SetupError(f"there is no service {cluster}/{name} in {clients.region}.")
    return _steered(clients, service)


def _only_service(found: list[dict[str, Any]], clients: Clients) -> Controller:
    if len(found) == 1:
        return _steered(clients, found[0])
    if not found:
        raise SetupError(f"there is no deployment group of an ECS service, and no service, in {clients.region}.")
    listed = "".join(
        f"\n  --cluster {s['clusterArn'].rpartition('/')[2]} --service {s['serviceName']}" for s in found[:20]
    )
    raise SetupError(f"there are {len(found)} services in {clients.region}: name one.{listed}")


def _steered(clients: Clients, service: Mapping[str, Any]) -> Controller:
    kind = _type(service)
    cluster, name = service["clusterArn"].rpartition("/")[2], service["serviceName"]
    if kind == "ECS":
        return Native(clients, service)
    if kind == "CODE_DEPLOY":
        if (place := group_of_service(clients, cluster, name)) is not None:
            return CodeDeploy(clients, place)
        raise SetupError(f"no deployment group in {clients.region} releases {cluster}/{name}.")
    raise SetupError(f"the service {cluster}/{name} has the deployment controller {kind}: whoever that is steers it.")


def group_of_service(clients: Clients, cluster: str, service: str) -> Place | None:
    """Where the deployment group of a service acts; None if it has none."""
    for group in groups(clients):
        one = group["ecsServices"][0]
        if (one["clusterName"], one["serviceName"]) == (cluster, service):
            return place_of_group(clients, group)
    return None


def _type(service: Mapping[str, Any]) -> str:
    return str(service.get("deploymentController", {}).get("type", "ECS"))

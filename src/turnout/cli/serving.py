"""What is serving: gathered through AWS's API alone, so that it is as true of AWS as of this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.cli.clients import Clients, is_missing, pages
from turnout.cli.controllers.native import Native
from turnout.cli.place import groups as deployment_groups
from turnout.cli.receipt_words import interruption, waits_for
from turnout.cli.released import pipeline_of
from turnout.cli.screen import clock_time
from turnout.cli.serves import left_in, listener_of, routes
from turnout.cli.view import UNDER_WAY, Service, Side, View


def look(clients: Clients) -> View:
    """Everything that serves in a region."""
    health = clients.told("health")
    listeners: dict[str, str] = _on_aws(clients) if health is None else health["listeners"]
    groups = {
        (g["ecsServices"][0]["clusterName"], g["ecsServices"][0]["serviceName"]): g for g in deployment_groups(clients)
    }
    described = tuple(
        _service(clients, service, groups.get((_last(service["clusterArn"]), service["serviceName"])), listeners)
        for service in services(clients)
    )
    pipelines = tuple(
        pipeline_of(clients, summary["name"], described, groups)
        for summary in pages(clients("codepipeline"), "list_pipelines", "pipelines")
    )
    return View(described, pipelines, tuple(_troubles(health or {})), (health or {}).get("runtime"))


def _troubles(health: Mapping[str, Any]) -> Iterator[str]:
    """What the engine says of itself, in sentences; nothing on AWS."""
    yield from health.get("troubles", [])
    for arn, why in health.get("silentListeners", {}).items():
        yield f"listener {arn.split('/')[-3]} does not answer: {why}"
    for one in health.get("interruptions", []):
        yield f"{clock_time(one['endedAt'] or one['servesAgainAt'])} {interruption(one)}"


def _on_aws(clients: Clients) -> dict[str, str]:
    """Listener ARN → where it answers, by the names of the load balancers."""
    elbv2 = clients("elbv2")
    return {
        listener["ListenerArn"]: f"{listener['Protocol'].lower()}://{balancer['DNSName']}:{listener['Port']}"
        for balancer in pages(elbv2, "describe_load_balancers", "LoadBalancers")
        for listener in pages(elbv2, "describe_listeners", "Listeners", LoadBalancerArn=balancer["LoadBalancerArn"])
        if "Port" in listener and "DNSName" in balancer
    }


def services(clients: Clients) -> Iterator[dict[str, Any]]:
    """Every service of every cluster, as DescribeServices has it."""
    ecs = clients("ecs")
    for cluster in pages(ecs, "list_clusters", "clusterArns"):
        arns = pages(ecs, "list_services", "serviceArns", cluster=cluster)
        for start in range(0, len(arns), 10):
            yield from ecs.describe_services(cluster=cluster, services=arns[start : start + 10])["services"]


def find_service(clients: Clients, cluster: str, name: str) -> dict[str, Any] | None:
    """An ACTIVE service; None if there is none of that name."""
    try:
        found = clients("ecs").describe_services(cluster=cluster, services=[name])["services"]
    except Exception as error:
        if is_missing(error, "ClusterNotFoundException"):
            return None
        raise
    return next((dict(service) for service in found if service["status"] == "ACTIVE"), None)


def _service(
    clients: Clients, service: Mapping[str, Any], group: Mapping[str, Any] | None, listeners: Mapping[str, str]
) -> Service:
    if is_native(service):
        return _native(clients, service, listeners)
    elbv2 = clients("elbv2")
    sets = service.get("taskSets", [])
    primary = next((task_set for task_set in sets if task_set["status"] == "PRIMARY"), None)
    serving = primary or service
    using = {
        b["targetGroupArn"]: s["status"] for s in sets for b in s.get("loadBalancers", []) if "targetGroupArn" in b
    }
    using |= {
        b["targetGroupArn"]: "PRIMARY" for b in service.get("loadBalancers", []) if not sets and "targetGroupArn" in b
    }
    described = {}
    if using or group:
        names = [g["name"] for pair in _pairs(group) for g in pair["targetGroups"]]
        wanted = {"Names": names} if names else {"TargetGroupArns": list(using)}
        described = {g["TargetGroupArn"]: g for g in elbv2.describe_target_groups(**wanted)["TargetGroups"]}
    production = [arn for pair in _pairs(group) for arn in pair.get("prodTrafficRoute", {}).get("listenerArns", [])]
    weights: Counter[str] = Counter()
    for listener in production:
        for route in routes(clients, listener):
            if route.weights.keys() & described.keys() and not weights:
                weights.update(route.shares)
    sides = tuple(
        Side(found["TargetGroupName"], weights[arn], _health(clients, arn), using.get(arn))
        for arn, found in described.items()
    )
    return Service(
        cluster=_last(service["clusterArn"]),
        name=service["serviceName"],
        desired=service["desiredCount"],
        running=service["runningCount"],
        task_definition=_last(serving["taskDefinition"]),
        image=_image(clients, serving["taskDefinition"]),
        deployment=serving.get("externalId"),
        sides=sides,
        addresses=tuple(listeners[arn] for arn in production if arn in listeners),
        last_deployment=_last_deployment(clients, group) if group else None,
        left=left_in(sets),
    )


def is_native(service: Mapping[str, Any]) -> bool:
    """Whether ECS itself shifts the traffic of a service."""
    return bool(service.get("deploymentConfiguration", {}).get("strategy", "ROLLING") != "ROLLING")


def _native(clients: Clients, service: Mapping[str, Any], listeners: Mapping[str, str]) -> Service:
    controller = Native(clients, service)
    serving, newest = controller.serving(), controller.newest()
    rules, weights = controller.weights(service)
    total = sum(weights.values())
    used = controller.groups_in_use(service)
    sides = tuple(
        Side(
            target_group=arn.split("/")[1],
            weight=round(100 * weight / total) if total else 0,
            health=_health(clients, arn),
            task_set="PRIMARY" if arn == serving.target_group else "ACTIVE" if arn in used else None,
        )
        for arn, weight in weights.items()
    )
    last: dict[str, Any] | None = None
    if newest is not None:
        sight = controller.look(newest)
        last = {"deploymentId": newest, "status": sight.status, "creator": sight.creator}
        last |= {"error": sight.error} if sight.is_over and sight.error else {}
        last |= {"waits_for": sight.waits} if not sight.is_over else {}
    return Service(
        cluster=controller.cluster,
        name=controller.service,
        desired=service["desiredCount"],
        running=service["runningCount"],
        task_definition=_last(serving.task_definition),
        image=_image(clients, serving.task_definition),
        deployment=serving.deployment,
        sides=sides,
        addresses=tuple(listeners[listener_of(rule)] for rule in rules if listener_of(rule) in listeners),
        last_deployment=last,
        revision=serving.revision,
    )


def _health(clients: Clients, group_arn: str) -> Counter[str]:
    """Targets by state."""
    described = clients("elbv2").describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
    return Counter(target["TargetHealth"]["State"] for target in described)


def weights_of(listener: Mapping[str, Any]) -> dict[str, int]:
    """Target group ARN → share of 100 at a listener's default action. Pure."""
    for action in listener.get("DefaultActions", []):
        if action["Type"] == "forward":
            weights = {g["TargetGroupArn"]: g.get("Weight", 1) for g in action["ForwardConfig"]["TargetGroups"]}
            total = sum(weights.values())
            return {arn: round(100 * weight / total) if total else 0 for arn, weight in weights.items()}
    return {}


def _pairs(group: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = (group or {}).get("loadBalancerInfo", {}).get("targetGroupPairInfoList", [])
    return pairs


def _image(clients: Clients, task_definition: str) -> str:
    described = clients("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    return str(described["containerDefinitions"][0]["image"])


def _last_deployment(clients: Clients, group: Mapping[str, Any]) -> dict[str, Any] | None:
    codedeploy = clients("codedeploy")
    listed = codedeploy.list_deployments(
        applicationName=group["applicationName"], deploymentGroupName=group["deploymentGroupName"]
    )["deployments"]
    if not listed:
        return None
    info = codedeploy.get_deployment(deploymentId=listed[0])["deploymentInfo"]
    found = {"deploymentId": listed[0], "status": info["status"], "creator": info.get("creator")}
    if info["status"] in UNDER_WAY:
        found["waits_for"] = waits_for(clients.told(f"receipts/{clients.region}/{listed[0]}"))
    elif error := info.get("errorInformation"):
        found["error"] = f"{error['code']}: {error['message']}"
    return found


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]

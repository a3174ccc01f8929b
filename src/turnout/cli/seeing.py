"""Looking at a deployment through AWS's API, so that AWS shows it as here; an engine adds what it alone knows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from turnout.cli.clients import Clients
from turnout.cli.place import Place
from turnout.cli.receipt_words import Receipt, waits_for
from turnout.cli.sight import Carried, Sight, sight_of

METRICS_EVERY_S = 30.0
"""Between two questions to CloudWatch, which has a datapoint a minute."""
METRICS = {"requests": "RequestCount", "errors": "HTTPCode_Target_5XX_Count"}


class Seer:
    """Looks at the deployments of one place."""

    def __init__(self, clients: Clients, place: Place) -> None:
        self._clients = clients
        self._place = place
        self._metrics: dict[str, Carried] = {}
        self._metrics_at = float("-inf")

    def look(self, deployment_id: str) -> Sight:
        codedeploy, place = self._clients("codedeploy"), self._place
        info = codedeploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        target = codedeploy.get_deployment_target(
            deploymentId=deployment_id, targetId=f"{place.cluster}:{place.service}"
        )["deploymentTarget"]["ecsTarget"]
        receipt = self._clients.told(f"receipts/{self._clients.region}/{deployment_id}")
        carried = carried_of(receipt) if self._clients.is_engine else self._measured(info, target)
        return sight_of(info, target, self._health(), carried, waits_for(receipt))

    def _health(self) -> dict[str, Counter[str]]:
        """Targets by state, by name of the target group."""
        elbv2 = self._clients("elbv2")
        return {
            name: Counter(
                found["TargetHealth"]["State"]
                for found in elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            )
            for name, arn in self._place.target_groups.items()
        }

    def _measured(self, info: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Carried]:
        """By colour, from CloudWatch. A user who may not read metrics sees a deployment without them."""
        from botocore.exceptions import ClientError

        if time.monotonic() < self._metrics_at + METRICS_EVERY_S:
            return self._metrics
        self._metrics_at = time.monotonic()
        colours = {found["targetGroup"]["name"]: found["taskSetLabel"].lower() for found in target["taskSetsInfo"]}
        try:
            by_group = metrics(self._clients, self._place.target_groups, info["createTime"])
        except ClientError:
            return self._metrics
        self._metrics = {colours[name]: carried for name, carried in by_group.items() if name in colours}
        return self._metrics


def carried_of(receipt: Receipt | None) -> dict[str, Carried]:
    """By colour, from the figures of a receipt: the final ones, else those of its samples so far. Pure."""
    flows: dict[str, list[Mapping[str, Any]]] = {}
    receipt = receipt or {}
    for sample in [receipt["traffic"]] if receipt.get("traffic") else receipt.get("samples") or []:
        for colour in ("blue", "green"):
            if sample.get(colour):
                flows.setdefault(colour, []).append(sample[colour])
    return {
        colour: Carried(*(sum(flow[name] for flow in found) for name in ("requests", "errors", "failed")))
        for colour, found in flows.items()
    }


def metrics(clients: Clients, target_groups: Mapping[str, str], since: datetime) -> dict[str, Carried]:
    """What each target group has carried since, by its name, as CloudWatch has it so far."""
    described = clients("elbv2").describe_target_groups(TargetGroupArns=list(target_groups.values()))["TargetGroups"]
    queries: list[dict[str, Any]] = []
    wanted: dict[str, tuple[str, str]] = {}
    for number, group in enumerate(described):
        for balancer in group["LoadBalancerArns"][:1]:
            dimensions = [
                {"Name": "TargetGroup", "Value": group["TargetGroupArn"].rpartition(":")[2]},
                {"Name": "LoadBalancer", "Value": balancer.partition(":loadbalancer/")[2]},
            ]
            for figure, metric in METRICS.items():
                name = f"{figure}{number}"
                wanted[name] = (group["TargetGroupName"], figure)
                about = {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dimensions}
                queries.append({"Id": name, "MetricStat": {"Metric": about, "Period": 60, "Stat": "Sum"}})
    if not queries:
        return {}
    found: dict[str, Counter[str]] = {}
    answer = clients("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=since, EndTime=datetime.now(UTC)
    )
    for result in answer["MetricDataResults"]:
        group, figure = wanted[result["Id"]]
        found.setdefault(group, Counter())[figure] += round(sum(result["Values"]))
    return {group: Carried(figures["requests"], figures["errors"]) for group, figures in found.items()}


def newest(clients: Clients, place: Place, statuses: Sequence[str] = ()) -> str | None:
    """The newest deployment of a group, of these statuses if there are any; None if there is none."""
    only = {"includeOnlyStatuses": list(statuses)} if statuses else {}
    listed: list[str] = clients("codedeploy").list_deployments(
        applicationName=place.application, deploymentGroupName=place.group, **only
    )["deployments"]
    return listed[0] if listed else None

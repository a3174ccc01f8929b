"""Who serves the users of a service, and whether that is one version alone: the truth behind every exit status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnout.cli.clients import Clients, pages
from turnout.cli.place import Place
from turnout.errors import SetupError


@dataclass(frozen=True)
class Serving:
    """The primary task set of a service, and where its listeners lead."""

    deployment: str | None
    """The deployment that made it; None for what the service was created with."""
    task_definition: str
    target_group: str
    astray: tuple[str, ...]
    """Routes of the production listener that lead, in part at least, elsewhere: "listener/…: 10 % to web-green"."""

    def is_of(self, deployment_id: str) -> bool:
        """Whether what a deployment brought is what every request gets."""
        return self.deployment == deployment_id and not self.astray


def who_serves(clients: Clients, place: Place) -> Serving:
    """Raises SetupError if nothing does."""
    services = clients("ecs").describe_services(cluster=place.cluster, services=[place.service])["services"]
    sets = services[0].get("taskSets", []) if services else []
    primary = next((task_set for task_set in sets if task_set["status"] == "PRIMARY"), None)
    if primary is None or not primary.get("loadBalancers"):
        raise SetupError(
            f"the service {place.service} in {place.cluster} has no PRIMARY task set behind a load balancer."
        )
    group = primary["loadBalancers"][0]["targetGroupArn"]
    return Serving(
        deployment=primary.get("externalId"),
        task_definition=primary["taskDefinition"],
        target_group=group,
        astray=tuple(
            f"{route.name}: {share:.3g} % to {elsewhere}"
            for listener in place.production
            for route in routes(clients, listener)
            for elsewhere, share in route.elsewhere(group, place)
        ),
    )


@dataclass(frozen=True)
class Route:
    """A place of a listener that forwards to one of the pair: its default action, or the rule `rule`."""

    listener: str
    rule: str | None
    actions: tuple[dict[str, Any], ...]
    weights: Mapping[str, int]

    @property
    def name(self) -> str:
        return (self.rule or self.listener).rpartition(":")[2]

    def elsewhere(self, group: str, place: Place) -> Iterator[tuple[str, float]]:
        """(target group, percent) of what does not go to `group`, where the route concerns the pair."""
        total = sum(self.weights.values())
        names = {arn: name for name, arn in place.target_groups.items()}
        if not self.weights.keys() & names.keys():
            return
        for arn, weight in self.weights.items():
            if arn != group and weight:
                yield names.get(arn, arn), 100 * weight / total


def routes(clients: Clients, listener: str) -> Iterator[Route]:
    """What a listener forwards to, its rules included; the default rule is the listener's default action."""
    elbv2 = clients("elbv2")
    for found in elbv2.describe_listeners(ListenerArns=[listener])["Listeners"]:
        yield from _routes(listener, None, found["DefaultActions"])
    for rule in pages(elbv2, "describe_rules", "Rules", ListenerArn=listener):
        if not rule["IsDefault"]:
            yield from _routes(listener, rule["RuleArn"], rule["Actions"])


def _routes(listener: str, rule: str | None, actions: list[dict[str, Any]]) -> Iterator[Route]:
    for action in actions:
        if action["Type"] == "forward":
            groups = action.get("ForwardConfig", {}).get("TargetGroups")
            groups = groups or [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}]
            weights = {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}
            yield Route(listener, rule, tuple(actions), weights)


def lead_all_to(clients: Clients, place: Place, group: str) -> list[str]:
    """Give a target group of the pair everything, on every route that holds the pair: the names of those moved."""
    other = next(arn for arn in place.target_groups.values() if arn != group)
    moved = []
    for listener in (*place.production, *place.test):
        for route in list(routes(clients, listener)):
            if not route.weights.get(other):
                continue
            weights = [{"TargetGroupArn": group, "Weight": 100}, {"TargetGroupArn": other, "Weight": 0}]
            forward = {"TargetGroups": weights, "TargetGroupStickinessConfig": {"Enabled": False}}
            actions = [
                {"Type": "forward", "ForwardConfig": forward} | ({"Order": a["Order"]} if "Order" in a else {})
                if a["Type"] == "forward"
                else a
                for a in route.actions
            ]
            if route.rule is None:
                clients("elbv2").modify_listener(ListenerArn=listener, DefaultActions=actions)
            else:
                clients("elbv2").modify_rule(RuleArn=route.rule, Actions=actions)
            moved.append(route.name)
    return moved

"""Who serves the users of a service, and whether that is one version alone: the truth behind every exit status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.cli.clients import Clients, pages
from turnout.cli.place import Place
from turnout.cli.versions import short_name
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
    revision: str | None = None
    """What ECS calls what it has deployed by itself: ecs-svc/…."""
    left: tuple[str, ...] = ()
    """Task sets that are newer than the primary one, and have tasks: "web:5 of d-…". A stop leaves them."""

    @property
    def is_alone(self) -> bool:
        return not self.astray and not self.left

    @property
    def rest(self) -> str:
        """What there is beside the version that serves, in words."""
        left = [f"{one} still has tasks" for one in self.left]
        return "; ".join([*self.astray, *left])

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
            for elsewhere, share in route.elsewhere(group, place.target_groups)
        ),
        left=left_in(sets),
    )


def left_in(sets: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Task sets that are newer than the primary one. An older one is blue of a group that keeps it (KEEP_ALIVE)."""
    since = next((one["createdAt"] for one in sets if one["status"] == "PRIMARY"), None)
    return tuple(
        f"{short_name(one['taskDefinition'])} of {one.get('externalId', one['id'])}"
        for one in sets
        if since is not None and one["status"] == "ACTIVE" and one["createdAt"] > since
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

    @property
    def shares(self) -> dict[str, int]:
        """Target group ARN → share of 100."""
        total = sum(self.weights.values())
        return {arn: round(100 * weight / total) if total else 0 for arn, weight in self.weights.items()}

    def elsewhere(self, group: str, pair: Mapping[str, str]) -> Iterator[tuple[str, float]]:
        """(target group, percent) of what does not go to `group`, where the route concerns the pair (name → ARN)."""
        total = sum(self.weights.values())
        names = {arn: name for name, arn in pair.items()}
        if not self.weights.keys() & names.keys():
            return
        for arn, weight in self.weights.items():
            if arn != group and weight:
                yield names.get(arn, arn), 100 * weight / total


def routes(clients: Clients, listener: str) -> Iterator[Route]:
    """What a listener forwards to, its rules included; the default rule is the listener's default action."""
    for rule in pages(clients("elbv2"), "describe_rules", "Rules", ListenerArn=listener):
        yield from _routes(listener, rule)


def routes_of_rule(clients: Clients, rule_arn: str) -> Iterator[Route]:
    """What one rule forwards to."""
    for rule in clients("elbv2").describe_rules(RuleArns=[rule_arn])["Rules"]:
        yield from _routes(listener_of(rule_arn), rule)


def listener_of(rule_arn: str) -> str:
    """…:listener-rule/app/web/L/P/R is a rule of …:listener/app/web/L/P. Pure."""
    return rule_arn.rpartition("/")[0].replace(":listener-rule/", ":listener/", 1)


def _routes(listener: str, rule: Mapping[str, Any]) -> Iterator[Route]:
    for action in rule["Actions"]:
        if action["Type"] == "forward":
            groups = action.get("ForwardConfig", {}).get("TargetGroups")
            groups = groups or [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}]
            weights = {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}
            yield Route(listener, None if rule["IsDefault"] else rule["RuleArn"], tuple(rule["Actions"]), weights)


def lead_all_to(clients: Clients, found: Iterable[Route], group: str, other: str) -> Iterator[str]:
    """Give a target group of a pair everything, on every route that leads to the other: the names of those moved."""
    for route in found:
        if route.weights.get(other):
            lead(clients, route, {group: 100, other: 0})
            yield route.name


def lead(clients: Clients, route: Route, weights: Mapping[str, int]) -> None:
    """Set the weights of a route, in the shape in which AWS's own controllers write them."""
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    forward = {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}
    actions = [
        {"Type": "forward", "ForwardConfig": forward} | ({"Order": a["Order"]} if "Order" in a else {})
        if a["Type"] == "forward"
        else a
        for a in route.actions
    ]
    if route.rule is None:
        clients("elbv2").modify_listener(ListenerArn=route.listener, DefaultActions=actions)
    else:
        clients("elbv2").modify_rule(RuleArn=route.rule, Actions=actions)

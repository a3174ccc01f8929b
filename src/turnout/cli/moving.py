"""All that a migration from CodeDeploy to ECS is going to do, found out before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout.cli import appspec
from turnout.cli.clients import Clients
from turnout.cli.controllers.codedeploy import CodeDeploy
from turnout.cli.controllers.revisions import spec_of
from turnout.cli.deploy_actions import actions, is_of_group, pipelines
from turnout.cli.infrastructure_role import find_role
from turnout.cli.migration import balancers_for, configuration_for, notes_for
from turnout.cli.place import Place
from turnout.cli.serves import Route, routes
from turnout.cli.serving import find_service
from turnout.errors import SetupError


@dataclass(frozen=True)
class Move:
    """All that is known before anything is changed. `role_arn` is None if the role is to be created."""

    role: str
    role_arn: str | None
    functions: tuple[str, ...]
    service: Mapping[str, Any]
    live: str
    other: str
    routes: tuple[Route, ...]
    """Of the production listener and the test listener: to lead to both groups, as ECS asks for."""
    change: Mapping[str, Any]
    pipelines: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


def prepare(controller: CodeDeploy, role: str | None, takes_hooks: bool | None) -> Move:
    """Raises SetupError if the service is not at rest, or ECS cannot do what CodeDeploy does."""
    clients, place = controller.clients, controller.place
    if running := controller.newest(is_under_way=True):
        raise SetupError(f"{running} is under way: let it end, or `turnout stop` it first.")
    serving = controller.serving()
    if not serving.is_alone:
        raise SetupError(f"{serving.rest}: `turnout rollback` ends that first.")
    group = clients("codedeploy").get_deployment_group(
        applicationName=place.application, deploymentGroupName=place.group
    )["deploymentGroupInfo"]
    hooks = _hooks(controller, takes_hooks)
    service = find_service(clients, place.cluster, place.service)
    assert service is not None
    (other,) = (arn for arn in place.target_groups.values() if arn != serving.target_group)
    production = _route(clients, place, place.production[0])
    test = _route(clients, place, place.test[0]) if place.test else None
    role = role or f"{place.service}-ecs"
    role_arn = find_role(clients, role)
    arn_parts = service["serviceArn"].split(":")
    functions_arn = ":".join([*arn_parts[:2], "lambda", *arn_parts[3:5], "function", ""])
    assumed = role_arn or ":".join([*arn_parts[:2], "iam", "", arn_parts[4], f"role/{role}"])
    shift = controller.shift()
    configuration = configuration_for(group, shift, hooks, assumed, functions_arn)
    rules = (_rule(clients, production), _rule(clients, test) if test else None)
    primary = next(one for one in service["taskSets"] if one["status"] == "PRIMARY")
    return Move(
        role=role,
        role_arn=role_arn,
        functions=tuple(h["hookTargetArn"] for h in configuration.get("lifecycleHooks", []) if "hookTargetArn" in h),
        service=service,
        live=serving.target_group,
        other=other,
        routes=tuple(route for route in (production, test) if route),
        change={
            "deploymentController": {"type": "ECS"},
            "deploymentConfiguration": configuration,
            "loadBalancers": [balancers_for(primary["loadBalancers"][0], serving.target_group, other, rules, assumed)],
        },
        pipelines=tuple(
            found for found in pipelines(clients) if any(is_of_group(action, place) for action in actions(found))
        ),
        notes=tuple(notes_for(group, shift, hooks)),
    )


def _hooks(controller: CodeDeploy, is_taken: bool | None) -> list[tuple[str, str]]:
    """The hooks of the AppSpec that was deployed last. Raises SetupError if nobody has said what becomes of them."""
    newest = controller.newest()
    if newest is None:
        return []
    info = controller.clients("codedeploy").get_deployment(deploymentId=newest)["deploymentInfo"]
    hooks = appspec.hooks_of(spec_of(controller.clients, info) or {})
    if hooks and is_taken is None:
        named = ", ".join(f"{event}: {function}" for event, function in hooks)
        raise SetupError(
            f"the AppSpec of {newest} has hooks ({named}). With ECS a function returns its verdict, so they have to be"
            " adapted first (docs/migrate.md): then --hooks. --no-hooks leaves them behind."
        )
    return hooks if is_taken else []


def _route(clients: Clients, place: Place, listener: str) -> Route:
    """The one rule of a listener that forwards to the pair. Raises SetupError if there are several: ECS moves one."""
    pair = set(place.target_groups.values())
    found = [route for route in routes(clients, listener) if pair & route.weights.keys()]
    if len(found) != 1:
        raise SetupError(
            f"{len(found)} rules of {listener} forward to {' or '.join(place.target_groups)}, and ECS moves exactly"
            f" one: {', '.join(route.name for route in found) or 'none'}."
        )
    return found[0]


def _rule(clients: Clients, route: Route) -> str:
    """Its ARN; a listener's default action is the rule that is the default one."""
    if route.rule is not None:
        return route.rule
    rules = clients("elbv2").describe_rules(ListenerArn=route.listener)["Rules"]
    return str(next(rule["RuleArn"] for rule in rules if rule["IsDefault"]))

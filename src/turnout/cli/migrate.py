"""migrate: a service goes from CodeDeploy to ECS's own blue/green, and back. Rehearsed unless --apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from turnout.cli.clients import Clients, is_missing
from turnout.cli.controllers.codedeploy import CodeDeploy
from turnout.cli.controllers.finding import group_of_service
from turnout.cli.controllers.native import Native
from turnout.cli.deploy_actions import actions, former_action, is_of_group, is_of_service, pipelines, replaced
from turnout.cli.difference import difference
from turnout.cli.infrastructure_role import create_role
from turnout.cli.migration import action_for_ecs
from turnout.cli.moving import Move, prepare
from turnout.cli.place import Place
from turnout.cli.serves import lead
from turnout.cli.watching import Exit, follow
from turnout.cli.where import Where, at_a_place
from turnout.errors import SetupError

CHANGED = ("deploymentController", "deploymentConfiguration", "loadBalancers")


@at_a_place
def migrate(
    where: Where,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else it is only rehearsed.")] = False,
    back: Annotated[bool, typer.Option("--back", help="From ECS back to the deployment group of CodeDeploy.")] = False,
    role: Annotated[
        str | None, typer.Option(help="Role for ECS to move weights by.", show_default="SERVICE-ecs, made if missing")
    ] = None,
    hooks: Annotated[
        bool | None,
        typer.Option("--hooks/--no-hooks", help="Whether the AppSpec's functions, adapted, become lifecycle hooks."),
    ] = None,
) -> None:
    """Lead a service from CodeDeploy to ECS's own blue/green. Exit status 0 only if it serves by what was asked for."""
    controller, clients = where.find(), where.clients
    if isinstance(controller, Native):
        raise SystemExit(_of_native(clients, controller, apply=apply, back=back))
    if back:
        raise SetupError(f"{controller.name} is released by CodeDeploy already.")
    assert isinstance(controller, CodeDeploy)
    move = prepare(controller, role, hooks)
    _show(controller, move)
    if not apply:
        print("Rehearsed: nothing was changed. --apply does it.")
        return
    raise SystemExit(_apply(controller, move))


def _show(controller: CodeDeploy, move: Move) -> None:
    place, count = controller.place, move.service["desiredCount"]
    print(f"{controller.cluster}/{controller.service}: from CodeDeploy ({controller.name}) to ECS itself")
    before = {member: move.service.get(member) for member in CHANGED}
    for line in difference(before, move.change, ("by CodeDeploy", "by ECS")):
        print(f"  {line}")
    other = move.other.split("/")[1]
    steps = [
        (f"the role {move.role} is {'there' if move.role_arn else 'created'}", "delete it"),
        (f"{' and '.join(r.name for r in move.routes)} lead to {' and '.join(place.target_groups)}, 100 and 0", "none"),
        (
            f"UpdateService: ECS starts {count} tasks of the version that serves behind {other}, leads all traffic"
            " there at once when they are healthy, bakes, and stops CodeDeploy's tasks",
            "until then `turnout stop`; afterwards `turnout migrate --back`, which moves nothing",
        ),
    ]
    steps += [
        (
            f"the pipeline {one['name']} deploys by ECS; its build has to leave imagedefinitions.json",
            "`turnout migrate --back` takes the action from the version before",
        )
        for one in move.pipelines
    ]
    steps.append((f"the deployment group {place.name} stays, unused", "delete it when you are sure"))
    for number, (step, way_back) in enumerate(steps, start=1):
        print(f"  {number:>2}  {step}\n      back: {way_back}")
    for note in move.notes:
        print(f"  note: {note}")


def _apply(controller: CodeDeploy, move: Move) -> int:
    """Each step looks first, so that it can be done again after an interruption."""
    clients = controller.clients
    if move.role_arn is None:
        print(f"created {create_role(clients, move.role, move.functions)}", flush=True)
    for route in move.routes:
        if route.weights != {move.live: 100, move.other: 0}:
            lead(clients, route, {move.live: 100, move.other: 0})
            print(f"{route.name} leads to both target groups", flush=True)
    native = Native(clients, {**move.service, "deploymentConfiguration": move.change["deploymentConfiguration"]})
    former = native.newest()
    clients("ecs").update_service(cluster=controller.cluster, service=controller.service, **move.change)
    begun = native.begun_after(former)
    print(f"ECS releases {native.name} now: {begun} moves it to tasks of its own", flush=True)
    if (end := follow(native, begun)) is not Exit.SERVES:
        if end is Exit.UNDER_WAY:
            print("`turnout migrate --apply` goes on when it has ended.")
        else:
            print("What served before serves. `turnout migrate --back` leads the service back to CodeDeploy.")
        return int(end)
    _lead_pipelines_to_ecs(clients, native, controller.place)
    return int(end)


def _of_native(clients: Clients, native: Native, *, apply: bool, back: bool) -> int:
    """Finish a migration that was interrupted, or lead it back."""
    place = group_of_service(clients, native.cluster, native.service)
    if place is None:
        raise SetupError(f"{native.name} is released by ECS, and no deployment group of CodeDeploy is left for it.")
    if running := native.newest(is_under_way=True):
        if back or not apply:
            raise SetupError(f"{running} is under way: `turnout watch` follows it, `turnout stop` rolls it back.")
        if (end := follow(native, running)) is not Exit.SERVES:
            return int(end)
    if back:
        return _back(clients, native, place, apply=apply)
    waiting = [p["name"] for p in pipelines(clients) if any(is_of_group(action, place) for action in actions(p))]
    if not waiting:
        raise SetupError(f"{native.name} is released by ECS already; --back leads it to {place.name} again.")
    if not apply:
        print(f"Left to do: {', '.join(waiting)} still deploys by CodeDeploy. --apply does it.")
        return 1
    _lead_pipelines_to_ecs(clients, native, place)
    return 0


def _lead_pipelines_to_ecs(clients: Clients, native: Native, place: Place) -> None:
    def to_ecs(stage: str, action: Mapping[str, Any]) -> Mapping[str, Any]:
        return action_for_ecs(action, native.cluster, native.service) if is_of_group(action, place) else action

    for pipeline in pipelines(clients):
        if any(is_of_group(action, place) for action in actions(pipeline)):
            clients("codepipeline").update_pipeline(pipeline=replaced(pipeline, to_ecs))
            print(f"{pipeline['name']} deploys by ECS: its build has to leave imagedefinitions.json (docs/migrate.md)")


def _back(clients: Clients, native: Native, place: Place, *, apply: bool) -> int:
    def to_codedeploy(pipeline: Mapping[str, Any], stage: str, action: Mapping[str, Any]) -> Mapping[str, Any]:
        if not is_of_service(action, native.cluster, native.service):
            return action
        return former_action(clients, pipeline, stage, action["name"], place) or action

    changed = []
    for pipeline in pipelines(clients):
        wanted = replaced(pipeline, lambda stage, action, p=pipeline: to_codedeploy(p, stage, action))  # type: ignore[misc]
        if wanted != pipeline:
            changed.append(wanted)
    print(f"{native.name}: from ECS itself back to CodeDeploy ({place.name}); what serves goes on serving.")
    for one in changed:
        print(f"  the pipeline {one['name']} deploys by CodeDeploy again")
    if not apply:
        print("Rehearsed: nothing was changed. --apply does it.")
        return 0
    try:
        clients("ecs").update_service(
            cluster=native.cluster, service=native.service, deploymentController={"type": "CODE_DEPLOY"}
        )
    except Exception as error:
        if is_missing(error, "InvalidParameterException"):
            raise SetupError(f"ECS refuses: {error.response['Error']['Message']}") from error  # type: ignore[attr-defined]
        raise
    for one in changed:
        clients("codepipeline").update_pipeline(pipeline=one)
    serving = CodeDeploy(clients, place).serving()
    print(f"{serving.task_definition.rpartition('/')[2]} serves; {place.name} releases it.")
    return int(not serving.is_alone)

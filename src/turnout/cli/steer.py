"""watch, promote and stop: a deployment is seen to its end, told to go on, or ended."""

from __future__ import annotations

from typing import Annotated

import typer

from turnout.cli.controllers import Controller
from turnout.cli.sight import Sight
from turnout.cli.watching import Exit, follow
from turnout.cli.watching import stop as ask_to_stop
from turnout.cli.where import Where, at_a_place
from turnout.errors import SetupError

Deployment = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]", help="d-…, or the id or ARN of a service deployment.", show_default="the one that is under way"
    ),
]


@at_a_place
def watch(where: Where, deployment_id: Deployment = None) -> None:
    """Follow a deployment. Exit status 0 only if what it brought is what serves in the end; 3 if left running."""
    controller = where.find(deployment_id)
    found = deployment_id or controller.newest(is_under_way=True) or controller.newest()
    if found is None:
        raise SetupError(f"nothing has been deployed to {controller.name} yet.")
    raise SystemExit(follow(controller, controller.look(found).deployment))


@at_a_place
def promote(
    where: Where,
    deployment_id: Deployment = None,
    now: Annotated[
        bool, typer.Option("--now", help="End the wait in which blue is kept, too: there is no way back in one move.")
    ] = False,
) -> None:
    """Lead the traffic to the green that waits for it, and follow. Exit status as `watch`."""
    controller, found = _under_way(where, deployment_id)
    sight = controller.look(found)
    if sight.is_over or not (sight.is_ready or now):
        raise SetupError(_why_not(sight))
    asked: set[tuple[str, str]] = set()

    def hurry(sight: Sight) -> None:
        is_wanted = now or (sight.is_ready and not asked)
        if sight.asks and is_wanted and (key := (sight.deployment, sight.asks)) not in asked:
            asked.add(key)
            if controller.go_on(sight):
                print(f"{sight.deployment}: told to go on from its {_wait(sight)}.", flush=True)

    if now and sight.asks is None:
        print(f"{sight.waits or sight.status}: AWS has no way to shorten this. What follows will not wait for you.")
    raise SystemExit(follow(controller, sight.deployment, hurry))


@at_a_place
def stop(
    where: Where,
    deployment_id: Deployment = None,
    rollback: Annotated[
        bool, typer.Option(help="Lead all traffic back to what served before; else all stays as it is.")
    ] = True,
) -> None:
    """Stop a deployment. Exit status 0 if it was stopped and, with --rollback, what served before serves everyone."""
    controller, found = _under_way(where, deployment_id)
    if not ask_to_stop(controller, found, roll_back=rollback):
        raise SystemExit(1)
    raise SystemExit(stopped(controller, found, rollback=rollback))


def stopped(controller: Controller, deployment_id: str, *, rollback: bool) -> int:
    """Follow a deployment that was asked to stop: the exit status."""
    status = follow(controller, deployment_id, is_stopping=True)
    if status is Exit.UNDER_WAY:
        return int(status)
    if rollback:
        return int(not controller.serving().is_alone or status is Exit.SERVES)
    return int(controller.look(deployment_id).status != "Stopped")


def _under_way(where: Where, deployment_id: str | None) -> tuple[Controller, str]:
    """Raises SetupError if nothing is."""
    controller = where.find(deployment_id)
    found = deployment_id or controller.newest(is_under_way=True)
    if found is None:
        raise SetupError(
            f"no deployment of {controller.name} is under way. `turnout watch` shows how the last one ended."
        )
    return controller, controller.look(found).deployment


def _why_not(sight: Sight) -> str:
    if sight.is_over:
        return f"{sight.deployment} is over: {sight.status}."
    if sight.is_blue_kept:
        return f"{sight.deployment} has led all traffic to green already. --now ends the wait in which blue is kept."
    return f"{sight.deployment} does not wait for you: {sight.waits or sight.status}."


def _wait(sight: Sight) -> str:
    return str(sight.asks) if sight.asks in ("READY_WAIT", "TERMINATION_WAIT") else "pause"

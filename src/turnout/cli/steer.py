"""watch, promote and stop: a deployment is seen to its end, told to go on, or ended."""

from __future__ import annotations

from typing import Annotated

import typer

from turnout.cli.clients import Clients, connect, is_missing
from turnout.cli.options import Application, Cluster, Group, Home, Profile, Region, Service
from turnout.cli.place import Place, Wanted, find_place, place_of
from turnout.cli.seeing import Seer, newest
from turnout.cli.serves import who_serves
from turnout.cli.sight import Sight
from turnout.cli.view import UNDER_WAY
from turnout.cli.watching import Exit, follow
from turnout.cli.watching import stop as ask_to_stop
from turnout.errors import SetupError

Deployment = Annotated[str | None, typer.Argument(metavar="[ID]", help="d-…", show_default="the one that is under way")]


def watch(
    home: Home,
    deployment_id: Deployment = None,
    application: Application = None,
    group: Group = None,
    cluster: Cluster = None,
    service: Service = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Follow a deployment. Exit status 0 only if what it brought is what serves in the end; 3 if left running."""
    clients = connect(home, region, profile)
    wanted = Wanted(application, group, cluster, service)
    place = place_of(clients, deployment_id) if deployment_id else find_place(clients, wanted)
    found = deployment_id or newest(clients, place, sorted(UNDER_WAY)) or newest(clients, place)
    if found is None:
        raise SetupError(f"nothing has been deployed to {place.name} yet.")
    raise SystemExit(follow(clients, place, found))


def promote(
    home: Home,
    deployment_id: Deployment = None,
    now: Annotated[
        bool, typer.Option("--now", help="End the wait in which blue is kept, too: there is no way back in one move.")
    ] = False,
    application: Application = None,
    group: Group = None,
    cluster: Cluster = None,
    service: Service = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Lead the traffic to the green that waits for it, and follow. Exit status as `watch`."""
    clients = connect(home, region, profile)
    place, found = _under_way(clients, deployment_id, Wanted(application, group, cluster, service))
    sight = Seer(clients, place).look(found)
    if sight.status != "Ready" and not now:
        raise SetupError(_why_not(sight))
    if sight.status == "Ready":
        _go_on(clients, found, "READY_WAIT")
    elif not sight.is_blue_kept and sight.config != "CodeDeployDefault.ECSAllAtOnce":
        print(f"{sight.waits or sight.status}: AWS has no way to shorten a shift. What follows it will not wait.")
    asked: set[str] = set()

    def hurry(sight: Sight) -> None:
        if now and sight.is_blue_kept and sight.deployment not in asked:
            asked.add(sight.deployment)
            _go_on(clients, sight.deployment, "TERMINATION_WAIT")

    raise SystemExit(follow(clients, place, found, hurry))


def stop(
    home: Home,
    deployment_id: Deployment = None,
    rollback: Annotated[
        bool, typer.Option(help="Lead all traffic back to what served before; else all stays as it is.")
    ] = True,
    application: Application = None,
    group: Group = None,
    cluster: Cluster = None,
    service: Service = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Stop a deployment. Exit status 0 if it was stopped and, with --rollback, what served before serves everyone."""
    clients = connect(home, region, profile)
    place, found = _under_way(clients, deployment_id, Wanted(application, group, cluster, service))
    if not ask_to_stop(clients, found, roll_back=rollback):
        raise SystemExit(1)
    raise SystemExit(stopped(clients, place, found, rollback=rollback))


def stopped(clients: Clients, place: Place, deployment_id: str, *, rollback: bool) -> int:
    """Follow a deployment that was asked to stop: the exit status."""
    status = follow(clients, place, deployment_id)
    if status is Exit.UNDER_WAY:
        return int(status)
    serving = who_serves(clients, place)
    if rollback:
        return int(serving.astray != () or status is Exit.SERVES)
    info = clients("codedeploy").get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    return int(info["status"] != "Stopped")


def _under_way(clients: Clients, deployment_id: str | None, wanted: Wanted) -> tuple[Place, str]:
    """Raises SetupError if nothing is."""
    if deployment_id is not None:
        return place_of(clients, deployment_id), deployment_id
    place = find_place(clients, wanted)
    found = newest(clients, place, sorted(UNDER_WAY))
    if found is None:
        raise SetupError(f"no deployment of {place.name} is under way. `turnout watch` shows how the last one ended.")
    return place, found


def _why_not(sight: Sight) -> str:
    if sight.is_over:
        return f"{sight.deployment} is over: {sight.status}."
    if sight.is_blue_kept:
        return f"{sight.deployment} has led all traffic to green already. --now ends the wait in which blue is kept."
    return f"{sight.deployment} does not wait for you: {sight.waits or sight.status}."


def _go_on(clients: Clients, deployment_id: str, wait: str) -> None:
    try:
        clients("codedeploy").continue_deployment(deploymentId=deployment_id, deploymentWaitType=wait)
    except Exception as error:
        # Between the look and the call the wait may have ended by itself: then there is nothing to end.
        if not is_missing(error, "DeploymentAlreadyCompletedException", "InvalidDeploymentStatusException"):
            raise
    else:
        print(f"{deployment_id}: told to go on from its {wait}.", flush=True)

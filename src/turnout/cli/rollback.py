"""rollback: the version that served before serves again, with the very images that it had."""

from __future__ import annotations

from typing import Annotated

import typer

from turnout.cli.clients import Clients
from turnout.cli.controllers import Controller, Former
from turnout.cli.deploy import show_plan, start
from turnout.cli.serves import Serving
from turnout.cli.steer import stopped
from turnout.cli.versions import (
    Document,
    described,
    images_of,
    is_pinned,
    is_same,
    pinned,
    register,
    short_name,
    with_images,
)
from turnout.cli.watching import stop
from turnout.cli.where import Where, at_a_place
from turnout.errors import SetupError
from turnout.taskdef import registrable

AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"


@at_a_place
def rollback(
    where: Where,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A deployment or FAMILY:REVISION to go back to.", show_default="what served before"
        ),
    ] = None,
    tags: Annotated[
        bool, typer.Option("--tags", help="Where a digest is not known, take what the tag names today.")
    ] = False,
    config: Annotated[
        str | None, typer.Option(help="Deployment configuration.", show_default="CodeDeployDefault.ECSAllAtOnce")
    ] = None,
) -> None:
    """Go back: stops what is under way, else deploys what served before. Exit status 0 only if that serves."""
    controller = where.find()
    running = controller.newest(is_under_way=True)
    if running is not None:
        if to is not None:
            raise SetupError(f"{running} is under way: `turnout rollback` alone stops it, then --to can be deployed.")
        if not stop(controller, running, roll_back=True):
            raise SystemExit(1)
        raise SystemExit(stopped(controller, running, rollback=True))
    serving = controller.serving()
    if not serving.is_alone:
        if to is not None:
            raise SetupError(f"{serving.rest}: `turnout rollback` alone ends that, then --to can be deployed.")
        raise SystemExit(_finish(controller, serving))
    clients = where.clients
    now = described(clients, serving.task_definition)
    now = with_images(now, controller.ran(serving.deployment, now))
    former = _chosen(controller, to) if to else _former(controller, serving, now)
    if is_same(former.as_it_ran, now):
        raise SetupError(f"{former.name} is what serves already: there is nothing to go back to in it.")
    wanted = _pinned(clients, former, is_tag_good=tags)
    if controller.has_spec:
        config = config or AT_ONCE
    arn = _registered(clients, former, wanted)
    spec = controller.spec_for(former, arn)
    print(f"{controller.name}: {short_name(serving.task_definition)} serves, {short_name(arn)} is to again.")
    show_plan(controller, spec, config)
    raise SystemExit(start(controller, arn, spec, config=config, description=f"Rollback to {former.name}"))


def _former(controller: Controller, serving: Serving, now: Document) -> Former:
    """The newest version before the one that serves, and other than it."""
    for former in controller.history(serving):
        if not is_same(former.as_it_ran, now):
            return former
    raise SetupError(
        f"no version before {short_name(serving.task_definition)} is known: name one with --to FAMILY:REVISION."
    )


def _chosen(controller: Controller, to: str) -> Former:
    """What --to names. Raises SetupError."""
    if ":task-definition/" in to or (":" in to and not to.startswith("arn:")):
        return Former(described(controller.clients, to), None)
    return controller.version_of(to)


def _pinned(clients: Clients, former: Former, *, is_tag_good: bool) -> Document:
    """Raises SetupError where an image would be whatever its tag names today."""
    wanted = former.as_it_ran
    images = images_of(wanted)
    for container, image in images.items():
        if is_pinned(image):
            continue
        if not is_tag_good:
            raise SetupError(
                f"{former.name} runs {image} in {container}, and the digest that it had is not known: the tag may have"
                " moved. --tags takes what it names today; `turnout deploy` pins what it registers."
            )
        images[container] = pinned(clients, image) or image
    return with_images(wanted, images)


def _registered(clients: Clients, former: Former, wanted: Document) -> str:
    """Its own revision where that names every image by digest already, else a new one that does."""
    if is_same(wanted, former.task_definition) and all(map(is_pinned, images_of(wanted).values())):
        return str(former.task_definition["taskDefinitionArn"])
    return register(clients, registrable(wanted), former.name)


def _finish(controller: Controller, serving: Serving) -> int:
    """Finish what a stop without a rollback has left: all traffic to what is PRIMARY, and the other's tasks ended."""
    for done in controller.lead_back(serving):
        print(done, flush=True)
    left = controller.serving()
    print(f"{short_name(left.task_definition)} serves.")
    return int(not left.is_alone)

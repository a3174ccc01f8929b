"""deploy: an AppSpec and a task definition become the version that serves, without a pipeline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from turnout.cli.appspec import HOOKS_AT, container_of, find_appspec, hooks_of, parse, running
from turnout.cli.clients import Clients
from turnout.cli.controllers import Controller
from turnout.cli.difference import difference
from turnout.cli.files import IMAGE_PLACEHOLDER
from turnout.cli.hooks import upload
from turnout.cli.serves import Serving
from turnout.cli.verifying import findings
from turnout.cli.versions import (
    Document,
    described,
    images_of,
    pinned,
    register,
    short_name,
    with_images,
)
from turnout.cli.watching import Exit, follow
from turnout.cli.where import Where, at_a_place
from turnout.errors import SetupError
from turnout.taskdef import registrable


@at_a_place
def deploy(
    where: Where,
    folder: Annotated[
        Path, typer.Argument(help="Folder of appspec and taskdef.", file_okay=False, exists=True)
    ] = Path(),
    appspec: Annotated[
        Path | None, typer.Option(help="The AppSpec.", show_default="appspec.yaml, .yml or .json", dir_okay=False)
    ] = None,
    taskdef: Annotated[
        Path | None, typer.Option(help="The task definition.", show_default="taskdef.json", dir_okay=False)
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help=f"[CONTAINER=]IMAGE to run, else what stands for {IMAGE_PLACEHOLDER}; repeatable."),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Deployment configuration.", show_default="the group's")] = None,
    description: Annotated[str | None, typer.Option(help="Of the deployment; a commit's 40 digits are kept.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and whether what it names is there; no more.")
    ] = False,
) -> None:
    """Release a version and follow it. Exit status 0 only if it is what serves in the end; 3 if it was left running."""
    clients, controller = where.clients, where.find(folder=folder)
    spec = _spec(controller, appspec, folder)
    taskdef = taskdef or folder / "taskdef.json"
    document = pin(clients, read_taskdef(taskdef, image or [], folder))
    _check_container(spec, document, taskdef)
    serving = ready(controller)
    now = registrable(described(clients, serving.task_definition))
    print(f"{controller.name}: {short_name(serving.task_definition)} serves, a new {document['family']} is to.")
    show_plan(controller, spec, config)
    diff = difference(now, document, (short_name(serving.task_definition), str(taskdef)))
    for line in diff or [f"  {taskdef} says what serves already."]:
        print(line)
    missing = list(findings(clients, document))
    for finding in missing:
        print(f"turnout: {finding}", file=sys.stderr)
    if dry_run:
        print("Nothing was changed.")
        raise SystemExit(int(bool(missing)))
    arn = register(clients, document, str(taskdef))
    if spec and hooks_of(spec) and clients.is_engine:  # on AWS they are Lambda functions: nobody would read the file
        place = upload(clients, (appspec or find_appspec(folder)).absolute().parent, controller.name)
        spec = spec if place is None else {**spec, HOOKS_AT: place}
    raise SystemExit(start(controller, arn, spec, config=config, description=description))


def ready(controller: Controller) -> Serving:
    """What serves. Raises SetupError if no release can begin now."""
    running = controller.newest(is_under_way=True)
    if running is not None and controller.has_spec:
        raise SetupError(
            f"{running} of {controller.name} is under way. `turnout watch` follows it, `turnout stop` ends it."
        )
    serving = controller.serving()
    if not serving.is_alone and running is None:
        raise SetupError(
            f"something is left of a release that was stopped: {serving.rest}. `turnout rollback` ends that first."
        )
    return serving


def show_plan(controller: Controller, spec: Document | None, config: str | None) -> None:
    """Say what a release is going to do, before it does it."""
    clients = controller.clients
    where = clients.region if clients.is_engine else f"{clients.region} (AWS)"
    print(f"  service   {controller.cluster}/{controller.service} in {where}")
    print(f"  strategy  {config or controller.strategy}")
    for number, step in enumerate(controller.plan(spec, config), start=1):
        print(f"  {number:>2}  {step}", flush=True)


def start(
    controller: Controller,
    task_definition: str,
    spec: Document | None,
    *,
    config: str | None = None,
    description: str | None = None,
) -> int:
    """Let a release begin, and follow it: the exit status. Raises SetupError if it cannot begin."""
    try:
        deployment_id = controller.begin(task_definition, spec, config, description)
    except KeyboardInterrupt:
        what = f"`turnout watch` says whether a release of {controller.name} began"
        print(f"\nInterrupted before the answer: {what}.", file=sys.stderr)
        return int(Exit.UNDER_WAY)
    print(f"  deployment {deployment_id}: {short_name(task_definition)}", flush=True)
    return int(follow(controller, deployment_id))


def _spec(controller: Controller, appspec: Path | None, folder: Path) -> Document | None:
    """The AppSpec, where the controller wants one. Raises SetupError."""
    if not controller.has_spec:
        if appspec is not None:
            raise SetupError(f"--appspec is CodeDeploy's: {controller.name} is released by ECS itself.")
        return None
    appspec = appspec or find_appspec(folder)
    spec = parse(_text(appspec), str(appspec))
    running(spec, "", str(appspec))
    return spec


def _check_container(spec: Document | None, document: Document, taskdef: Path) -> None:
    """CodeDeploy finds out only when it makes green."""
    wanted = container_of(spec or {})
    if wanted is None:
        return
    name, port = wanted
    containers = {container["name"]: container for container in document["containerDefinitions"]}
    if name not in containers:
        raise SetupError(f"the AppSpec leads to the container {name}; {taskdef} has {', '.join(containers)}.")
    ports = [mapping.get("containerPort") for mapping in containers[name].get("portMappings", [])]
    if port not in ports:
        known = ", ".join(map(str, ports)) or "none"
        raise SetupError(f"the AppSpec leads to port {port} of {name}; {taskdef} maps {known}.")


def read_taskdef(path: Path, images: list[str], folder: Path) -> Document:
    """A task definition file with its images filled in. Raises SetupError."""
    text = _text(path)
    named = dict(split for image in images if (split := _named(image)))
    plain = [image for image in images if not _named(image)]
    if len(plain) > 1:
        raise SetupError(f"two images without a container: {' and '.join(plain)}. Write --image CONTAINER=IMAGE.")
    if IMAGE_PLACEHOLDER in text:
        fills = plain or _built(folder)
        if fills:
            text = text.replace(IMAGE_PLACEHOLDER, fills[0])
        elif not named:
            raise SetupError(
                f"which image is {IMAGE_PLACEHOLDER} in {path}? Say it with --image, as in"
                ' `turnout deploy --image "$(turnout pack --tag NAME:TAG)"`.'
            )
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SetupError(f"{path}:{error.lineno} is not JSON: {error.msg}") from error
    if isinstance(document, dict) and isinstance(document.get("taskDefinition"), dict):
        document = document["taskDefinition"]  # as `aws ecs describe-task-definition` prints it
    try:
        document = registrable(document)
        containers = images_of(document)
    except (AttributeError, KeyError, TypeError) as error:
        raise SetupError(f"{path} is not a task definition: {error!r}") from error
    if plain and IMAGE_PLACEHOLDER not in _text(path):
        if len(containers) > 1:
            raise SetupError(f"{path} has the containers {', '.join(containers)}: write --image CONTAINER=IMAGE.")
        named = dict.fromkeys(containers, plain[0])
    if unknown := named.keys() - containers.keys():
        raise SetupError(f"{path} has no container {', '.join(sorted(unknown))}; it has {', '.join(containers)}.")
    document = with_images(document, named)
    left = [name for name, image in images_of(document).items() if "<" in image]
    if left:
        raise SetupError(f"{path}: the image of {', '.join(left)} is still a placeholder: say it with --image.")
    return document


def pin(clients: Clients, document: Document) -> Document:
    """The same with every tag that ECR knows replaced by its digest; what cannot be pinned is said."""
    images = {}
    for container, image in images_of(document).items():
        by_digest = pinned(clients, image)
        if by_digest is None:
            print(f"{container}: {image} is not in ECR and stays a tag: a rollback will run whatever it names then.")
        images[container] = by_digest or image
    return with_images(document, images)


def _named(image: str) -> tuple[str, str] | None:
    """(container, image) of CONTAINER=IMAGE."""
    container, is_split, rest = image.partition("=")
    return (container, rest) if is_split else None


def _built(folder: Path) -> list[str]:
    """What a build left in imageDetail.json."""
    path = folder / "imageDetail.json"
    if not path.is_file():
        return []
    try:
        return [str(json.loads(path.read_text())["ImageURI"])]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SetupError(f"{path} must hold an ImageURI: {error!r}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from error

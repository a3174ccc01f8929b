"""deploy: an AppSpec and a task definition become the version that serves, without a pipeline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from turnout.cli.appspec import find_appspec, parse, revision_of, running
from turnout.cli.clients import Clients, connect, is_missing
from turnout.cli.files import IMAGE_PLACEHOLDER
from turnout.cli.options import Application, Cluster, Group, Home, Profile, Region, Service
from turnout.cli.place import Place, Wanted, find_place
from turnout.cli.serves import who_serves
from turnout.cli.versions import Document, images_of, pinned, register, registrable, short_name, with_images
from turnout.cli.watching import follow
from turnout.errors import SetupError


def deploy(
    home: Home,
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
    application: Application = None,
    group: Group = None,
    cluster: Cluster = None,
    service: Service = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Release a version and follow it. Exit status 0 only if it is what serves in the end; 3 if it was left running."""
    clients = connect(home, region, profile)
    appspec = appspec or find_appspec(folder)
    spec = parse(_text(appspec), str(appspec))
    running(spec, "", str(appspec))
    place = find_place(clients, Wanted(application, group, cluster, service, folder))
    taskdef = taskdef or folder / "taskdef.json"
    document = pin(clients, read_taskdef(taskdef, image or [], folder))
    arn = register(clients, document, str(taskdef))
    revision = revision_of(running(spec, arn, str(appspec)))
    raise SystemExit(start(clients, place, arn, revision, config=config, description=description))


def start(
    clients: Clients,
    place: Place,
    task_definition: str,
    revision: Document,
    *,
    config: str | None = None,
    description: str | None = None,
) -> int:
    """Say what is going to happen, let it begin, and follow it: the exit status. Raises SetupError if it cannot."""
    serving = who_serves(clients, place)
    print(f"{place.name}: {short_name(serving.task_definition)} serves, {short_name(task_definition)} is to.")
    print(f"  service   {place.cluster}/{place.service} in {clients.region}{'' if clients.is_engine else ' (AWS)'}")
    print(f"  strategy  {config or place.config}", flush=True)
    if serving.astray:
        raise SetupError(
            f"the traffic is divided: {'; '.join(serving.astray)}. CodeDeploy does not begin so: `turnout rollback`"
            " leads it back to the primary task set first."
        )
    chosen: dict[str, Any] = {"deploymentConfigName": config, "description": description}
    try:
        deployment_id = clients("codedeploy").create_deployment(
            applicationName=place.application,
            deploymentGroupName=place.group,
            revision=revision,
            **{name: value for name, value in chosen.items() if value is not None},
        )["deploymentId"]
    except KeyboardInterrupt:
        print(
            f"\nInterrupted before the answer: `turnout watch` in {place.name} says whether it began.", file=sys.stderr
        )
        return 3
    except Exception as error:
        if is_missing(error, "DeploymentLimitExceededException"):
            message = error.response["Error"]["Message"]  # type: ignore[attr-defined]
            raise SetupError(f"{message}. `turnout watch` follows it, `turnout stop` ends it.") from error
        raise
    print(f"  deployment {deployment_id}", flush=True)
    return int(follow(clients, place, deployment_id))


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

"""rollback: the version that served before serves again, with the very images that it had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from turnout.cli import appspec
from turnout.cli.clients import Clients, connect, pages
from turnout.cli.deploy import start
from turnout.cli.options import Application, Cluster, Group, Home, Profile, Region, Service
from turnout.cli.place import Place, Wanted, find_place
from turnout.cli.seeing import newest
from turnout.cli.serves import Serving, lead_all_to, who_serves
from turnout.cli.steer import stopped
from turnout.cli.versions import (
    Document,
    described,
    images_of,
    is_pinned,
    is_same,
    pinned,
    register,
    registrable,
    short_name,
    with_images,
)
from turnout.cli.view import UNDER_WAY
from turnout.cli.watching import stop
from turnout.errors import SetupError


@dataclass(frozen=True)
class Former:
    """A version that has served. `deployment` brought it; None for what a service was created with."""

    task_definition: Document
    deployment: str | None
    revision: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        return short_name(self.task_definition["taskDefinitionArn"])


def rollback(
    home: Home,
    to: Annotated[
        str | None,
        typer.Option(metavar="ID", help="d-… or FAMILY:REVISION to go back to.", show_default="what served before"),
    ] = None,
    tags: Annotated[
        bool, typer.Option("--tags", help="Where a digest is not known, take what the tag names today.")
    ] = False,
    config: Annotated[
        str | None, typer.Option(help="Deployment configuration.", show_default="CodeDeployDefault.ECSAllAtOnce")
    ] = None,
    application: Application = None,
    group: Group = None,
    cluster: Cluster = None,
    service: Service = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Go back: stops what is under way, else deploys what served before. Exit status 0 only if that serves."""
    clients = connect(home, region, profile)
    place = find_place(clients, Wanted(application, group, cluster, service))
    running = newest(clients, place, sorted(UNDER_WAY))
    if running is not None:
        if to is not None:
            raise SetupError(f"{running} is under way: `turnout rollback` alone stops it, then --to can be deployed.")
        if not stop(clients, running, roll_back=True):
            raise SystemExit(1)
        raise SystemExit(stopped(clients, place, running, rollback=True))
    serving = who_serves(clients, place)
    if serving.astray and to is None:
        raise SystemExit(_mend(clients, place, serving))
    now = with_digests(clients, described(clients, serving.task_definition), serving.deployment)
    former = _chosen(clients, place, to) if to else _former(clients, place, serving, now)
    wanted = with_digests(clients, former.task_definition, former.deployment)
    if is_same(wanted, now):
        raise SetupError(f"{former.name} is what serves already: there is nothing to go back to in it.")
    arn = _registered(clients, former, _pinned(clients, wanted, former, is_tag_good=tags))
    spec = _appspec(clients, place, former, arn)
    words = {"config": config or "CodeDeployDefault.ECSAllAtOnce", "description": f"Rollback to {former.name}"}
    raise SystemExit(start(clients, place, arn, appspec.revision_of(spec), **words))


def with_digests(clients: Clients, task_definition: Document, deployment_id: str | None) -> Document:
    """The task definition with the images that its tasks ran, as far as that is known: a receipt knows it."""
    receipt = clients.told(f"receipts/{clients.region}/{deployment_id}") if deployment_id else None
    return with_images(task_definition, ran(receipt, task_definition))


def ran(receipt: Mapping[str, Any] | None, task_definition: Document) -> dict[str, str]:
    """Container → image by digest, of the side of a receipt that ran this task definition. Pure."""
    sides = [side for colour in ("green", "blue") if (side := (receipt or {}).get(colour))]
    for side in sides:
        if side["taskDefinition"] == task_definition["taskDefinitionArn"]:
            return {
                image["container"]: by_digest(image["image"], image["digest"])
                for image in side["images"]
                if image["digest"]
            }
    return {}


def by_digest(image: str, digest: str) -> str:
    """repository:tag and sha256:… as repository@sha256:…. Pure."""
    name = image.partition("@")[0]
    head, _, tail = name.rpartition("/")
    repository = tail.partition(":")[0]
    return f"{head}/{repository}@{digest}" if head else f"{repository}@{digest}"


def _former(clients: Clients, place: Place, serving: Serving, now: Document) -> Former:
    """The newest version before the one that serves, and other than it."""
    for former in _history(clients, place, serving):
        if not is_same(with_digests(clients, former.task_definition, former.deployment), now):
            return former
    raise SetupError(
        f"no version before {short_name(serving.task_definition)} is known: name one with --to FAMILY:REVISION."
    )


def _history(clients: Clients, place: Place, serving: Serving) -> Iterator[Former]:
    """Versions that have served, newest first, from the one before what serves."""
    is_before = False
    oldest = None
    for deployment_id in pages(
        clients("codedeploy"),
        "list_deployments",
        "deployments",
        applicationName=place.application,
        deploymentGroupName=place.group,
        includeOnlyStatuses=["Succeeded"],
    ):
        info = clients("codedeploy").get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        if info.get("creator") == "codeDeployRollback":
            continue  # it brought nothing: what it put back has a deployment of its own
        if is_before and (former := _brought(clients, info)):
            yield former
        is_before = is_before or deployment_id == serving.deployment
        oldest = deployment_id
    # What the service was created with has no deployment; an engine's receipt of the first one names it.
    first = clients.told(f"receipts/{clients.region}/{oldest}") if is_before else None
    if first and (first["blue"] or {}).get("taskDefinition"):
        original = described(clients, first["blue"]["taskDefinition"])
        yield Former(with_images(original, ran(first, original)), None, None)


def _brought(clients: Clients, info: Mapping[str, Any]) -> Former | None:
    """What a deployment brought; None if its AppSpec or its task definition is gone."""
    spec = _text_of(clients, info)
    try:
        document = appspec.parse(spec, info["deploymentId"]) if spec else {}
        arn = appspec.task_definition_of(document)
        found = described(clients, arn) if arn else None
    except SetupError:
        return None
    return Former(found, info["deploymentId"], document) if found else None


def _text_of(clients: Clients, info: Mapping[str, Any]) -> str | None:
    """The AppSpec of a deployment."""
    revision = info.get("revision", {})
    text: str | None = revision.get("appSpecContent", revision.get("string", {})).get("content")
    place = revision.get("s3Location")
    if text is None and place:
        from botocore.exceptions import ClientError

        version = {"VersionId": place["version"]} if place.get("version") else {}
        try:
            answer = clients("s3").get_object(Bucket=place["bucket"], Key=place["key"], **version)
        except ClientError:
            return None
        text = answer["Body"].read().decode()
    return text


def _chosen(clients: Clients, place: Place, to: str) -> Former:
    """What --to names. Raises SetupError."""
    if not to.startswith("d-"):
        return Former(described(clients, to), None, None)
    info = clients("codedeploy").get_deployment(deploymentId=to)["deploymentInfo"]
    if (info["applicationName"], info["deploymentGroupName"]) != (place.application, place.group):
        raise SetupError(f"{to} is a deployment of {info['applicationName']}/{info['deploymentGroupName']}.")
    former = _brought(clients, info)
    if former is None:
        raise SetupError(f"the AppSpec or the task definition of {to} is gone: name a FAMILY:REVISION.")
    return former


def _pinned(clients: Clients, wanted: Document, former: Former, *, is_tag_good: bool) -> Document:
    """Raises SetupError where an image would be whatever its tag names today."""
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


def _appspec(clients: Clients, place: Place, former: Former, arn: str) -> Document:
    """Its own AppSpec, hooks included, with `arn`; without one the container and port of the service."""
    if former.revision:
        return appspec.running(dict(former.revision), arn, str(former.deployment))
    service = clients("ecs").describe_services(cluster=place.cluster, services=[place.service])["services"][0]
    primary = next(task_set for task_set in service["taskSets"] if task_set["status"] == "PRIMARY")
    balancer = primary["loadBalancers"][0]
    return appspec.made_for(arn, balancer["containerName"], balancer["containerPort"])


def _mend(clients: Clients, place: Place, serving: Serving) -> int:
    """Finish what a stop without a rollback has left: all traffic to the primary task set, and green's tasks ended."""
    for route in lead_all_to(clients, place, serving.target_group):
        print(f"{route} leads to {serving.target_group.split('/')[1]} alone again.")
    service = clients("ecs").describe_services(cluster=place.cluster, services=[place.service])["services"][0]
    for task_set in service["taskSets"]:
        if task_set["status"] == "ACTIVE":
            clients("ecs").delete_task_set(
                cluster=place.cluster, service=place.service, taskSet=task_set["taskSetArn"], force=True
            )
            print(f"{short_name(task_set['taskDefinition'])} of {task_set.get('externalId')} is being ended.")
    left = who_serves(clients, place)
    print(f"{short_name(left.task_definition)} serves.")
    return int(bool(left.astray))

"""The versions that deployments of CodeDeploy have brought: their AppSpecs, and the images that their tasks ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from turnout.cli import appspec
from turnout.cli.clients import Clients, pages
from turnout.cli.controllers import Former
from turnout.cli.place import Place
from turnout.cli.serves import Serving
from turnout.cli.versions import Document, described, short_name
from turnout.errors import SetupError


def history(clients: Clients, place: Place, serving: Serving) -> Iterator[Former]:
    """Versions that have served, newest first, from the one before what serves.

    What serves without a deployment of CodeDeploy is what the service was created with, or what ECS had released before
    the way back of a migration: then all of its deployments are from before that.
    """
    is_before = serving.deployment is None
    newer = None
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
        if is_before:
            former = _brought(clients, info)
            yield from _replaced(clients, newer, former)
            if former:
                yield former
        is_before = is_before or deployment_id == serving.deployment
        newer = deployment_id if is_before else None
    yield from _replaced(clients, newer, None)


def _replaced(clients: Clients, deployment: str | None, older: Former | None) -> Iterator[Former]:
    """What an engine's receipt says that a deployment has replaced, unless that is what the `older` one has brought.

    No deployment of CodeDeploy has brought what the service was created with, nor what ECS released meanwhile.
    """
    receipt = clients.told(f"receipts/{clients.region}/{deployment}") if deployment else None
    arn = ((receipt or {}).get("blue") or {}).get("taskDefinition")
    if not arn or (older and older.name == short_name(arn)):
        return
    try:
        original = described(clients, arn)
    except SetupError:
        return
    yield Former(original, None, ran=images_in(receipt, original))


def version_of(clients: Clients, place: Place, deployment_id: str) -> Former:
    """What a deployment of a group brought. Raises SetupError."""
    info = clients("codedeploy").get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    if (info["applicationName"], info["deploymentGroupName"]) != (place.application, place.group):
        raise SetupError(f"{deployment_id} is a deployment of {info['applicationName']}/{info['deploymentGroupName']}.")
    former = _brought(clients, info)
    if former is None:
        raise SetupError(f"the AppSpec or the task definition of {deployment_id} is gone: name a FAMILY:REVISION.")
    return former


def spec_of(clients: Clients, info: Mapping[str, Any]) -> Document | None:
    """The AppSpec of a deployment, of GetDeployment's deploymentInfo; None if it is gone. Raises SetupError."""
    text = _text_of(clients, info)
    return appspec.parse(text, info["deploymentId"]) if text else None


def _brought(clients: Clients, info: Mapping[str, Any]) -> Former | None:
    """What a deployment brought; None if its AppSpec or its task definition is gone."""
    try:
        document = spec_of(clients, info) or {}
        arn = appspec.task_definition_of(document)
        found = described(clients, arn) if arn else None
    except SetupError:
        return None
    if found is None:
        return None
    receipt = clients.told(f"receipts/{clients.region}/{info['deploymentId']}")
    return Former(found, info["deploymentId"], document, images_in(receipt, found))


def _text_of(clients: Clients, info: Mapping[str, Any]) -> str | None:
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


def images_in(receipt: Mapping[str, Any] | None, task_definition: Document) -> dict[str, str]:
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

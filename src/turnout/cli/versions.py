"""Versions of an application: a task definition whose images are named by digest, so that it stays what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.cli.clients import Clients, is_missing
from turnout.errors import SetupError
from turnout.runtimes.references import Reference, parse_reference
from turnout.taskdef import registrable

Document = dict[str, Any]


def images_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Container → image."""
    return {container["name"]: container["image"] for container in document["containerDefinitions"]}


def with_images(document: Document, images: Mapping[str, str]) -> Document:
    """The same task definition with other images, by container. Pure."""
    containers = [
        container | {"image": images.get(container["name"], container["image"])}
        for container in document["containerDefinitions"]
    ]
    return document | {"containerDefinitions": containers}


def is_pinned(image: str) -> bool:
    return "@sha256:" in image


def pinned(clients: Clients, image: str) -> str | None:
    """An image by the digest that its tag has now; None for one of a registry that AWS's API does not know.

    Raises SetupError if ECR has no such tag.
    """
    if is_pinned(image):
        return image
    reference = in_ecr(clients, image)
    if reference is None:
        return None
    try:
        details = clients_of(clients, reference).describe_images(
            repositoryName=reference.repository, imageIds=[{"imageTag": reference.tag or "latest"}]
        )["imageDetails"]
    except Exception as error:
        if is_missing(error, "ImageNotFoundException", "RepositoryNotFoundException"):
            raise SetupError(
                f"there is no image {image} in ECR: push it first (`turnout pack` or `docker push`)."
            ) from error
        raise
    return str(reference.at(details[0]["imageDigest"]))


def in_ecr(clients: Clients, image: str) -> Reference | None:
    """Where ECR keeps an image; None for one of another registry. Here a name without a registry is ECR's, too."""
    try:
        reference = parse_reference(image, clients.region, clients.registry)
    except ValueError as error:
        raise SetupError(str(error)) from error
    host = image.partition("/")[0]
    is_named = host == reference.registry or (clients.registry is not None and clients.registry.is_here(host))
    return reference if reference.region and (is_named or clients.is_engine) else None


def clients_of(clients: Clients, reference: Reference) -> Any:
    """The ECR client that can be asked for an image."""
    if reference.region != clients.region:
        raise SetupError(
            f"{reference} is in {reference.region}, the service in {clients.region}: name the image by its digest"
            " (REPOSITORY@sha256:…)."
        )
    return clients("ecr")


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two task definitions run the same, whatever their revisions. Pure."""
    return registrable(one) == registrable(other)


def register(clients: Clients, document: Document, where: str) -> str:
    """The ARN of a new revision. Raises SetupError that names `where` the document is from, if it is none."""
    from botocore.exceptions import ParamValidationError

    try:
        registered = clients("ecs").register_task_definition(**document)["taskDefinition"]
    except (ParamValidationError, TypeError) as error:
        raise SetupError(f"{where} is not a task definition: {error}") from error
    return str(registered["taskDefinitionArn"])


def described(clients: Clients, task_definition: str) -> Document:
    """A registered task definition. Raises SetupError if there is none."""
    try:
        answer = clients("ecs").describe_task_definition(taskDefinition=task_definition, include=["TAGS"])
    except Exception as error:
        if is_missing(error, "ClientException", "InvalidParameterException"):
            raise SetupError(f"there is no task definition {task_definition} in {clients.region}.") from error
        raise
    tags = {"tags": answer["tags"]} if answer.get("tags") else {}
    found: Document = answer["taskDefinition"] | tags
    return found


def short_name(task_definition: str) -> str:
    """family:revision"""
    return task_definition.rpartition("/")[2]

"""The names of images. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from turnout.names import ACCOUNT
from turnout.registry import Registry

_ECR_HOST = re.compile(r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.")
_REGISTRY = re.compile(r"^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:\d+)?$")
_REPOSITORY = re.compile(r"^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$")
_TAG = re.compile(r"^\w[\w.-]{0,127}$", re.ASCII)
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Reference:
    """000000000000.dkr.ecr.us-east-1.amazonaws.com/hello:v1, or by digest; a tag beside a digest says nothing."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def tagged(self) -> str:
        """The name with its tag, under which the local registry keeps it."""
        return f"{self.name}:{self.tag or 'latest'}"

    @property
    def region(self) -> str | None:
        """Of a registry in ECR; None elsewhere."""
        host = _ECR_HOST.match(self.registry)
        return host and host["region"]

    @property
    def account(self) -> str | None:
        """Of a registry in ECR; None elsewhere."""
        host = _ECR_HOST.match(self.registry)
        return host and host["account"]

    def at(self, digest: str) -> Reference:
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else self.tagged


def is_of_ecr(image: str) -> bool:
    """Whether an image, however it is named, lies in a registry of ECR."""
    return _ECR_HOST.match(image) is not None


def registry_of(region: str, account: str = ACCOUNT) -> str:
    """The host of the ECR registry of a region."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def parse_reference(text: str, region: str, here: Registry | None = None) -> Reference:
    """Any way to name an image. Without a registry it means ours in `region`; every host of an ECR registry
    (LocalStack's too, and the address of `here`) means AWS's. Raises ValueError.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.match(digest):
        raise ValueError(f"{text!r} is not an image reference: behind the @ there must be sha256: and 64 hex digits")
    head, _, tail = rest.rpartition("/")
    tail, colon, tag = tail.partition(":")
    if colon and not _TAG.match(tag):
        raise ValueError(f"{text!r} is not an image reference: {tag!r} is not a tag")
    rest = f"{head}/{tail}" if head else tail
    registry, slash, repository = rest.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, repository = registry_of(region), rest
    elif host := _ECR_HOST.match(registry):
        registry = registry_of(host["region"], host["account"])
    elif here is not None and here.is_here(registry):
        account, where, repository = here.repository_at(repository)
        registry = registry_of(where, account)
    if not _REGISTRY.match(registry):
        raise ValueError(f"{text!r} is not an image reference: {registry!r} is not a registry's host")
    if not _REPOSITORY.match(repository):
        raise ValueError(f"{text!r} is not an image reference: {repository!r} is not a repository's name")
    return Reference(registry, repository, tag or None, digest or None)


def name_for_engine(image: str, here: Registry) -> str | None:
    """What a container engine calls an image that lies in ECR on this machine; None for any other, and for no name."""
    if not is_of_ecr(image) and not here.is_here(image.partition("/")[0]):
        return None
    try:
        reference = parse_reference(image, here.region, here)
    except ValueError:
        return None
    if reference.region is None or reference.account != ACCOUNT:
        return None
    name = here.uri(reference.region, reference.repository)
    return f"{name}@{reference.digest}" if reference.digest else f"{name}:{reference.tag or 'latest'}"

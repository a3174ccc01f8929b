"""Images of a repository in ECR that no task definition, task, function or build needs any more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.cli.cleaning import Outcome, Reasons, note
from turnout.cli.cleaning.definitions import said
from turnout.cli.cleaning.patience import patiently
from turnout.cli.cleaning.users import users
from turnout.cli.clients import Clients, is_missing, pages
from turnout.cli.screen import Screen, short
from turnout.cli.versions import short_name
from turnout.errors import SetupError
from turnout.runtimes.references import parse_reference, registry_of

MOST_DELETED = 100
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html"""
INDICES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ATTACHED = re.compile(r"sha256-(?P<digest>[0-9a-f]{64})(\.\w+)?")
"""A tag by which a signature or an attestation belongs to an image (cosign, and OCI's referrers of old)."""

Image = Mapping[str, Any]
"""An imageDetail of DescribeImages."""


class Images:
    """The images of one repository."""

    def __init__(self, clients: Clients, repository: str, keep: int, screen: Screen) -> None:
        self._clients, self._repository, self._keep, self._screen = clients, repository, keep, screen
        self._account = ""
        self._images: dict[str, Image] = {}
        """Digest → image, the last pushed first."""

    def clean(self, *, is_dry_run: bool) -> Outcome:
        """Delete what nobody needs, by digest: an image goes with all of its tags."""
        self._images = self._listed()
        reasons = self._reasons()
        going = [image for digest, image in self._images.items() if digest not in reasons]
        # An index before what it lists: ECR refuses the other way round.
        going.sort(key=lambda image: image.get("imageManifestMediaType") not in INDICES)
        failed: dict[str, str] = {}
        gone: list[str] = []
        for index in (True, False):
            some = [i["imageDigest"] for i in going if (i.get("imageManifestMediaType") in INDICES) is index]
            for start in range(0, 0 if is_dry_run else len(some), MOST_DELETED):
                gone += self._delete(some[start : start + MOST_DELETED], failed)
                self._screen.line(f"  {len(gone)} of {len(going)} deleted")
        goes = [image["imageDigest"] for image in going] if is_dry_run else gone
        stays = [(_name(i), "", ", ".join(reasons[digest])) for digest, i in self._images.items() if digest in reasons]
        named = {_name(self._images[digest]): why for digest, why in failed.items()}
        return Outcome(stays, [_name(self._images[digest]) for digest in goes], named)

    def told(self, goes: list[str]) -> str:
        return ", ".join(goes)

    def _listed(self) -> dict[str, Image]:
        self._screen.now(f"looking for the images of {self._repository}")
        ecr = self._clients("ecr")
        try:
            described = ecr.describe_repositories(repositoryNames=[self._repository])["repositories"][0]
        except Exception as error:
            if is_missing(error, "RepositoryNotFoundException", "InvalidParameterException"):
                raise SetupError(f"there is no repository {self._repository} in {self._clients.region}.") from error
            raise
        self._account = described["registryId"]
        found = pages(ecr, "describe_images", "imageDetails", repositoryName=self._repository)
        found.sort(key=lambda image: image["imagePushedAt"], reverse=True)
        return {image["imageDigest"]: image for image in found}

    def _reasons(self) -> Reasons:
        self._screen.now("looking for who uses them")
        reasons: Reasons = {}
        for image in self._newest():
            note(reasons, image["imageDigest"], "one of those that were pushed last")
        found = users(self._clients, self._keep)
        tags = {tag: digest for digest, image in self._images.items() for tag in image.get("imageTags", [])}
        for named, why in self._named(found.definitions):
            digest = self._meant(named, tags)
            if digest in self._images:
                note(reasons, digest, why)
        for digest, whys in found.digests.items():
            for why in whys if digest in self._images else []:
                note(reasons, digest, why)
        return self._with_parts(reasons)

    def _newest(self) -> list[Image]:
        """The last images that were pushed, counted without the parts of an index and what is attached to others."""
        whole = [image for image in self._images.values() if image.get("imageTags") and not _belongs_to(image)]
        return whole[: self._keep]

    def _meant(self, image: str, tags: Mapping[str, str]) -> str:
        """The digest that a task definition's image means, if it is one of this repository; else nothing."""
        region, here = self._clients.region, self._clients.registry
        try:
            reference = parse_reference(image, region, here)
        except ValueError:
            return ""  # nothing could ever be started from it
        # ECR's endpoints for FIPS and IPv6 have names of their own, with the same parts.
        is_other_name = self._account in reference.registry and region in reference.registry
        if reference.repository != self._repository or not (
            reference.registry == registry_of(region, self._account) or is_other_name
        ):
            return ""
        return reference.digest or tags.get(reference.tag or "latest", "")

    def _named(self, used: Reasons) -> Iterator[tuple[str, str]]:
        """(image as somebody writes it, who does) of everything in the region that may run one."""
        ecs = self._clients("ecs")
        kept = {short_name(arn): whys[0] for arn, whys in used.items()}
        for family in pages(ecs, "list_task_definition_families", "families", status="ACTIVE") if self._keep else []:
            answer = ecs.list_task_definitions(
                familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=min(self._keep, 100)
            )
            for arn in answer["taskDefinitionArns"]:
                kept.setdefault(short_name(arn), "one of the newest of its family")
        for name, why in kept.items():
            try:
                answer = patiently(ecs.describe_task_definition, self._screen.now, taskDefinition=name)
            except Exception as error:
                if is_missing(error, "ClientException", "InvalidParameterException"):
                    continue  # a deployment of long ago brought it: it is gone
                raise
            definition = answer["taskDefinition"]
            for container in definition["containerDefinitions"]:
                yield container["image"], f"{short_name(definition['taskDefinitionArn'])} ({why})"
        codebuild = self._clients("codebuild")
        projects = pages(codebuild, "list_projects", "projects")
        for start in range(0, len(projects), 100):
            for project in codebuild.batch_get_projects(names=projects[start : start + 100])["projects"]:
                yield project["environment"]["image"], f"builds of {project['name']}"
        functions = self._clients("lambda")
        for function in pages(functions, "list_functions", "Functions"):
            if function.get("PackageType") == "Image":
                code = functions.get_function(FunctionName=function["FunctionName"])["Code"]
                for member in ("ImageUri", "ResolvedImageUri"):
                    if code.get(member):
                        yield code[member], f"function {function['FunctionName']}"

    def _with_parts(self, reasons: Reasons) -> Reasons:
        """What a kept index lists, and what is attached to a kept image, is kept, too."""
        unread = list(reasons)
        while unread:
            digest = unread.pop()
            new = {part: f"part of {short(digest, 12)}" for part in self._parts(digest)}
            new |= {
                other: f"belongs to {short(digest, 12)}"
                for other, image in self._images.items()
                if _belongs_to(image) == digest
            }
            for part, why in new.items():
                if part in self._images and part not in reasons:
                    note(reasons, part, why)
                    unread.append(part)
        return reasons

    def _parts(self, digest: str) -> list[str]:
        if self._images[digest].get("imageManifestMediaType") not in INDICES:
            return []
        answer = self._clients("ecr").batch_get_image(
            repositoryName=self._repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=list(INDICES)
        )
        if not answer["images"]:
            raise SetupError(
                f"what the index {digest} lists cannot be read, so nothing is deleted: {answer['failures']}"
            )
        return [part["digest"] for part in json.loads(answer["images"][0]["imageManifest"])["manifests"]]

    def _delete(self, digests: list[str], failed: dict[str, str]) -> list[str]:
        from botocore.exceptions import ClientError

        ecr, now = self._clients("ecr"), self._screen.now
        now(f"deleting {len(digests)} images")
        try:
            answer = patiently(
                ecr.batch_delete_image,
                now,
                repositoryName=self._repository,
                imageIds=[{"imageDigest": digest} for digest in digests],
            )
        except ClientError as error:
            failed.update(dict.fromkeys(digests, said(error)))
            return []
        for failure in answer.get("failures", []):
            digest = failure["imageId"]["imageDigest"]
            failed[digest] = f"{failure['failureCode']}: {failure['failureReason']}"
        return list(dict.fromkeys(one["imageDigest"] for one in answer["imageIds"]))


def _belongs_to(image: Image) -> str | None:
    """The digest of the image that another, a signature say, is attached to."""
    if subject := image.get("subjectManifestDigest"):
        return str(subject)
    for tag in image.get("imageTags", []):
        if attached := ATTACHED.fullmatch(tag):
            return f"sha256:{attached['digest']}"
    return None


def _name(image: Image) -> str:
    """12ab34cd56ef (v3, latest)"""
    tags = ", ".join(sorted(image.get("imageTags", [])))
    return f"{short(image['imageDigest'], 12)}{f' ({tags})' if tags else ''}"

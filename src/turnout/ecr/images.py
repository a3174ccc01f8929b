"""Operations on images: putting, getting, deleting, describing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.aws import Answer, Call
from turnout.ecr.manifests import DIGEST, TAG
from turnout.ecr.operations import Operations
from turnout.ecr.pages import page
from turnout.ecr.records import Image, Repository
from turnout.errors import AwsError
from turnout.names import ACCOUNT

PULL_NOTED_EVERY_S = 24 * 3600.0
"""AWS refreshes lastRecordedPullTime "at least once every 24 hours"."""


class ImageFault(Exception):
    """A failureCode of BatchGetImage and BatchDeleteImage, and its reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Images(Operations):
    def put_image(self, call: Call) -> Answer:
        repository = self.of(call)
        body, tag = call["imageManifest"].encode(), call.get("imageTag")
        pushed = self.pushing.push(
            repository, body, call.get("imageManifestMediaType"), tag=tag, digest=call.get("imageDigest")
        )
        if not pushed.is_new:
            raise AwsError(
                "ImageAlreadyExistsException",
                f"Image with digest '{pushed.digest}' and tag '{tag or 'null'}' already exists in the repository with"
                f" name '{repository.name}' in registry with id '{ACCOUNT}'",
            )
        return {"image": self._image(repository, pushed.digest, tag)}

    def batch_get_image(self, call: Call) -> Answer:
        repository = self.of(call)
        images, failures = [], []
        for given in call["imageIds"]:
            try:
                image = self._find(repository, given)
            except ImageFault as fault:
                failures.append(_failure(given, fault))
                continue
            self.note_pull(repository, image)
            images.append(self._image(repository, image.digest, given.get("imageTag")))
        return {"images": images, "failures": failures}

    def batch_delete_image(self, call: Call) -> Answer:
        """A tag is taken off; the last one, or the digest, takes the image along."""
        repository = self.of(call)
        deleted: list[dict[str, str]] = []
        failures = []
        for given in call["imageIds"]:
            try:
                deleted += self.delete_image(repository, given)
            except ImageFault as fault:
                failures.append(_failure(given, fault))
        return {"imageIds": deleted, "failures": failures}

    def describe_images(self, call: Call) -> Answer:
        repository = self.of(call)
        if wanted := call.get("imageIds"):
            found = {}
            for given in wanted:
                try:
                    image = self._find(repository, given)
                except ImageFault as fault:
                    raise _not_found(repository, given) from fault
                found[image.digest] = image
            return {"imageDetails": [self._detail(repository, image) for image in found.values()]}
        images = [image for image in self.records.images(repository) if _passes(image.tags, call.get("filter", {}))]
        given_out, token = page(images, lambda image: image.digest, call)
        return {"imageDetails": [self._detail(repository, image) for image in given_out], "nextToken": token}

    def list_images(self, call: Call) -> Answer:
        repository = self.of(call)
        ids: list[dict[str, str]] = []
        for image in self.records.images(repository):
            if _passes(image.tags, call.get("filter", {})):
                ids += _ids(image.digest, image.tags)
        given, token = page(ids, lambda one: f"{one['imageDigest']} {one.get('imageTag', '')}", call)
        return {"imageIds": list(given), "nextToken": token}

    def start_image_scan(self, call: Call) -> Answer:
        self._check_there(self.of(call), call["imageId"])
        raise AwsError(
            "NotImplementedException",
            "ecr.StartImageScan is not implemented by turnout: nothing on this machine looks for vulnerabilities."
            " Scan images in the build, or on AWS.",
            501,
        )

    def describe_image_scan_findings(self, call: Call) -> Answer:
        repository, given = self.of(call), call["imageId"]
        image = self._check_there(repository, given)
        status = scan_status(repository)
        if status is None:
            raise AwsError(
                "ScanNotFoundException",
                f"Image scan does not exist for the image with '{_named(given)}' in the repository with name"
                f" '{repository.name}' in the registry with id '{ACCOUNT}'",
            )
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": _ids(image.digest, [given["imageTag"]] if "imageTag" in given else ())[0],
            "imageScanStatus": status,
        }

    def note_pull(self, repository: Repository, image: Image) -> None:
        now = self.clock.now()
        if image.pulled_at is None or image.pulled_at <= now - PULL_NOTED_EVERY_S:
            with self.store.transaction() as tx:
                self.records.pulled(tx, repository, image.digest, now)

    def manifest_of(self, repository: Repository, digest: str) -> bytes:
        """Raises ServerException when its file is gone."""
        try:
            return self.blobs.read(digest)
        except FileNotFoundError as error:
            message = f"the manifest {digest} of {repository.name} is missing from turnout's home: push the image again"
            raise AwsError("ServerException", message, 500) from error

    def _find(self, repository: Repository, given: Mapping[str, str]) -> Image:
        """Raises ImageFault."""
        digest, tag = given.get("imageDigest"), given.get("imageTag")
        if digest is None and tag is None:
            raise ImageFault("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
        if digest is not None and not DIGEST.fullmatch(digest):
            raise ImageFault(
                "InvalidImageDigest",
                "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            )
        if tag is not None and not TAG.fullmatch(tag):
            raise ImageFault("InvalidImageTag", f"Invalid request parameters: '{tag}' is not a tag")
        tagged = None if tag is None else self.records.tagged(repository, tag)
        image = self.records.image(repository, digest or tagged or "")
        if image is None or (tag is not None and tagged is None):
            raise ImageFault("ImageNotFound", "Requested image not found")
        if tag is not None and tagged != image.digest:
            raise ImageFault("ImageTagDoesNotMatchDigest", "Tag does not match digest")
        return image

    def _check_there(self, repository: Repository, given: Mapping[str, str]) -> Image:
        """Raises ImageNotFoundException."""
        try:
            return self._find(repository, given)
        except ImageFault as fault:
            raise _not_found(repository, given) from fault

    def delete_image(self, repository: Repository, given: Mapping[str, str]) -> list[dict[str, str]]:
        """The ids that are gone. Raises ImageFault."""
        image, tag = self._find(repository, given), given.get("imageTag")
        try:
            with self.store.transaction() as tx:
                if tag is not None and image.tags != (tag,):
                    self.pushing.untag(tx, repository, image, tag)
                    return _ids(image.digest, [tag])
                self.pushing.delete(tx, repository, image)
        except ValueError as error:
            raise ImageFault("ImageReferencedByManifestList", str(error)) from error
        return _ids(image.digest, image.tags)

    def _image(self, repository: Repository, digest: str, tag: str | None) -> dict[str, Any]:
        image = self.records.image(repository, digest)
        assert image is not None
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": _ids(digest, [tag] if tag else ())[0],
            "imageManifest": self.manifest_of(repository, digest).decode(),
            "imageManifestMediaType": image.media_type,
        }

    def _detail(self, repository: Repository, image: Image) -> dict[str, Any]:
        """AWS's ImageDetail."""
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageDigest": image.digest,
            "imageTags": list(image.tags) or None,
            "imageSizeInBytes": image.size_bytes,
            "imagePushedAt": image.pushed_at,
            "imageScanStatus": scan_status(repository),
            "imageManifestMediaType": image.media_type,
            "artifactMediaType": image.artifact_type,
            "lastRecordedPullTime": image.pulled_at,
            "subjectManifestDigest": image.subject,
            "imageStatus": "ACTIVE",
        }


def scan_status(repository: Repository) -> dict[str, str] | None:
    """What has become of the scan that a repository wants on each push: there is none here, and it says so."""
    if not repository.settings["scanOnPush"]:
        return None
    return {"status": "FAILED", "description": "turnout does not scan images: nothing has looked into this one."}


def _ids(digest: str, tags: Any) -> list[dict[str, str]]:
    return [{"imageDigest": digest, "imageTag": tag} for tag in tags] or [{"imageDigest": digest}]


def _passes(tags: tuple[str, ...], wanted: Mapping[str, str]) -> bool:
    if wanted.get("imageStatus", "ACTIVE") not in ("ACTIVE", "ANY"):
        return False
    return {"TAGGED": bool(tags), "UNTAGGED": not tags}.get(wanted.get("tagStatus", "ANY"), True)


def _failure(given: Mapping[str, str], fault: ImageFault) -> dict[str, Any]:
    return {"imageId": dict(given), "failureCode": fault.code, "failureReason": fault.reason}


def _named(given: Mapping[str, str]) -> str:
    return f"{{imageDigest:'{given.get('imageDigest', 'null')}', imageTag:'{given.get('imageTag', 'null')}'}}"


def _not_found(repository: Repository, given: Mapping[str, str]) -> AwsError:
    return AwsError(
        "ImageNotFoundException",
        f"The image with imageId {_named(given)} does not exist within the repository with name '{repository.name}'"
        f" in the registry with id '{ACCOUNT}'",
    )

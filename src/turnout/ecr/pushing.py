"""Putting an image into a repository, and taking it out: what PutImage, `docker push` and lifecycle policies share.

A manifest is a blob first, then rows, tag and event in one transaction: killed in between, the push has not happened,
and what it has left is swept away.
"""

from __future__ import annotations

from dataclasses import dataclass

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.ecr.blobs import Blobs
from turnout.ecr.events import image_event
from turnout.ecr.manifests import BadManifest, Manifest, digest_of, parse_manifest
from turnout.ecr.mutability import is_immutable
from turnout.ecr.records import Image, Records, Repository
from turnout.errors import AwsError
from turnout.names import ACCOUNT
from turnout.store import Transaction


@dataclass(frozen=True)
class Pushed:
    digest: str
    subject: str | None
    is_new: bool
    """False: there was this image under this tag already."""


class Pushing:
    def __init__(self, records: Records, blobs: Blobs, aws: Aws, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._aws = aws
        self._clock = clock

    def push(
        self,
        repository: Repository,
        body: bytes,
        media_type: str | None = None,
        *,
        tag: str | None = None,
        digest: str | None = None,
    ) -> Pushed:
        """Raises AwsError as PutImage does; an image that is there under its tag already is none."""
        try:
            manifest = parse_manifest(body, media_type)
        except BadManifest as error:
            raise AwsError(
                "InvalidParameterException",
                f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{error}'",
            ) from error
        found = digest_of(body)
        if digest is not None and digest != found:
            raise AwsError(
                "ImageDigestDoesNotMatchException",
                f"The image digest '{digest}' does not match the digest of the manifest, '{found}'",
            )
        was = None if tag is None else self._records.tagged(repository, tag)
        if tag is not None and was is not None and is_immutable(repository.settings, tag):
            raise AwsError(
                "ImageTagAlreadyExistsException",
                f"The image tag '{tag}' already exists in the '{repository.name}' repository"
                " and cannot be overwritten because the tag is immutable.",
            )
        is_known = self._records.image(repository, found) is not None
        if is_known and self._blobs.path(found).exists() and (tag is None or was == found):
            return Pushed(found, manifest.subject, is_new=False)
        size = self._check_parts(repository, manifest)
        self._blobs.put(body)
        now = self._clock.now()
        with self._records.store.transaction() as tx:
            if not is_known:
                self._records.add_image(tx, repository, found, manifest, size, now)
            if tag is not None:
                self._records.tag(tx, repository, tag, found)
            event = image_event(repository, "PUSH", found, tag, manifest.media_type, manifest.artifact_type, now)
            self._aws.announce(tx, event)
        return Pushed(found, manifest.subject, is_new=True)

    def _check_parts(self, repository: Repository, manifest: Manifest) -> int:
        """Everything that it names has been pushed. Its size."""
        layers = [digest for digest in manifest.blobs if not self._has_layer(repository, digest)]
        if layers:
            raise AwsError(
                "LayersNotFoundException",
                f"Layers with digests '[{', '.join(layers)}]' required for pushing image into repository with name"
                f" '{repository.name}' in the registry with id '{ACCOUNT}' do not exist",
            )
        sizes = [0]
        for digest in manifest.images:
            image = self._records.image(repository, digest)
            if image is None:
                raise AwsError(
                    "ReferencedImagesNotFoundException",
                    f"Images with digests '[{digest}]' required for pushing image into repository with name"
                    f" '{repository.name}' in the registry with id '{ACCOUNT}' do not exist",
                )
            sizes.append(image.size_bytes)
        return manifest.size_bytes or max(sizes)

    def _has_layer(self, repository: Repository, digest: str) -> bool:
        return self._records.layer(repository, digest) is not None and self._blobs.path(digest).exists()

    def delete(self, tx: Transaction, repository: Repository, image: Image) -> None:
        """Take an image out, with its tags, and with what is only about it (signatures, attestations).

        Its layers stay until they are swept away. Raises ValueError when an index names it.
        """
        if indices := self._records.indices_of(repository, image.digest):
            raise ValueError(
                f"Requested image referenced by manifest list: [{', '.join(indices)}]",
            )
        self._records.delete_image(tx, repository, image.digest)
        now = self._clock.now()
        for tag in image.tags or (None,):
            event = image_event(repository, "DELETE", image.digest, tag, image.media_type, image.artifact_type, now)
            self._aws.announce(tx, event)
        for digest in self._records.referrers(repository, image.digest):
            about = self._records.image(repository, digest)
            if about is not None and not self._records.indices_of(repository, digest):
                self.delete(tx, repository, about)

    def untag(self, tx: Transaction, repository: Repository, image: Image, tag: str) -> None:
        """Take a tag off an image that has others."""
        self._records.untag(tx, repository, tag)
        now = self._clock.now()
        event = image_event(repository, "DELETE", image.digest, tag, image.media_type, image.artifact_type, now)
        self._aws.announce(tx, event)

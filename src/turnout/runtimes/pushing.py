"""Telling ECR of a packed image: `docker push` without the blobs, which are in the local registry already."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from turnout.runtimes.images import Image
from turnout.runtimes.layout import MANIFEST


def push(ecr: Any, image: Image, tag: str) -> None:
    """Record an image and its tag (what stands behind the colon) in ECR. `ecr` is a boto3 client of its region.

    Raises botocore's ClientError, RepositoryNotFoundException above all.
    """
    repository = image.reference.repository
    # moto's PutImage answers 500 where AWS says RepositoryNotFoundException.
    ecr.describe_repositories(repositoryNames=[repository])
    try:
        ecr.put_image(
            repositoryName=repository,
            imageManifest=image.manifest,
            imageManifestMediaType=MANIFEST,
            imageTag=tag,
            imageDigest=image.reference.digest,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
            raise

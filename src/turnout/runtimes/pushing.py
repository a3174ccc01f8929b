"""`docker push` of a packed image: layers go over the registry's API, the manifest by PutImage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import ClientError

from turnout.errors import SetupError
from turnout.runtimes.images import Image
from turnout.runtimes.layout import MANIFEST, Layout

PATIENCE_S = 60.0


def push(ecr: Any, image: Image, tag: str, layout: Layout) -> None:
    """Put an image of a layout into ECR under a tag (what stands behind the colon). `ecr` is a client of its region.

    Raises botocore's ClientError (RepositoryNotFoundException, ImageTagAlreadyExistsException), and SetupError.
    """
    repository = image.reference.repository
    (described,) = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    same = {"imageTag": tag, "imageDigest": image.reference.digest}
    if ecr.batch_get_image(repositoryName=repository, imageIds=[same])["images"]:
        return
    (access,) = ecr.get_authorization_token()["authorizationData"]
    base = f"{access['proxyEndpoint']}/v2/{described['repositoryUri'].partition('/')[2]}/blobs"
    headers = {"Authorization": f"Basic {access['authorizationToken']}"}
    with httpx.Client(headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        for digest in image.blobs:
            if client.head(f"{base}/{digest}").status_code != httpx.codes.OK:
                _upload(client, f"{base}/uploads/", digest, layout.blob(digest))
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


def _upload(client: httpx.Client, url: str, digest: str, blob: Path) -> None:
    begun = client.post(url)
    if begun.status_code == httpx.codes.ACCEPTED:
        place = begun.url.join(begun.headers["Location"]).copy_merge_params({"digest": digest})
        with blob.open("rb") as file:
            begun = client.put(place, content=file, headers={"Content-Length": str(blob.stat().st_size)})
    if begun.status_code != httpx.codes.CREATED:
        raise SetupError(f"the registry at {url} does not take {digest}: {begun.status_code} {begun.text.strip()}")

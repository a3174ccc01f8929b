"""ECR source: the image that a tag points to, told by digest in imageDetail.json.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECR.html
https://docs.aws.amazon.com/codepipeline/latest/userguide/file-reference.html
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from turnout.aws import Aws
from turnout.codepipeline.actions.job import Job, Provider
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, Wait
from turnout.runtimes.references import registry_of

DEFAULT_TAG = "latest"


class EcrSource:
    provider = Provider("ECR", ("Source",), required=("RepositoryName",), optional=("ImageTag",), outputs=(1, 1))

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        yield from ()

    async def ensure(self, job: Job) -> Done | Wait:
        if "imageDetail" not in job.facts:
            await self._find_image(job)
        (output,) = job.outputs.values()
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("imageDetail.json", json.dumps(job.facts["imageDetail"]))
        await self._aws.call("s3", "PutObject", job.region, Bucket=output.bucket, Key=output.key, Body=body.getvalue())
        return Done()

    async def _find_image(self, job: Job) -> None:
        """Keep which image it is: a push that comes meanwhile belongs to the next execution."""
        repository, tag = job.configuration["RepositoryName"], job.configuration.get("ImageTag", DEFAULT_TAG)
        wanted = {"imageTag": tag} if job.revision is None else {"imageDigest": job.revision}
        try:
            answer = await self._aws.call(
                "ecr", "DescribeImages", job.region, repositoryName=repository, imageIds=[wanted]
            )
        except AwsError as error:
            raise StepFailed(
                "ConfigurationError", f"The image {repository}:{tag} cannot be read from ECR: {error.message}"
            ) from error
        (image,) = answer["imageDetails"]
        digest = image["imageDigest"]
        uri = f"{registry_of(job.region, image['registryId'])}/{repository}@{digest}"
        page = f"https://{job.region}.console.aws.amazon.com/ecr/repositories/private/{image['registryId']}"
        job.learn(
            imageDetail={
                "ImageSizeInBytes": str(image["imageSizeInBytes"]),
                "ImageDigest": digest,
                "Version": "1.0",
                "ImagePushedAt": _date(image["imagePushedAt"]),
                "RegistryId": image["registryId"],
                "RepositoryName": repository,
                "ImageURI": uri,
                "ImageTags": image["imageTags"] or [],
            },
            revision={
                "id": digest,
                "summary": f"Amazon ECR image {repository}:{tag}",
                "created": image["imagePushedAt"],
                "url": f"{page}/{repository}?region={job.region}",
            },
            variables={
                "RegistryId": image["registryId"],
                "RepositoryName": repository,
                "ImageTag": tag,
                "ImageDigest": digest,
                "ImageURI": uri,
            },
            externalExecutionId=digest,
        )


def watches_image(action: Mapping[str, Any], repository: str, tag: str | None) -> bool:
    """Whether a push of the tag is what an action waits for."""
    configuration = action.get("configuration", {})
    return bool(
        action["actionTypeId"]["provider"] == "ECR"
        and configuration["RepositoryName"] == repository
        and configuration.get("ImageTag", DEFAULT_TAG) == tag
    )


def _date(at: float) -> str:
    """Mon Jan 21 20:04:00 UTC 2019"""
    return datetime.fromtimestamp(at, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")

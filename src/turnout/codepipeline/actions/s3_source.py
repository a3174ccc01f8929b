"""S3 source: the newest version of an object, copied into the artifact bucket as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from turnout.aws import Aws
from turnout.codepipeline.actions.codecommit import poll_faults
from turnout.codepipeline.actions.job import Job, Provider
from turnout.errors import AwsError, StepFailed
from turnout.runner import Done, Wait

LARGEST_BYTES = 1 << 30
"""AWS's limit of a source artifact that is stored in S3."""


class S3Source:
    provider = Provider(
        "S3",
        ("Source",),
        required=("S3Bucket", "S3ObjectKey"),
        optional=("PollForSourceChanges", "AllowOverrideForS3ObjectKey"),
        outputs=(1, 1),
    )

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def faults(self, configuration: Mapping[str, str], inputs: tuple[str, ...], outputs: int) -> Iterator[str]:
        if configuration.get("AllowOverrideForS3ObjectKey", "false").lower() != "false":
            yield "AllowOverrideForS3ObjectKey is not implemented by turnout"
        yield from poll_faults(configuration)

    async def ensure(self, job: Job) -> Done | Wait:
        bucket, key = job.configuration["S3Bucket"], job.configuration["S3ObjectKey"]
        if "revision" not in job.facts:
            await self._find_revision(job, bucket, key)
        (output,) = job.outputs.values()
        version = job.facts["revision"]["id"]
        await self._aws.call(
            "s3",
            "CopyObject",
            job.region,
            Bucket=output.bucket,
            Key=output.key,
            CopySource={"Bucket": bucket, "Key": key, "VersionId": version},
        )
        return Done()

    async def _find_revision(self, job: Job, bucket: str, key: str) -> None:
        params = {} if job.revision is None else {"VersionId": job.revision}
        try:
            head = await self._aws.call("s3", "HeadObject", job.region, Bucket=bucket, Key=key, **params)
        except AwsError as error:
            raise StepFailed(
                "ConfigurationError",
                f"The object with key '{key}' in bucket '{bucket}' cannot be read: {error.message}",
            ) from error
        version = head.get("VersionId")
        if version is None or version == "null":
            raise StepFailed(
                "ConfigurationError", f"The bucket '{bucket}' must be versioned: an S3 source takes a version of {key}"
            )
        if head["ContentLength"] > LARGEST_BYTES:
            raise StepFailed("ConfigurationError", f"{key} is larger than 1 GB, the limit of a source artifact")
        etag = head["ETag"].strip('"')
        job.learn(
            revision={
                "id": version,
                "summary": f"Amazon S3 version id: {version}",
                "created": _seconds(head.get("LastModified")),
                "url": f"https://{job.region}.console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key)}",
            },
            variables={"ETag": etag, "VersionId": version, "BucketName": bucket, "ObjectKey": key},
            summary=f"Amazon S3 version id: {version}",
            externalExecutionId=version,
        )


def _seconds(at: Any) -> float | None:
    return at.timestamp() if isinstance(at, datetime) else at

"""Where the source of a build comes from: a pipeline's artifact or a zip in S3, a CodeCommit repository, nowhere."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from turnout.aws import Aws
from turnout.codebuild.spec import Build
from turnout.errors import AwsError, StepFailed
from turnout.runtimes.archives import BadArchive, unpack

_CLONE_URL = re.compile(
    r"[a-z]+://(?:[^/@]*@)?(?P<host>[^/]+)/v1/repos/(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/)?(?P<name>[\w.-]+)/?"
)
_AWS_HOST = re.compile(r"git-codecommit\.(?P<region>[a-z0-9-]+)\.")


def parse_clone_url(url: str, region: str) -> tuple[str, str] | None:
    """(region, repository) of a CodeCommit URL, AWS's or ours; None if it is none."""
    found = _CLONE_URL.fullmatch(url)
    if found is None:
        return None
    host = _AWS_HOST.match(found["host"])
    return found["region"] or (host["region"] if host else region), found["name"]


def parse_s3_location(location: str) -> tuple[str, str]:
    """(bucket, key) of "bucket/key" or an ARN; a key that ends in / is a folder."""
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    return bucket, key


class Sources:
    """Puts a source where the build expects it."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def download(self, build: Build, number: int) -> str | None:
        """Fill the (empty) folder of a source; its version, if it has one. Raises StepFailed in AWS's words."""
        source = build.sources[number]
        folder = build.source_folder(number)
        folder.mkdir(parents=True)
        version = self._version(build, number)
        try:
            if source["type"] in ("CODEPIPELINE", "S3"):
                return await self._from_s3(build.region, source, folder, version)
            if source["type"] == "CODECOMMIT":
                return await self._from_codecommit(build.region, source, folder, version)
        except AwsError as error:
            raise StepFailed(
                "CLIENT_ERROR", f"{error} for primary source and source version {version or ''}"
            ) from error
        return None

    async def read_object(self, region: str, location: str) -> str:
        """The text of a buildspec that lies in S3."""
        bucket, key = parse_s3_location(location)
        try:
            answer = await self._aws.call("s3", "GetObject", region, Bucket=bucket, Key=key)
        except AwsError as error:
            raise StepFailed("YAML_FILE_ERROR", f"{location}: {error}") from error
        return bytes(answer["Body"]).decode()

    def _version(self, build: Build, number: int) -> str | None:
        if number == 0:
            version: str | None = build.spec.get("sourceVersion")
            # A pipeline's source has its version in its key.
            return None if build.sources[0]["type"] == "CODEPIPELINE" else version
        identifier = build.sources[number]["sourceIdentifier"]
        versions = {each["sourceIdentifier"]: each["sourceVersion"] for each in build.spec["secondarySourceVersions"]}
        return versions.get(identifier)

    async def _from_s3(self, region: str, source: dict[str, Any], folder: Path, version: str | None) -> str | None:
        bucket, key = parse_s3_location(source["location"])
        if key.endswith("/") or not key:
            await self._folder_from_s3(region, bucket, key, folder)
            return None
        given = {"VersionId": version} if version else {}
        answer = await self._aws.call("s3", "GetObject", region, Bucket=bucket, Key=key, **given)
        try:
            await asyncio.to_thread(unpack, bytes(answer["Body"]), folder)
        except BadArchive as error:
            raise StepFailed(
                "CLIENT_ERROR", f"s3://{bucket}/{key} is not a zip that can be unpacked: {error}"
            ) from error
        metadata = answer.get("Metadata") or {}
        found: str | None = metadata.get("codecommit-commit-id") or answer.get("VersionId") or answer.get("ETag")
        return found.strip('"') if found else None

    async def _folder_from_s3(self, region: str, bucket: str, prefix: str, folder: Path) -> None:
        token: dict[str, str] = {}
        while True:
            page = await self._aws.call("s3", "ListObjectsV2", region, Bucket=bucket, Prefix=prefix, **token)
            for item in page.get("Contents", []):
                name = item["Key"].removeprefix(prefix)
                if not name or name.endswith("/") or ".." in name.split("/"):
                    continue
                answer = await self._aws.call("s3", "GetObject", region, Bucket=bucket, Key=item["Key"])
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(bytes(answer["Body"]))
            if not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def _from_codecommit(self, region: str, source: dict[str, Any], folder: Path, version: str | None) -> str:
        where = parse_clone_url(source["location"], region)
        assert where is not None, "checked by StartBuild"
        answer = await self._aws.call(
            "codecommit",
            "CloneRepository",
            where[0],
            repositoryName=where[1],
            version=version,
            depth=source.get("gitCloneDepth") or None,
            folder=str(folder),
        )
        return str(answer["commitId"])

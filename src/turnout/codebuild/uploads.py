"""The artifacts of a build, put into S3. Doing it twice leaves the same objects."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from turnout.aws import Aws
from turnout.codebuild.artifacts import NoArtifacts, Selection, select
from turnout.codebuild.buildspec import Artifacts, Buildspec
from turnout.codebuild.evaluating import evaluated
from turnout.codebuild.output import Output
from turnout.codebuild.spec import Build
from turnout.errors import AwsError, StepFailed
from turnout.runtimes.archives import pack


class Uploads:
    """Selects, packs and puts."""

    def __init__(self, aws: Aws, output: Output) -> None:
        self._aws = aws
        self._output = output

    async def upload(self, build: Build, buildspec: Buildspec) -> dict[str, Any]:
        """The build's `artifacts` and `secondaryArtifacts`. Raises StepFailed CLIENT_ERROR."""
        primary, found = build.spec["artifacts"], {"location": ""}
        block = buildspec.secondary_artifacts.get(primary.get("artifactIdentifier") or "", buildspec.artifacts)
        if primary["type"] != "NO_ARTIFACTS":
            if block is None:
                self._output.say(build, "The buildspec names no artifacts: nothing is uploaded")
            else:
                found = await self._upload_one(build, primary, block)
        secondary = []
        for each in build.spec["secondaryArtifacts"]:
            identifier = each["artifactIdentifier"]
            block = buildspec.secondary_artifacts.get(identifier)
            if block is None:
                raise StepFailed("CLIENT_ERROR", f"the buildspec has no secondary-artifacts named {identifier}")
            secondary.append(await self._upload_one(build, each, block))
        return {"artifacts": found, "secondaryArtifacts": secondary}

    async def _upload_one(self, build: Build, wanted: dict[str, Any], block: Artifacts) -> dict[str, Any]:
        try:
            selection = await asyncio.to_thread(select, build.source_folder(0), block)
        except NoArtifacts as error:
            self._output.say(build, *error.said)
            raise StepFailed("CLIENT_ERROR", str(error)) from error
        self._output.say(build, *selection.said)
        bucket = wanted["location"].removeprefix("arn:aws:s3:::").strip("/")
        key = await self._key(build, wanted, block)
        described: dict[str, Any] = {"location": f"arn:aws:s3:::{bucket}/{key}"}
        for member in ("artifactIdentifier", "encryptionDisabled", "overrideArtifactName"):
            if wanted.get(member) is not None:
                described[member] = wanted[member]
        try:
            if wanted.get("packaging") == "ZIP":
                described |= await self._put_zip(build, bucket, key, selection, keeps_links=block.enable_symlinks)
            else:
                await self._put_files(build, bucket, key, selection)
        except AwsError as error:
            raise StepFailed("CLIENT_ERROR", f"Failed to upload artifacts to {bucket}/{key}: {error}") from error
        return described

    async def _put_zip(
        self, build: Build, bucket: str, key: str, selection: Selection, *, keeps_links: bool
    ) -> dict[str, Any]:
        body = await asyncio.to_thread(pack, selection.base, selection.entries, keeps_links=keeps_links)
        sha256, md5 = hashlib.sha256(body), hashlib.md5(body, usedforsecurity=False)
        metadata = {
            "codebuild-buildarn": build.arn,
            "codebuild-content-sha256": sha256.hexdigest(),
            "codebuild-content-md5": base64.b64encode(md5.digest()).decode(),
        }
        await self._aws.call(
            "s3", "PutObject", build.region, cause=build.id, Bucket=bucket, Key=key, Body=body, Metadata=metadata
        )
        return {"sha256sum": sha256.hexdigest(), "md5sum": md5.hexdigest()}

    async def _put_files(self, build: Build, bucket: str, key: str, selection: Selection) -> None:
        for path, name in selection.entries:
            body = await asyncio.to_thread((selection.base / path).read_bytes)
            target = f"{key}/{name}".lstrip("/")
            await self._aws.call("s3", "PutObject", build.region, Bucket=bucket, Key=target, Body=body)

    async def _key(self, build: Build, wanted: dict[str, Any], block: Artifacts) -> str:
        """path/namespace/name, each of them optional."""
        name = wanted.get("name") or ""
        if wanted.get("overrideArtifactName") and block.name:
            name = await evaluated(build, block.name, "artifacts.name")
        parts = [wanted.get("path") or ""]
        if wanted.get("namespaceType") == "BUILD_ID":
            parts.append(build.uuid)
        parts.append("" if name == "/" else name)
        return "/".join(part.strip("/") for part in parts if part.strip("/"))

"""Files inside an artifact's zip. Deploy actions read single files of small artifacts."""

from __future__ import annotations

import io
import zipfile

from turnout.aws import Aws
from turnout.codepipeline.actions.job import Artifact
from turnout.errors import AwsError, StepFailed


class Bundle:
    """The files of one artifact, in memory."""

    def __init__(self, artifact: Artifact, body: bytes) -> None:
        self.artifact = artifact
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(body))
        except zipfile.BadZipFile as error:
            where = f"s3://{artifact.bucket}/{artifact.key}"
            raise StepFailed(
                "ConfigurationError", f"Artifact {artifact.name} ({where}) is not a zip: {error}"
            ) from error

    def find(self, path: str) -> str | None:
        """The text of a file, None if there is none."""
        try:
            return self._zip.read(path.removeprefix("./")).decode("utf-8-sig")
        except KeyError:
            return None
        except (UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise StepFailed("ConfigurationError", f"{path} of artifact {self.artifact.name}: {error}") from error

    @property
    def names(self) -> list[str]:
        return [name for name in self._zip.namelist() if not name.endswith("/")]


async def read_bundle(aws: Aws, region: str, artifact: Artifact, largest_bytes: int) -> Bundle:
    """Raises StepFailed if the artifact is missing or larger than the provider takes."""
    where = f"artifact {artifact.name} (s3://{artifact.bucket}/{artifact.key})"
    try:
        head = await aws.call("s3", "HeadObject", region, Bucket=artifact.bucket, Key=artifact.key)
        if head["ContentLength"] > largest_bytes:
            raise StepFailed(
                "ConfigurationError",
                f"{where} has {head['ContentLength']} bytes; the limit for this action is {largest_bytes}."
                " Let the build put only the files that the deployment needs into it.",
            )
        answer = await aws.call("s3", "GetObject", region, Bucket=artifact.bucket, Key=artifact.key)
    except AwsError as error:
        raise StepFailed("ConfigurationError", f"{where} cannot be read: {error.message}") from error
    return Bundle(artifact, answer["Body"])

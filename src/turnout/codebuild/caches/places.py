"""Where caches are kept: in S3, or in the home of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from turnout.aws import Aws
from turnout.errors import AwsError

LEFT_ALONE_S = 14 * 24 * 3600.0
MOST_BYTES = 5 << 30
DEFAULT_KEY = "default"
_SUFFIX = ".tar.gz"


class Place(Protocol):
    """Caches of one project, by key."""

    words: str

    async def fetch(self, key: str, fallbacks: Sequence[str], target: Path) -> str | None:
        """Write the cache of a key, or the newest of a key that begins as a fallback, into `target`: the key found."""

    async def keep(self, key: str, archive: Path) -> None:
        """Raises AwsError."""

    async def forget(self) -> None:
        """All of them."""


class S3Place:
    """Objects <prefix>/<project or namespace>/<key>.tar.gz"""

    def __init__(self, aws: Aws, region: str, location: str, scope: str) -> None:
        bucket, _, prefix = location.removeprefix("arn:aws:s3:::").partition("/")
        self._aws, self._region, self._bucket = aws, region, bucket
        self._prefix = "/".join(filter(None, (prefix.strip("/"), scope))) + "/"
        self.words = f"s3://{bucket}/{self._prefix}"

    async def fetch(self, key: str, fallbacks: Sequence[str], target: Path) -> str | None:
        for wanted, is_exact in ((key, True), *((fallback, False) for fallback in fallbacks)):
            name = f"{self._prefix}{wanted}{_SUFFIX}" if is_exact else await self._newest(f"{self._prefix}{wanted}")
            if name is None:
                continue
            try:
                answer = await self._aws.call("s3", "GetObject", self._region, Bucket=self._bucket, Key=name)
            except AwsError as error:
                if error.code != "NoSuchKey":
                    raise
                continue
            target.write_bytes(bytes(answer["Body"]))
            return name.removeprefix(self._prefix).removesuffix(_SUFFIX)
        return None

    async def keep(self, key: str, archive: Path) -> None:
        name = f"{self._prefix}{key}{_SUFFIX}"
        body = archive.read_bytes()
        await self._aws.call("s3", "PutObject", self._region, Bucket=self._bucket, Key=name, Body=body)

    async def forget(self) -> None:
        for item in await self._list(self._prefix):
            await self._aws.call("s3", "DeleteObject", self._region, Bucket=self._bucket, Key=item["Key"])

    async def _newest(self, prefix: str) -> str | None:
        found = await self._list(prefix)
        return max(found, key=lambda item: item["LastModified"])["Key"] if found else None

    async def _list(self, prefix: str) -> list[dict[str, Any]]:
        page = await self._aws.call("s3", "ListObjectsV2", self._region, Bucket=self._bucket, Prefix=prefix)
        return list(page.get("Contents") or [])


class HomePlace:
    """Files of the home. Old ones go, and the oldest when there are too many bytes."""

    def __init__(self, folder: Path, region: str, scope: str) -> None:
        self._all = folder
        self._folder = folder / region / scope
        self.words = "this machine"

    async def fetch(self, key: str, fallbacks: Sequence[str], target: Path) -> str | None:
        found = self._file(key)
        try:
            shutil.copyfile(found, target)
        except FileNotFoundError:
            return None
        os.utime(found)
        return key

    async def keep(self, key: str, archive: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{os.urandom(8).hex()}"
        shutil.copyfile(archive, draft)
        draft.replace(self._file(key))
        prune(self._all)

    async def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}{_SUFFIX}"


def prune(folder: Path, now: float | None = None, most_bytes: int = MOST_BYTES) -> None:
    """Remove what no build has used for two weeks, and the longest unused until `most_bytes` are left."""
    now = time.time() if now is None else now
    stats = [(file.stat(), file) for file in folder.rglob("*") if file.is_file()]
    left = most_bytes
    for stat, file in sorted(stats, key=lambda each: each[0].st_mtime, reverse=True):
        left -= stat.st_size
        if left < 0 or stat.st_mtime < now - LEFT_ALONE_S:
            file.unlink(missing_ok=True)

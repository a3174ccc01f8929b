"""Hook files and what lies beside them: fetched when a deployment is created, and kept by hash while it runs.

A script reads its files from here, so what is put into S3 afterwards changes nothing.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.aws import Aws
from turnout.codedeploy.appspec import invalid
from turnout.errors import AwsError
from turnout.hookfile import Hook, parse_hooks
from turnout.hookplace import HOOK_FILE, HookPlace, place_in
from turnout.runtimes.archives import BadArchive, keep_unpacked
from turnout.yamlfile import YamlError


@dataclass(frozen=True)
class HookFile:
    """A turnout.yml that was found."""

    hooks: Mapping[str, Hook]
    bundle: str | None = None
    """The hash of the zip that it came in; None: it came alone."""
    folder: str = ""
    """Where it lies in the zip."""


class Bundles:
    def __init__(self, aws: Aws, folder: Path) -> None:
        self._aws = aws
        self._folder = folder

    async def find(self, region: str, revision: Mapping[str, Any], text: str) -> HookFile | None:
        """The hook file of an AppSpec: where its comment says, or beside it in S3. Raises InvalidRevisionException."""
        try:
            place = place_in(text)
        except ValueError as error:
            raise invalid(f"The AppSpec's comment on its hook file cannot be used: {error}.") from error
        if place is not None:
            body = await self._body(region, place)
            if body is None:
                raise invalid(f"The hook file {place}, which the AppSpec names, is not there.")
            return self._read(place, body)
        if revision["revisionType"] != "S3":
            return None
        given = revision["s3Location"]
        place = HookPlace(given["bucket"], posixpath.join(posixpath.dirname(given["key"]), HOOK_FILE))
        body = await self._body(region, place)
        return None if body is None else self._read(place, body)

    def place_of(self, bundle: str, folder: str) -> Path:
        """Where the files beside a turnout.yml lie."""
        return self._folder / bundle / folder

    def forget_all_but(self, needed: Iterable[str]) -> None:
        kept = set(needed)
        for place in self._folder.iterdir() if self._folder.exists() else ():
            if place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)

    def _read(self, place: HookPlace, body: bytes) -> HookFile:
        try:
            if place.path is None:
                return HookFile(parse_hooks(_text(body, str(place)), HOOK_FILE))
            bundle = keep_unpacked(body, self._folder)
            file = bundle / place.path
            if not _is_file(file) or not file.resolve().is_relative_to(bundle.resolve()):
                raise invalid(f"There is no {place.path} in s3://{place.bucket}/{place.key}.")
            hooks = parse_hooks(_text(file.read_bytes(), str(place)), place.path)
        except YamlError as error:
            raise invalid(f"The hook file is invalid: {error}") from error
        except BadArchive as error:
            raise invalid(f"s3://{place.bucket}/{place.key} is no zip: {error}.") from error
        return HookFile(hooks, bundle.name, posixpath.dirname(place.path))

    async def _body(self, region: str, place: HookPlace) -> bytes | None:
        try:
            answer = await self._aws.call("s3", "GetObject", region, Bucket=place.bucket, Key=place.key)
        except AwsError as error:
            if error.code in ("NoSuchKey", "NoSuchBucket"):
                return None
            raise invalid(f"The hook file {place} could not be read: {error.message}") from error
        body = answer["Body"]
        return body if isinstance(body, bytes) else str(body).encode()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _text(body: bytes, where: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(f"The hook file {where} is not UTF-8 text: {error.reason} at byte {error.start}.") from error

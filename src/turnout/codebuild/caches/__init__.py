"""The cache of a build: what an earlier one has left, before its commands, and what it leaves, after them.

Where AWS's documents are silent: a cache is kept by a build that has succeeded so far, and a cache that cannot be
restored or kept is said in the log and fails nothing.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-caching.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.aws import Aws
from turnout.codebuild.buildspec import Buildspec
from turnout.codebuild.caches.archive import BadCache, pack_cache, unpack_cache
from turnout.codebuild.caches.paths import CachePath, files_of, parse_cache_path
from turnout.codebuild.caches.places import DEFAULT_KEY, HomePlace, Place, S3Place
from turnout.codebuild.evaluating import evaluated
from turnout.codebuild.output import Output
from turnout.codebuild.spec import Build
from turnout.config import Config
from turnout.errors import AwsError, StepFailed

CUSTOM = "LOCAL_CUSTOM_CACHE"
LOCAL_MODES = {
    "LOCAL_DOCKER_LAYER_CACHE": "the layers of Docker are those of this machine's engine, which keeps them",
    "LOCAL_SOURCE_CACHE": "sources lie on this machine: there is nothing to be kept of them",
}


def place_of(cache: Mapping[str, Any], project: str, region: str, aws: Aws, config: Config) -> Place | None:
    """Where the paths of a project's cache are kept; None if they are not."""
    if cache["type"] == "S3":
        return S3Place(aws, region, cache["location"], cache.get("cacheNamespace") or project)
    if cache["type"] == "LOCAL" and CUSTOM in cache.get("modes", ()):
        return HomePlace(config.build_caches, region, project)
    return None


class Caches:
    def __init__(self, aws: Aws, config: Config, output: Output) -> None:
        self._aws = aws
        self._config = config
        self._output = output

    async def restore(self, build: Build, buildspec: Buildspec) -> None:
        """Before the first command; the environment is known."""
        for mode in build.spec["cache"].get("modes") or ():
            if mode in LOCAL_MODES:
                self._output.say(build, f"turnout: {mode}: {LOCAL_MODES[mode]}")
        place = self._place(build)
        if place is None:
            return
        if not self._paths(build, buildspec):
            self._output.say(build, "Unable to initialize cache download: no paths specified to save")
            return
        if not buildspec.cache.restores:
            return
        archive = build.folder / "cache"
        try:
            fallbacks = [await self._key(build, key) for key in buildspec.cache.fallback_keys]
            found = await place.fetch(await self._key(build, buildspec.cache.key), fallbacks, archive)
            if found is None:
                self._output.say(build, f"No cache was found in {place.words}")
                return
            count = await asyncio.to_thread(unpack_cache, archive, _roots(build))
            self._output.say(build, f"Restored cache {found} from {place.words}: {count} file(s)")
        except (AwsError, BadCache, StepFailed, OSError) as error:
            self._output.say(build, f"Unable to download cache: {error}")
        finally:
            archive.unlink(missing_ok=True)

    async def save(self, build: Build, buildspec: Buildspec) -> None:
        """After the last command of a build that has succeeded."""
        place = self._place(build)
        if place is None:
            return
        paths = self._paths(build, buildspec)
        if not paths:
            self._output.say(build, "Unable to initialize cache upload: no paths specified to save")
            return
        if not buildspec.cache.saves:
            return
        archive = build.folder / "cache"
        roots = _roots(build)
        try:
            files: dict[tuple[str, str], None] = {}
            for written, path in paths.items():
                found = await asyncio.to_thread(files_of, path, roots)
                self._output.say(build, f"Expanding cache path {written}", f"Found {len(found)} file(s)")
                files |= dict.fromkeys((path.root, file) for file in found)
            if not files:
                self._output.say(build, "Nothing to be cached was found")
                return
            await asyncio.to_thread(pack_cache, archive, files, roots)
            key = await self._key(build, buildspec.cache.key)
            await place.keep(key, archive)
            self._output.say(build, f"Saved cache {key} to {place.words}: {len(files)} file(s)")
        except (AwsError, StepFailed, OSError) as error:
            self._output.say(build, f"Unable to upload cache: {error}")
        finally:
            archive.unlink(missing_ok=True)

    def _place(self, build: Build) -> Place | None:
        return place_of(build.spec["cache"], build.project, build.region, self._aws, self._config)

    def _paths(self, build: Build, buildspec: Buildspec) -> dict[str, CachePath]:
        """As written → where that is. What lies outside of the build is said, and left out."""
        found = {}
        for written in buildspec.cache.paths:
            path = parse_cache_path(written, _roots(build))
            if path is None:
                self._output.say(
                    build, f"turnout: {written} is not cached: it is outside of the source and of the build's HOME"
                )
            else:
                found[written] = path
        return found

    async def _key(self, build: Build, text: str | None) -> str:
        return await evaluated(build, text, "cache.key") if text else DEFAULT_KEY


def _roots(build: Build) -> dict[str, Path]:
    return {"src": build.source_folder(0), "home": build.folder / "home"}

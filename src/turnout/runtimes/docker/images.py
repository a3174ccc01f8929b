"""Images of an engine: a tag becomes a digest once, and containers are made of digests only.

As ECS's agent does by default, an image is pulled anew to learn what its tag means now, and the one at hand is used
when that fails. An image that was built here and never pushed exists nowhere else: its id stands for its digest.
"""

from __future__ import annotations

import logging
from typing import Any

from docker.errors import APIError
from docker.utils import parse_repository_tag

from turnout.errors import StepFailed
from turnout.runtimes.docker.engine import Engine, said
from turnout.runtimes.docker.words import cannot_pull, wrong_platform

log = logging.getLogger(__name__)


class EngineImages:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def resolve(self, image: str) -> str:
        """repository@sha256:… of what a reference means now. Raises StepFailed in the words of ECS."""
        try:
            repository, tag = parse_repository_tag(image)
        except ValueError as error:
            raise StepFailed("CannotPullContainerError", f"invalid reference format: {error}") from error
        found = await self._at_hand(image)
        if tag and tag.startswith("sha256:"):
            if found is None:
                await self._pull(repository, tag, image)
            return image
        if found is None or found.get("RepoDigests"):
            try:
                await self._pull(repository, tag or "latest", image)
            except StepFailed as error:
                if found is None:
                    raise
                log.warning("%s is used as it is here: %s", image, error)
            found = await self._at_hand(image)
        if found is None:
            raise StepFailed("CannotPullContainerError", cannot_pull(image, "not found", self._engine.platform))
        self._check_platform(image, found)
        digests = [one.partition("@")[2] for one in found.get("RepoDigests") or () if one.startswith(f"{repository}@")]
        return f"{repository}@{digests[0] if digests else found['Id']}"

    async def id_of(self, reference: str) -> str:
        """The engine's id of an image by digest; pulled when it is not there. Raises StepFailed."""
        found = await self._at_hand(reference)
        if found is None:
            repository, digest = parse_repository_tag(reference)
            await self._pull(repository, digest, reference)
            found = await self._at_hand(reference)
        if found is None:
            raise StepFailed("CannotPullContainerError", cannot_pull(reference, "not found", self._engine.platform))
        self._check_platform(reference, found)
        return str(found["Id"])

    async def _at_hand(self, reference: str) -> dict[str, Any] | None:
        """What the engine knows of an image, by tag, by digest, or by the id that stands for it."""
        for name in (reference, reference.partition("@")[2]):
            if name and (found := await self._engine.find(self._engine.client.inspect_image, name)):
                return dict(found)
        return None

    async def _pull(self, repository: str, tag: str, image: str) -> None:
        """Raises StepFailed."""
        try:
            await self._engine.aside(self._pull_now, repository, tag)
        except APIError as error:
            raise StepFailed(
                "CannotPullContainerError", cannot_pull(image, said(error), self._engine.platform)
            ) from error

    def _pull_now(self, repository: str, tag: str) -> None:
        """Blocking. An error that comes after the answer has begun is a line of it."""
        for line in list(self._engine.client.pull(repository, tag=tag, stream=True, decode=True)):
            if "error" in line:
                raise APIError(line["error"], explanation=line["error"])

    def _check_platform(self, image: str, found: dict[str, Any]) -> None:
        platform = f"{found.get('Os') or 'linux'}/{found['Architecture']}"
        if platform != self._engine.platform:
            raise StepFailed("CannotPullContainerError", wrong_platform(image, platform, self._engine.platform))

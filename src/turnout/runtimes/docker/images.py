"""Images of an engine: a tag becomes a digest once, and containers are made of digests only.

As ECS's agent does by default, an image is pulled anew to learn what its tag means now, and the one at hand is used
when that fails. An image that was built here and never pushed exists nowhere else: its id stands for its digest.
What lies in ECR is pulled from this machine's registry, with a token of its own; it is told by AWS's name all the same.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from docker.auth import encode_header
from docker.errors import APIError
from docker.utils import parse_repository_tag

from turnout.config import Config
from turnout.errors import StepFailed
from turnout.registry import USER
from turnout.runtimes.docker.engine import Engine, said
from turnout.runtimes.docker.words import cannot_pull, wrong_platform
from turnout.runtimes.references import name_for_engine

log = logging.getLogger(__name__)


class EngineImages:
    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._registry = config.registry
        self._tokens = config.registry_tokens

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
        names = {repository, (name_for_engine(image, self._registry) or image).rpartition(":")[0]}
        known = [one.partition("@") for one in found.get("RepoDigests") or ()]
        digests = [digest for name, _, digest in known if name in names]
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
        for name in (name_for_engine(reference, self._registry), reference, reference.partition("@")[2]):
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
        client = self._engine.client
        here = name_for_engine(f"{repository}{'@' if ':' in tag else ':'}{tag}", self._registry)
        if here is None:
            lines = client.pull(repository, tag=tag, stream=True, decode=True)
        elif self._engine.is_podman:
            lines = self._pulled_by_podman(here)
        else:
            name, tag = parse_repository_tag(here)
            lines = client.pull(name, tag=tag, stream=True, decode=True, auth_config=self._credentials())
        for line in list(lines):
            if "error" in line:
                raise APIError(line["error"], explanation=line["error"])

    def _pulled_by_podman(self, name: str) -> list[dict[str, Any]]:
        """Only its own API can be told that there is no TLS."""
        client = self._engine.client
        answer = client.post(
            f"{client.base_url}/v4.0.0/libpod/images/pull",
            params={"reference": name, "tlsVerify": "false"},
            headers={"X-Registry-Auth": encode_header(self._credentials())},
        )
        client._raise_for_status(answer)
        return [json.loads(line) for line in answer.text.splitlines()]

    def _credentials(self) -> dict[str, str]:
        return {"username": USER, "password": self._tokens.mint(time.time())[0]}

    def _check_platform(self, image: str, found: dict[str, Any]) -> None:
        platform = f"{found.get('Os') or 'linux'}/{found['Architecture']}"
        if platform != self._engine.platform:
            raise StepFailed("CannotPullContainerError", wrong_platform(image, platform, self._engine.platform))

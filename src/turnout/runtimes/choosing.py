"""Which runtime an engine gets, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.config import Config
from turnout.errors import SetupError
from turnout.runtimes import Runtime
from turnout.runtimes.process import ProcessRuntime

if TYPE_CHECKING:
    from turnout.runtimes.docker.engine import Engine


def choose(config: Config) -> tuple[Runtime, str]:
    """The runtime that `config.runtime` asks for, and what was chosen and why, for people.

    Raises SetupError when there is no engine for the containers that are asked for, or that this home has already.
    """
    process = ProcessRuntime(config)
    if config.runtime == "process":
        return process, "process (--runtime process)"
    found, why_not = _look_for_engine()
    if found is None and (config.runtime == "docker" or config.containers.exists()):
        asked = "--runtime docker" if config.runtime == "docker" else f"the containers of {config.home}"
        raise SetupError(f"{asked}: {why_not}")
    if found is None:
        return process, f"process ({why_not})"
    from turnout.runtimes.docker import DockerRuntime

    containers = DockerRuntime(config, found)
    if config.runtime == "docker":
        return containers, f"{found.words} (--runtime docker)"
    from turnout.runtimes.byimage import ByImage

    return ByImage(process, containers), f"{found.words}, because it answers; what `turnout pack` made as processes"


def _look_for_engine() -> tuple[Engine | None, str]:
    """The first engine that answers, or why there is none."""
    # Without a socket docker-py, which is slow to import, is not even looked at.
    from turnout.runtimes.sockets import sockets

    places = sockets()
    reasons = []
    for place in places:
        from turnout.runtimes.docker.engine import Engine

        try:
            return Engine(place), ""
        except SetupError as error:
            reasons.append(str(error))
    return None, "; ".join(reasons) or "there is no socket of Docker or Podman on this machine, and no DOCKER_HOST"

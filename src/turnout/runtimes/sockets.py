"""Where engines listen. Reads the environment and the file system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from turnout.errors import SetupError

SYSTEM = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))


def sockets(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Docker's and Podman's, each as a system's and as a user's; DOCKER_HOST stands for them all.

    Raises SetupError when DOCKER_HOST leads to another machine.
    """
    if given := environment.get("DOCKER_HOST"):
        scheme, _, place = given.partition("://")
        if scheme != "unix":
            raise SetupError(
                f"DOCKER_HOST is {given}: turnout can only use an engine of this machine, through its socket"
                " (unix:///var/run/docker.sock), because the load balancer must reach the ports of containers."
            )
        return [Path(place)]
    places = list(SYSTEM)
    if own := environment.get("XDG_RUNTIME_DIR"):
        places += [Path(own) / "docker.sock", Path(own) / "podman" / "podman.sock"]
    return [place for place in places if place.exists()]

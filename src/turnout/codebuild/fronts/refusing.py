"""What a build is told whose project has no privilegedMode: it reaches no Docker, as on AWS. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from turnout.codebuild.fronts.docker import split

WITHOUT_DAEMON = ("", "login", "logout", "help", "context", "completion")
"""What docker does by itself."""

REFUSAL = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
    "turnout: the environment of this project has no privilegedMode, and without it builds reach no Docker, here as on"
    " AWS. Set it: privilegedMode: true (Terraform: privileged_mode = true)."
)


def is_refused(arguments: Sequence[str]) -> bool:
    """Whether a command of docker's needs the daemon."""
    _, verb, rest = split(arguments)
    if "--help" in rest or "-h" in rest[:1]:
        return False
    return verb.split(" ")[0] not in WITHOUT_DAEMON and verb not in ("buildx version", "compose version")

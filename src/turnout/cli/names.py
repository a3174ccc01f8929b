"""How the parts of a bootstrapped stack are called: everything follows from one name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from turnout.errors import SetupError

LONGEST = 24
"""A target group's name has at most 32 characters, and "-green" must fit."""


@dataclass(frozen=True)
class StackNames:
    """`name` is the repository, the build project, the load balancer, the cluster, the service, the application, the
    deployment group and the pipeline; the rest adds a word."""

    name: str

    @property
    def bucket(self) -> str:
        return f"{self.name}-artifacts"

    @property
    def blue(self) -> str:
        return f"{self.name}-blue"

    @property
    def green(self) -> str:
        return f"{self.name}-green"

    @property
    def topic(self) -> str:
        return f"{self.name}-releases"

    def role(self, of: str) -> str:
        """of: "pipeline", "build", "deploy" or "execution"."""
        return f"{self.name}-{of}"


def names_for(text: str) -> StackNames:
    """The names for an application called `text` (a folder's name, or what --name says). Raises SetupError."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST].strip("-")
    if len(name) < 2 or name.startswith("internal-"):
        raise SetupError(f"no stack can be named after {text!r}: give it a name of letters and digits with --name.")
    return StackNames(name)

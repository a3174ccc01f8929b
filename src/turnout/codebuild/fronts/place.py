"""Where the registry is, and what AWS's names of its repositories are there."""

from __future__ import annotations

import re
from dataclasses import dataclass

ACCOUNT = "000000000000"
_ECR = re.compile(
    rf"(?:https?://)?{ACCOUNT}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?P<rest>/[^\s]+)?/?"
)


@dataclass(frozen=True)
class Place:
    """`address` is host:port; `region` the one whose repositories need no region in their name."""

    address: str
    region: str

    def local(self, text: str) -> str | None:
        """An ECR name, or host, as it is here; None for anything else."""
        found = _ECR.fullmatch(text)
        if found is None:
            return None
        region = "" if found["region"] == self.region or not found["rest"] else f"/{found['region']}"
        return f"{self.address}{region}{found['rest'] or ''}"

    def is_image(self, text: str) -> bool:
        """Whether it is an ECR name of an image, and not of a registry alone."""
        found = _ECR.fullmatch(text)
        return found is not None and bool(found["rest"])

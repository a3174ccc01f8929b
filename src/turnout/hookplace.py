"""Where the hook file of a deployment lies: a comment at the end of its AppSpec, which AWS reads past. Pure.

    # turnout.yml: s3://bucket/key.zip#path/in/the/zip/turnout.yml
    # turnout.yml: s3://bucket/key

Whoever hands an AppSpec over (CodeDeployToECS, `turnout deploy`) writes it; CreateDeployment reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HOOK_FILE = "turnout.yml"

_COMMENT = re.compile(r"^# turnout\.yml: (\S.*)$", re.MULTILINE)
_PLACE = re.compile(r"s3://(?P<bucket>[^/#]+)/(?P<key>[^#]+)(?:#(?P<path>.+))?")


@dataclass(frozen=True)
class HookPlace:
    bucket: str
    key: str
    path: str | None = None
    """In the zip that the object is; None: the object is the file itself."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}" + (f"#{self.path}" if self.path else "")


def place_in(text: str) -> HookPlace | None:
    """The place that an AppSpec names, the last one. Raises ValueError for a comment that names none."""
    comments = _COMMENT.findall(text)
    if not comments:
        return None
    found = _PLACE.fullmatch(comments[-1].strip())
    if found is None:
        raise ValueError(f"{comments[-1]} is not s3://bucket/key, nor s3://bucket/key.zip#path")
    return HookPlace(found["bucket"], found["key"], found["path"])


def with_place(text: str, place: HookPlace | None) -> str:
    """The AppSpec, YAML or JSON, with the comment."""
    return text if place is None else f"{text.rstrip()}\n# turnout.yml: {place}\n"

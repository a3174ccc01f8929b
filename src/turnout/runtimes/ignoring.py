"""What a .dockerignore leaves out. Pure; the rules are Docker's: https://docs.docker.com/build/concepts/context/"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ignored:
    """The patterns of one file, in their order: the last one that matches decides."""

    patterns: tuple[tuple[re.Pattern[str], bool], ...]
    """(pattern, whether it leaves out or brings back)"""

    def __contains__(self, path: object) -> bool:
        """Whether a path, relative to the folder and with forward slashes, is left out."""
        is_out = False
        for pattern, leaves_out in self.patterns:
            if pattern.match(str(path)):
                is_out = leaves_out
        return is_out

    @property
    def brings_back(self) -> bool:
        """Whether something below a folder that is left out may be in."""
        return any(not leaves_out for _, leaves_out in self.patterns)


def parse_ignored(lines: Iterable[str]) -> Ignored:
    patterns = []
    for line in lines:
        if line.startswith("#") or not (text := line.strip()):
            continue
        leaves_out = not text.startswith("!")
        text = posixpath.normpath(text.removeprefix("!").strip()).lstrip("/")
        if text and text != ".":
            patterns.append((re.compile(_expression(text) + r"(/.*)?\Z", re.DOTALL), leaves_out))
    return Ignored(tuple(patterns))


def _expression(pattern: str) -> str:
    """Go's filepath.Match with ** for any number of folders."""
    made, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            made, i = made + "(.*/)?", i + 3
        elif pattern.startswith("**", i):
            made, i = made + ".*", i + 2
        elif pattern[i] == "*":
            made, i = made + "[^/]*", i + 1
        elif pattern[i] == "?":
            made, i = made + "[^/]", i + 1
        elif pattern[i] == "[" and (end := pattern.find("]", i + 2)) > 0:
            made, i = made + pattern[i : end + 1].replace("\\", "\\\\"), end + 1
        elif pattern[i] == "\\" and i + 1 < len(pattern):
            made, i = made + re.escape(pattern[i + 1]), i + 2
        else:
            made, i = made + re.escape(pattern[i]), i + 1
    return made

"""Where the paths of a buildspec's cache lie, and which files they are.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.cache
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from turnout.codebuild.artifacts import files_below, pattern_of

_GLOB = re.compile(r"[*?\[]")
_HOMES = ("/root/", "~/", "$HOME/", "${HOME}/")
"""On AWS, where a build is root, these are the same."""


@dataclass(frozen=True)
class CachePath:
    """`root` is "src" (the primary source) or "home"; `pattern` is relative to it."""

    root: str
    pattern: str


def parse_cache_path(written: str, roots: Mapping[str, Path]) -> CachePath | None:
    """None for a path that is outside of the build."""
    text = written.strip()
    for home in _HOMES:
        if f"{text}/".startswith(home):
            return _below("home", text[len(home) - 1 :].lstrip("/"))
    if not text.startswith("/"):
        return _below("src", text)
    for name, folder in roots.items():
        if f"{text}/".startswith(f"{folder}/"):
            return _below(name, text[len(str(folder)) :].lstrip("/"))
    return None


def _below(root: str, pattern: str) -> CachePath | None:
    parts = [part for part in PurePosixPath(pattern).parts if part != "."]
    return None if ".." in parts else CachePath(root, "/".join(parts))


def files_of(path: CachePath, roots: Mapping[str, Path]) -> list[str]:
    """What is there of a path, relative to its root: files and symbolic links; of a directory all that is in it."""
    root = roots[path.root]
    parts = path.pattern.split("/") if path.pattern else []
    fixed = next((number for number, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    base = "/".join(parts[:fixed])
    place = root / base
    if place.is_symlink() or place.is_file():
        return [base] if fixed == len(parts) else []
    if not place.is_dir():
        return []
    pattern = pattern_of("/".join(parts[fixed:]) or "**")
    found = (file for file in files_below(place, follows=False) if pattern.fullmatch(file))
    return [f"{base}/{file}" if base else file for file in found]

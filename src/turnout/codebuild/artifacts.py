"""Which files of a build are its artifacts: CodeBuild's patterns, over the paths below a base directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from turnout.codebuild.buildspec import Artifacts

_GLOB = re.compile(r"[*?\[]")


class NoArtifacts(Exception):
    """Nothing to keep: the message is AWS's, and so is what the log has to say about it."""

    def __init__(self, message: str, said: Sequence[str]) -> None:
        super().__init__(message)
        self.said = tuple(said)


@dataclass(frozen=True)
class Selection:
    """What was found."""

    base: Path
    entries: tuple[tuple[str, str], ...]
    """(path below the base, path in the artifact)"""
    said: tuple[str, ...]
    """For the log, in AWS's words."""


def select(source: Path, artifacts: Artifacts) -> Selection:
    """Raises NoArtifacts."""
    base_directory = artifacts.base_directory or "."
    said = [f"Expanding base directory path: {base_directory}", "Assembling file list"]
    base = find_base(source, base_directory)
    if base is None:
        raise NoArtifacts(f"no matching base directory path found for {base_directory}", said)
    said += [f"Expanding {base_directory}", f"Expanding file paths for base directory {base_directory}"]
    said.append("Assembling file list")
    patterns = [normalised(pattern, base) for pattern in artifacts.files]
    excluded = [normalised(pattern, base) for pattern in artifacts.exclude_paths]
    follows = not artifacts.enable_symlinks
    every = list(files_below(base, follows=follows)) if any(_GLOB.search(pattern) for pattern in patterns) else []
    found: dict[str, None] = {}
    for written, pattern in zip(artifacts.files, patterns, strict=True):
        said.append(f"Expanding {written}")
        matches = matching(pattern, every) if _GLOB.search(pattern) else literal(base, pattern)
        matches = [path for path in matches if not any(pattern_of(other).fullmatch(path) for other in excluded)]
        said.append(f"Found {len(matches)} file(s)" if matches else f"Skipping invalid file path {written}")
        found |= dict.fromkeys(matches)
    if not found:
        raise NoArtifacts("no matching artifact paths found", said)
    prefix = f"{artifacts.s3_prefix.strip('/')}/" if artifacts.s3_prefix else ""
    flat = artifacts.discard_paths
    entries = tuple((path, prefix + (path.rpartition("/")[2] if flat else path)) for path in found)
    return Selection(base, entries, tuple(said))


def find_base(source: Path, directory: str) -> Path | None:
    """The base directory, which may be a pattern; the first match, if there are several."""
    pattern = normalised(directory, source)
    if not _GLOB.search(pattern):
        base = source / pattern
        return base if base.is_dir() else None
    folders = sorted(str(Path(root).relative_to(source)) for root, _, _ in os.walk(source))
    return next((source / folder for folder in folders if pattern_of(pattern).fullmatch(folder)), None)


def normalised(pattern: str, base: Path) -> str:
    """A pattern without ./ and without the base itself, if it is written as an absolute path below it."""
    if pattern.startswith("/"):
        absolute = str(base.resolve()) + "/"
        pattern = pattern.removeprefix(absolute) if pattern.startswith(absolute) else pattern
    parts = [part for part in pattern.split("/") if part != "."]
    return "/".join(parts) or "."


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    expression = pattern_of(pattern)
    return [path for path in paths if expression.fullmatch(path)]


def literal(base: Path, path: str) -> Sequence[str]:
    """A single file; a directory is none, as on AWS, where its files are `directory/**/*`."""
    file = base / path
    return [path] if not path.startswith(("/", "../")) and (file.is_file() or file.is_symlink()) else []


@lru_cache(maxsize=256)
def pattern_of(pattern: str) -> re.Pattern[str]:
    """CodeBuild's globs: ** crosses directories, * and ? do not."""
    expression = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            expression += "(?:.*/)?"
            position += 3
        elif pattern.startswith("**", position):
            expression += ".*"
            position += 2
        elif pattern[position] == "*":
            expression += "[^/]*"
            position += 1
        elif pattern[position] == "?":
            expression += "[^/]"
            position += 1
        elif pattern[position] == "[" and (end := pattern.find("]", position + 2)) > 0:
            inside = pattern[position + 1 : end].replace("\\", "\\\\")
            expression += f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            position = end + 1
        else:
            expression += re.escape(pattern[position])
            position += 1
    return re.compile(expression, re.DOTALL)


def files_below(base: Path, *, follows: bool, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """The paths of all files below a directory, in order. A link to a directory is followed, or is itself a file."""
    above |= {os.path.realpath(base)}
    for entry in sorted(os.scandir(base), key=lambda entry: entry.name):
        if not entry.is_dir(follow_symlinks=follows):
            yield entry.name
        elif os.path.realpath(entry.path) not in above:
            for path in files_below(Path(entry.path), follows=follows, above=above):
                yield f"{entry.name}/{path}"

"""The archive of a cache: a compressed tar, in which each file is named by its root and its path below it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

LEVEL = 1
"""What is cached has mostly been compressed before."""


class BadCache(Exception):
    """It cannot be unpacked."""


def pack_cache(archive: Path, files: Iterable[tuple[str, str]], roots: Mapping[str, Path]) -> int:
    """(root, path) of each file. The number of files; one that goes away meanwhile is left out."""
    count = 0
    with tarfile.open(archive, "w:gz", compresslevel=LEVEL) as tar:
        for root, path in files:
            try:
                tar.add(roots[root] / path, f"{root}/{path}", recursive=False)
            except FileNotFoundError:
                continue
            count += 1
    return count


def unpack_cache(archive: Path, roots: Mapping[str, Path]) -> int:
    """The number of files that came. What is there already (the source) stays as it is. Raises BadCache."""
    count = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                root, _, path = member.name.partition("/")
                if root not in roots or not path:
                    raise BadCache(f"{member.name} belongs nowhere")
                if (roots[root] / path).exists():
                    continue
                tar.extract(member.replace(name=path), roots[root], filter=_within)
                count += 1
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BadCache(str(error)) from error
    return count


def _within(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Nothing is written outside of the folder; links may lead anywhere, as those of a virtual environment do."""
    return tarfile.tar_filter(member, folder)

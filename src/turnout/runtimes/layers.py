"""Layers: an application folder as a tar archive that depends on its contents alone, and back to files, read-only."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from turnout.errors import StepFailed
from turnout.runtimes.ignoring import Ignored

APPLICATION = "app"
"""Where the folder lies in the image: /app."""


def write_layer(folder: Path, ignored: Ignored, without: Path, to: IO[bytes]) -> None:
    """The folder as a gzipped tar, the same bytes for the same contents.

    Times, owners and the umask leave no trace; of the modes only the executable bit stays. Left out: .git, what
    `ignored` says, the folder `without` (the engine's home, should it lie inside), sockets and devices.
    """
    zipped = gzip.GzipFile(filename="", fileobj=to, mode="wb", mtime=0, compresslevel=6)
    with zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_folder(APPLICATION))
        for path in _walk(folder, folder, ignored, without):
            name = f"{APPLICATION}/{path.relative_to(folder).as_posix()}"
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                tar.addfile(_folder(name))
            elif stat.S_ISLNK(mode):
                link = tarfile.TarInfo(name)
                link.type, link.linkname, link.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
                tar.addfile(link)
            else:
                with path.open("rb") as file:
                    entry = tarfile.TarInfo(name)
                    entry.size = os.fstat(file.fileno()).st_size
                    entry.mode = 0o755 if mode & stat.S_IXUSR else 0o644
                    tar.addfile(entry, file)


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _walk(top: Path, folder: Path, ignored: Ignored, without: Path) -> Iterator[Path]:
    """Every file, link and folder that is in, parents first, by name."""
    for path in sorted(folder.iterdir()):
        if path.name == ".git" or path == without:
            continue
        mode = path.lstat().st_mode
        is_out = path.relative_to(top).as_posix() in ignored
        if stat.S_ISDIR(mode):
            below = [] if is_out and not ignored.brings_back else list(_walk(top, path, ignored, without))
            if below or not is_out:
                yield path
            yield from below
        elif not is_out and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            yield path


def unpack_layer(archive: IO[bytes], root: Path) -> None:
    """Extract a gzipped layer below `root`, read-only. Nothing is written through a link, or outside of `root`.

    Raises StepFailed for an entry that would, and for what a packed image never holds (devices, whiteouts).
    """
    folders = {PurePosixPath("."): root}
    with tarfile.open(fileobj=archive, mode="r|gz") as tar:
        for entry in tar:
            name = PurePosixPath(entry.name)
            if name == PurePosixPath("."):
                continue
            if name.is_absolute() or ".." in name.parts or name.name.startswith(".wh."):
                raise _refused(entry)
            for parent in reversed(name.parents):
                if parent not in folders and not os.path.lexists(root / parent):
                    (root / parent).mkdir()
                    folders[parent] = root / parent
            path = root / name
            if name.parent not in folders or (os.path.lexists(path) and name not in folders):
                raise _refused(entry)
            if entry.isdir():
                if name not in folders:
                    path.mkdir()
                    folders[name] = path
            elif entry.issym():
                path.symlink_to(entry.linkname)
            elif entry.isreg() and (content := tar.extractfile(entry)) is not None:
                # O_EXCL neither overwrites nor follows a link.
                with path.open("xb") as file:  # Exclusive: neither overwrites nor follows a link.
                    shutil.copyfileobj(content, file)
                    os.fchmod(file.fileno(), 0o555 if entry.mode & 0o100 else 0o444)
            else:
                raise _refused(entry)
    for folder in reversed(folders.values()):
        folder.chmod(0o555)


def _refused(entry: tarfile.TarInfo) -> StepFailed:
    return StepFailed(
        "CannotPullContainerError",
        f"failed to extract layer: the entry {entry.name!r} is not one that an image made by `turnout pack` holds",
    )

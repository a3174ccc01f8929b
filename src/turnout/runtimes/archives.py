"""Zips: unpacked with file modes and symbolic links, and packed the same way."""

from __future__ import annotations

import errno
import hashlib
import io
import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from turnout.names import new_hex

UNIX = 3
"""`create_system` of an entry whose modes mean something."""


DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a compression that Python has not
    RuntimeError,  # a password
    EOFError,
    ValueError,
)
"""What zipfile raises, and the libraries below it, for bytes that are no zip they could read."""
IMPOSSIBLE = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOENT, errno.ELOOP, errno.EINVAL)
"""What the system says to names that cannot be together, or at all; a full disk is not the archive's fault."""


class BadArchive(Exception):
    """The bytes are no zip, or one that would write outside of its folder."""


def unpack(body: bytes, folder: Path) -> int:
    """Unpack a zip below `folder`; the number of files. Raises BadArchive."""
    root = folder.resolve()
    links: list[tuple[Path, str]] = []
    count = 0
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for entry in archive.infolist():
                target = (root / entry.filename).resolve()
                if target != root and root not in target.parents:
                    raise BadArchive(f"{entry.filename} would be written outside of the folder")
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                count += 1
                mode = entry.external_attr >> 16
                target.parent.mkdir(parents=True, exist_ok=True)
                if stat.S_ISLNK(mode):
                    links.append((target, archive.read(entry).decode("utf-8", "surrogateescape")))
                    continue
                with archive.open(entry) as source, target.open("wb") as file:
                    while chunk := source.read(1 << 20):
                        file.write(chunk)
                if entry.create_system == UNIX and mode:
                    target.chmod(stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
        # Links come last, so that no entry is written through one.
        for target, points_to in links:
            target.unlink(missing_ok=True)
            target.symlink_to(points_to)
    except OSError as error:
        if error.errno not in IMPOSSIBLE:
            raise
        raise BadArchive(f"{error.strerror}: {error.filename}".replace(f"{root}/", "")) from error
    except DAMAGED as error:
        raise BadArchive(str(error)) from error
    return count


def keep_unpacked(body: bytes, folder: Path) -> Path:
    """The zip as a folder below `folder` that is named by its SHA-256, and never changed. Raises BadArchive."""
    place = folder / hashlib.sha256(body).hexdigest()
    if place.exists():
        return place
    draft = folder / f".{new_hex(16)}"
    draft.mkdir(parents=True)
    try:
        unpack(body, draft)
        draft.replace(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def pack(base: Path, entries: Iterable[tuple[str, str]], *, keeps_links: bool) -> bytes:
    """A zip of (path below `base`, path in the zip)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:
        for path, named in entries:
            # A zip's names are UTF-8; Linux's are any bytes.
            name = os.fsencode(named).decode("utf-8", "replace")
            file = base / path
            if keeps_links and file.is_symlink():
                link = zipfile.ZipInfo(name)
                link.create_system = UNIX
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(link, str(file.readlink()))
            elif file.is_file():
                archive.write(file, name)
    return buffer.getvalue()

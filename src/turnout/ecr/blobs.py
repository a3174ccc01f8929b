"""The bytes: blobs by their digest in the home's image layout, and uploads beside them that are not whole yet.

An upload is a file that grows at its end. What has come stays, also through a crash: the client asks how much that is,
and goes on there. A blob appears whole under its name, after its digest has been checked. Blocking: call in threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from turnout.runtimes.layout import Layout


class WrongDigest(ValueError):
    """`found` is the digest of what was uploaded."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class Blobs:
    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)
        self._uploads = folder / "uploads"

    def path(self, digest: str) -> Path:
        return self._layout.blob(digest)

    def read(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def put(self, body: bytes) -> str:
        """Keep some bytes. Their digest."""
        with self._layout.draft() as file:
            file.write(body)
            return str(self._layout.keep(file)["digest"])

    def begin(self, upload: str) -> None:
        self._uploads.mkdir(parents=True, exist_ok=True)
        (self._uploads / upload).touch(mode=0o600)

    def received(self, upload: str) -> int:
        """How many bytes of an upload are here."""
        return (self._uploads / upload).stat().st_size

    def append(self, upload: str, chunk: bytes) -> None:
        with (self._uploads / upload).open("ab") as file:
            file.write(chunk)

    def finish(self, upload: str, digest: str) -> int:
        """Make a blob of an upload. Its size. Raises WrongDigest."""
        path = self._uploads / upload
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            if found != digest:
                raise WrongDigest(found)
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o444)
            size = os.fstat(file.fileno()).st_size
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        return size

    def abandon(self, upload: str) -> None:
        (self._uploads / upload).unlink(missing_ok=True)

    # Sweeping

    @contextmanager
    def exclusively(self) -> Iterator[bool]:
        """Whether nobody is packing an image meanwhile: its blobs lie there before anything names them."""
        with self._layout.locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as is_held:
            yield is_held

    def packed(self) -> set[str]:
        """What the images of `turnout pack` need."""
        return self._layout.named()

    def all(self) -> set[str]:
        try:
            names = os.listdir(self.path("sha256:"))  # noqa: PTH208 names alone, of thousands
        except FileNotFoundError:
            return set()
        return {f"sha256:{name}" for name in names if not name.startswith(".")}

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def remove_drafts(self) -> None:
        """What a crash has left; nobody makes any while this is held exclusively."""
        for draft in self.path("sha256:").glob(".draft-*"):
            draft.unlink(missing_ok=True)

    def all_uploads(self) -> set[str]:
        try:
            return set(os.listdir(self._uploads))  # noqa: PTH208
        except FileNotFoundError:
            return set()

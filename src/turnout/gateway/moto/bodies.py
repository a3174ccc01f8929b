"""Bodies of S3 objects and of large requests: files named by the hash of what they hold.

A file is written when a body comes, forced to disk when something durable is about to point to it, and removed after
a snapshot that no longer does. Bodies of up to INLINE bytes stay where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from turnout.gateway.moto.files import force

INLINE = 4096


class Bodies:
    """The folder of bodies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: set[str] = set()

    def put(self, body: bytes) -> str:
        """Keep a body; return its name. Not durable before `sync`."""
        name = hashlib.sha256(body).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            try:
                draft.write_bytes(body)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
            draft.chmod(0o600)
            draft.rename(path)
            self._unsynced.add(name)
        return name

    def get(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def sync(self, names: Collection[str]) -> None:
        """Force these to disk."""
        due = self._unsynced.intersection(names)
        for name in due:
            force(self._folder / name)
        if due:
            force(self._folder)
            self._unsynced -= due

    def keep_only(self, names: Collection[str]) -> None:
        """Remove all others."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink()
                    self._unsynced.discard(path.name)


class Body:
    """What moto's S3 takes for the temporary file of an object's value: written once, read from the start."""

    folder: Bodies
    """moto is one per process, and so is this: where bodies go."""

    def __init__(self, max_size: int = 0) -> None:
        self._at = 0
        self.inline: bytes | None = b""
        self.name: str | None = None

    def write(self, body: bytes) -> int:
        self.inline, self.name = (body, None) if len(body) <= INLINE else (None, Body.folder.put(body))
        self._at = len(body)
        return len(body)

    def read(self, size: int = -1) -> bytes:
        body = self.inline if self.name is None else Body.folder.get(self.name)
        assert body is not None
        part = body[self._at :] if size < 0 else body[self._at : self._at + size]
        self._at += len(part)
        return part

    def seek(self, at: int) -> int:
        self._at = at
        return at

    def truncate(self) -> None:
        self.inline, self.name = b"", None

    def close(self) -> None:
        """The file stays: another version may hold the same."""

    def __getstate__(self) -> dict[str, object]:
        return {"_at": 0, "inline": self.inline, "name": self.name}

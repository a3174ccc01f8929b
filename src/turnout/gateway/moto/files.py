"""Files that survive the machine, and that only their owner may read: they hold keys and secrets."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Put a file in place of the old one, whole or not at all; durable when it returns."""
    draft = path.with_name(f"{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)  # half a draft would hold on to room that is wanted
        raise
    force(path.parent)


def force(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

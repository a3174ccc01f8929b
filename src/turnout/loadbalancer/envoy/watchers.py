"""How many more files Envoy may watch: it takes an inotify instance for each, and aborts when there is none left.

The kernel grants a user 128 (fs.inotify.max_user_instances), editors and other engines included.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

SPARE = 24
"""Instances that are left to others, and to clusters that Envoy replaces: it watches the former and the new."""
TAKEN_WITHIN_S = 5.0
"""By then Envoy has certainly read what it was told, and opened what it needs for it."""

_libc = ctypes.CDLL(None, use_errno=True)


def free_watchers(wanted: int) -> int:
    """How many instances are to be had now, up to `wanted`. They are tried, for nothing else tells."""
    opened: list[int] = []
    try:
        while len(opened) < wanted and (descriptor := _libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            opened.append(descriptor)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return len(opened)


class Watchers:
    """Grants files to watch, and remembers for a while what Envoy has been granted but may not have opened yet."""

    def __init__(self, free: Callable[[int], int] = free_watchers) -> None:
        self._free = free
        self._grants: list[tuple[float, int]] = []

    def available(self, wanted: int) -> int:
        """How many of `wanted` files Envoy may watch besides."""
        now = time.monotonic()
        self._grants = [(at, count) for at, count in self._grants if now - at < TAKEN_WITHIN_S]
        owed = sum(count for _, count in self._grants) + SPARE
        return max(0, self._free(wanted + owed) - owed)

    def take(self, wanted: int) -> bool:
        """Grant all of `wanted`, or none."""
        if self.available(wanted) < wanted:
            return False
        self._grants.append((time.monotonic(), wanted))
        return True

"""What the kernel says about processes: identity, kinship, and the descriptor that tells of an end. Reads /proc only.

A pid alone names nobody: it is given away again. A process is its pid, the tick at which it started and the boot in
which it did.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PIDFD_OPEN = 434
"""The system call's number on every architecture; some builds of Python do not carry the function."""


@dataclass(frozen=True)
class Identity:
    """One process among all that ever had its pid."""

    pid: int
    start_tick: int
    boot_id: str


@dataclass(frozen=True)
class Stat:
    """The part of /proc/<pid>/stat that we use."""

    pid: int
    state: str
    """One letter; Z and X are dead."""
    parent: int
    group: int
    session: int
    start_tick: int
    cpu_ticks: int
    """Of itself, and of its children that it has buried."""
    resident_pages: int

    @property
    def is_dead(self) -> bool:
        return self.state in "ZXx"


def parse_stat(line: str) -> Stat:
    """One line of /proc/<pid>/stat. The name in parentheses may itself hold spaces and parentheses."""
    pid, _, rest = line.partition(" ")
    fields = rest.rpartition(")")[2].split()
    return Stat(
        pid=int(pid),
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start_tick=int(fields[19]),
        cpu_ticks=sum(map(int, fields[11:15])),
        resident_pages=int(fields[21]),
    )


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_alive(identity: Identity) -> bool:
    stat = stat_of(identity.pid)
    return (
        stat is not None
        and not stat.is_dead
        and stat.start_tick == identity.start_tick
        and identity.boot_id == boot_id()
    )


def every_process() -> Iterator[Stat]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (stat := stat_of(int(entry.name))) is not None:
            yield stat


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    try:
        pids = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        found = [stat for stat in map(stat_of, pids) if stat is not None]
    except (FileNotFoundError, ProcessLookupError):
        # The process is gone, or the kernel was built without this file.
        found = [stat for stat in every_process() if stat.parent == pid]
    return [stat.pid for stat in found if not stat.is_dead]


def usage_below(pids: Collection[int]) -> dict[int, tuple[float, int]]:
    """pid → (seconds of CPU, resident bytes) of everything that descends from it, itself left out.

    What processes share counts for each of them.
    """
    children: dict[int, list[Stat]] = {}
    for stat in every_process():
        if not stat.is_dead:
            children.setdefault(stat.parent, []).append(stat)
    found = {}
    for pid in pids:
        ticks = pages = 0
        left = list(children.get(pid, ()))
        while left:
            stat = left.pop()
            ticks += stat.cpu_ticks
            pages += stat.resident_pages
            left += children.get(stat.pid, ())
        found[pid] = (ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))
    return found


def open_pidfd(identity: Identity) -> int | None:
    """A descriptor that turns readable when the process ends; None if it has ended. Works for foreign children too."""
    try:
        fd = os.pidfd_open(identity.pid) if hasattr(os, "pidfd_open") else _pidfd_by_number(identity.pid)
    except ProcessLookupError:
        return None
    if not is_alive(identity):
        # Looked at after the descriptor was opened: it cannot have become somebody else's in between.
        os.close(fd)
        return None
    return fd


def _pidfd_by_number(pid: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(_PIDFD_OPEN, pid, 0)
    if fd < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return fd


def reap(pid: int) -> None:
    """Bury an ended child; nothing if it was never ours (it is, too, when the engine is process 1 of a container)."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return

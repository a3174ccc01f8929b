"""What a machine can lack, in words: room on its disk, descriptors, the permission to write. Pure.

A hindrance is neither the caller's fault nor a bug: nothing has been lost, and what was under way goes on by itself as
soon as it is gone. Whoever was asked answers so (503, which clients try again), and steps wait.
"""

from __future__ import annotations

import errno
import os
import sqlite3

from turnout.errors import Hindered

LACKS = {
    errno.ENOSPC: "the disk is full: free some room",
    errno.EDQUOT: "the disk quota is used up: free some room",
    errno.EFBIG: "a file may not grow any more: raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only: mount it for writing",
    errno.EIO: "the disk does not read or write as it should: look at the kernel's log (dmesg)",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n) and start the engine again",
    errno.ENFILE: "too many open files on this machine: raise fs.file-max",
    errno.ENOMEM: "there is no memory left: end something",
}
REFUSED = {
    errno.EACCES: "permission denied: whoever runs turnout must own its home",
    errno.EPERM: "permission denied: whoever runs turnout must own its home",
}
OF_SQLITE = {
    sqlite3.SQLITE_FULL: LACKS[errno.ENOSPC],
    sqlite3.SQLITE_READONLY: "the database may not be written: look at its permissions, and at the mount of its home",
    sqlite3.SQLITE_IOERR: LACKS[errno.EIO],
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: look at the permissions of its folder, and at ulimit -n",
    sqlite3.SQLITE_BUSY: "the database is locked by another program: end that one",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program: end that one",
    sqlite3.SQLITE_NOMEM: LACKS[errno.ENOMEM],
}


def hindrance(error: BaseException | None) -> str | None:
    """What is lacking, where, and what to do about it; None if the error, or its cause, is something else."""
    while error is not None:
        if isinstance(error, Hindered):
            return str(error)
        if isinstance(error, sqlite3.OperationalError):
            # The low byte is the kind; the others say more than people want to know.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_FULL) & 0xFF
            return f"{OF_SQLITE[code]} ({error})" if code in OF_SQLITE else None
        if isinstance(error, OSError) and error.errno in LACKS:
            return _located(error, LACKS[error.errno])
        error = error.__cause__
    return None


def refusal(error: BaseException) -> str | None:
    """As `hindrance`, missing permissions included: for what happens before there is anything under way."""
    if isinstance(error, OSError) and error.errno in REFUSED:
        return _located(error, REFUSED[error.errno])
    return hindrance(error)


def _located(error: OSError, what: str) -> str:
    return f"{what} ({os.fsdecode(error.filename)})" if error.filename else f"{what} ({error.strerror})"

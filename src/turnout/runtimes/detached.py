"""Processes that outlive the engine: started once, found again by their folder, their exit code learnt in any case.

A folder belongs to one process for ever and holds all there is to know about it:

    pid       boot and /proc/<pid>/stat of the supervisor, written by itself before it does anything else
    output    what the command wrote, both streams
    sandbox   bubblewrap's own status (only in a sandbox): the process that heads it
    killed    we sent SIGKILL to everything, the supervisor included, so nobody was left to write `exit`
    exit      the exit code, 128 + signal for a signal; complete when it ends in a newline

See `supervisor` for how they come about.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal as signals
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from turnout.runtimes.processes import (
    Identity,
    children_of,
    every_process,
    is_alive,
    open_pidfd,
    parse_stat,
    reap,
    stat_of,
)
from turnout.runtimes.supervisor import WITH_LEFTOVERS, WITHOUT_LEFTOVERS, fork, has_claimed

SANDBOX_STATUS_FD = 3
"""Where the first command of a sandboxed argv (bubblewrap) writes its status: --json-status-fd 3."""

_LOOKS, _LOOK_S = 20, 0.005


class Detached:
    """The one process of a folder, running or ended."""

    def __init__(self, folder: Path, identity: Identity | None) -> None:
        self.folder = folder
        self.identity = identity
        """None: the machine died while the supervisor wrote it."""
        self._pidfd: int | None = None
        self._acts: list[Callable[[], None]] = []

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def started_at(self) -> float:
        """Unix time."""
        return (self.folder / "pid").stat().st_mtime

    @property
    def ended_at(self) -> float | None:
        """Unix time; None while it runs, and when nobody saw it end."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "exit").stat().st_mtime
        return None

    def is_alive(self) -> bool:
        """Whether the command runs, or its exit code is just being written."""
        return self.identity is not None and is_alive(self.identity)

    def exit_code(self) -> int | None:
        """None while it runs, and when nobody could learn it (somebody killed the supervisor, or the machine died)."""
        was_alive = self.is_alive()  # Asked first: whoever was dead before we look has written all there will be.
        with contextlib.suppress(FileNotFoundError):
            text = (self.folder / "exit").read_text()
            if text.endswith("\n"):
                return int(text)
        if not was_alive and (self.folder / "killed").exists():
            return 128 + signals.SIGKILL
        return None

    def on_exit(self, act: Callable[[], None]) -> None:
        """Call `act` in the running loop once the process has ended: soon, if it has already."""
        loop = asyncio.get_running_loop()
        if self._pidfd is None:
            self._pidfd = None if self.identity is None else open_pidfd(self.identity)
            if self._pidfd is None:
                if self.identity is not None:
                    reap(self.identity.pid)
                loop.call_soon(act)
                return
            loop.add_reader(self._pidfd, self._ended)
        self._acts.append(act)

    async def wait(self) -> int | None:
        """Until it has ended; its exit code."""
        over = asyncio.get_running_loop().create_future()
        self.on_exit(lambda: None if over.done() else over.set_result(None))
        await over
        return self.exit_code()

    def signal(self, number: int) -> None:
        """Signal the command and everything that it started in its session; nothing if it has ended.

        What has not begun yet cannot be asked to end: it is killed whatever the signal.
        """
        if self.identity is None or not self.is_alive():
            return
        if not (self.folder / "sandbox").exists():
            has_begun = bool(children_of(self.identity.pid))
            if has_begun and number != signals.SIGKILL:
                _signal_group(self.identity.pid, number)
            else:
                self._kill_session(self.identity.pid)
            return
        head = self.head_of_sandbox()
        if head is None:
            self._kill_session(self.identity.pid)
        elif number == signals.SIGKILL or not children_of(head):
            # The head is process 1 of its namespace: the kernel ends whatever lives in there, daemons included.
            with contextlib.suppress(ProcessLookupError):
                os.kill(head, signals.SIGKILL)
        else:
            _signal_group(head, number)

    def close(self) -> None:
        """Stop watching; the process goes on."""
        self._acts.clear()
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _ended(self) -> None:
        acts = list(self._acts)
        self.close()
        if self.identity is not None:
            reap(self.identity.pid)
        for act in acts:
            act()

    def head_of_sandbox(self) -> int | None:
        """The process that heads the sandbox, if it is (still) a grandchild of our supervisor."""
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError, IndexError):
            head = stat_of(json.loads((self.folder / "sandbox").read_text().splitlines()[0])["child-pid"])
            parent = head and stat_of(head.parent)
            if head and parent and self.identity and parent.parent == self.identity.pid:
                return head.pid
        return None

    def _kill_session(self, leader: int) -> None:
        (self.folder / "killed").touch()
        _signal_group(leader, signals.SIGKILL)
        for stat in every_process():
            if stat.session == leader and not stat.is_dead:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stat.pid, signals.SIGKILL)


async def spawn(
    folder: Path,
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path | None = None,
    *,
    in_sandbox: bool = False,
    leaves_children: bool = False,
) -> Detached:
    """Start the process of a folder, unless it has one: then that one, running or ended.

    `in_sandbox`: argv is bubblewrap's, with --json-status-fd SANDBOX_STATUS_FD, --new-session and --die-with-parent.
    `leaves_children`: what the command started in the background goes on after it (in a sandbox it never does).
    A command that does not exist ends with 127, one that may not be executed with 126, the reason in its output.
    Raises OSError when not even the shell starts: no such directory, no process left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (already := find(folder)) is not None:
        return already
    script = WITH_LEFTOVERS if leaves_children or in_sandbox else WITHOUT_LEFTOVERS
    pid, pipe = fork(script, folder, argv, environment, directory, SANDBOX_STATUS_FD if in_sandbox else None)
    if not await has_claimed(pipe):
        # Another engine's supervisor was first, and ours has gone without running anything; or somebody killed it.
        await asyncio.to_thread(os.waitpid, pid, 0)
    for _ in range(_LOOKS):
        if (found := find(folder)) is not None and found.identity is not None:
            return found
        await asyncio.sleep(_LOOK_S)  # The one that was first is between creating its file and writing it.
    raise ChildProcessError(f"the supervisor of {folder} was killed before it began")


def find(folder: Path) -> Detached | None:
    """The process of a folder, running or ended; None if none was started."""
    try:
        boot, _, stat_line = (folder / "pid").read_text(errors="replace").partition(" ")
    except FileNotFoundError:
        return None
    if not stat_line.endswith("\n"):
        return Detached(folder, None)
    stat = parse_stat(stat_line)
    return Detached(folder, Identity(stat.pid, stat.start_tick, boot))


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)

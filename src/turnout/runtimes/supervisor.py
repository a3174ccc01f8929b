"""The supervisor of a detached process: a shell of a few lines in a session of its own.

It creates `pid` exclusively, so that a second start in the same folder ends before it runs anything, whatever became of
the engine between the fork and its reading the file; and it is what remains to write the exit code when the engine is
dead.

A shell adds PWD to the environment (bash also SHLVL and _); apart from that the command gets exactly what it is given.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Standard input is the pipe on which the claim is announced: a shell can name no other descriptor portably.
# Handlers that do nothing (`trap :`) keep the supervisor alive without being inherited, as ignored signals would be.
# Its own stderr leads nowhere, or it would write "Terminated" into the output; the subshell keeps it that way, since a
# shell may apply a command's redirections to itself while it waits.
WITH_LEFTOVERS = """\
trap : HUP INT QUIT PIPE USR1 USR2 ALRM TERM
turnout_folder=$1; turnout_status=$2; shift 2
read -r turnout_boot </proc/sys/kernel/random/boot_id
read -r turnout_stat </proc/$$/stat
set -C
echo "$turnout_boot $turnout_stat" >"$turnout_folder/pid" || exit 0
set +C
echo claimed >&0
exec </dev/null
if [ "$turnout_status" ]; then (exec "$@" 2>&1 3>"$turnout_folder/sandbox"); else (exec "$@" 2>&1); fi
echo $? >"$turnout_folder/exit"
"""

WITHOUT_LEFTOVERS = WITH_LEFTOVERS + "kill -KILL 0\n"
"""What the command started in the background ends with it."""


def fork(
    script: str,
    folder: Path,
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path | None = None,
    status_fd: int | None = None,
) -> tuple[int, int]:
    """Start the supervisor (about 1 ms). Its pid, and the pipe on which it says that it got hold of the folder."""
    reading, writing = os.pipe()
    try:
        with (folder / "output").open("ab", buffering=0) as output:
            process = subprocess.Popen(
                ["/bin/sh", "-c", script, "turnout", str(folder.absolute()), str(status_fd or ""), *argv],
                stdin=writing,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process.returncode = 0  # Not for Popen to wait for: it is watched by descriptor, and outlives us.
    return process.pid, reading


async def has_claimed(pipe: int) -> bool:
    """Whether the supervisor at the other end got hold of its folder. It says so within milliseconds, or dies."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[bytes] = loop.create_future()
    loop.add_reader(pipe, lambda: None if said.done() else said.set_result(os.read(pipe, 16)))
    try:
        return bool(await said)
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)

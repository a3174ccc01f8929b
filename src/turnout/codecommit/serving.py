"""A git that serves a client, over HTTP or SSH: it holds the repository's lock, and can outlive its engine."""

from __future__ import annotations

import fcntl
import os
import signal
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from turnout.codecommit.announcements import push_lock
from turnout.codecommit.git import Git, clean_environment
from turnout.codecommit.records import Repository

CHUNK_BYTES = 64 * 1024


async def start_git(git: Git, repository: Repository, *arguments: str, environment: Mapping[str, str]) -> Process:
    """Its three streams are pipes, and it has a session of its own."""
    with push_lock(repository.path).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        return await create_subprocess_exec(
            git.program,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**clean_environment(), **environment},
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )


def end_git(process: Process) -> None:
    """git removes its lock files on SIGTERM, so a push that is broken off leaves no branch locked."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def not_there(name: str, region: str) -> str:
    """What somebody who asks for a repository that does not exist is told."""
    return (
        f"There is no CodeCommit repository {name} in {region}."
        f" Create it first: aws codecommit create-repository --repository-name {name}"
    )

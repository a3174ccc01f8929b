"""The seam to the host's git: one command at a time, in an environment of its own.

Nothing of the user's configuration is read, nothing is asked at a terminal, and a repository that another user owns
is opened all the same (it lies in our home).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path

from turnout.errors import SetupError

_CONFIG = {"safe.directory": "*", "gc.autoDetach": "false"}

REPOSITORY_CONFIG = "[http]\n\treceivepack = true\n\tgetanyfile = false\n"
"""What a repository's own configuration says: it is served over HTTP, pushes included."""


class GitFailed(Exception):
    """git ended with an error: `code` is its exit status, the text what it said."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def clean_environment() -> dict[str, str]:
    """What git may know of this machine."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
    }
    for number, (key, value) in enumerate(_CONFIG.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


class Git:
    """Runs git on bare repositories."""

    def __init__(self) -> None:
        program = shutil.which("git")
        if program is None:
            raise SetupError("git is not installed, and CodeCommit is made of it: apt install git, or dnf install git")
        self.program = program

    async def check(self) -> None:
        """Raise SetupError unless this git can serve pushes over HTTP."""
        backend = Path((await self.run(None, "--exec-path")).decode().strip()) / "git-http-backend"
        if not backend.exists():
            raise SetupError(f"this git has no {backend}, which serves pushes: on Alpine, apk add git-daemon")

    async def run(
        self,
        repository: Path | None,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """What git printed. Raises GitFailed."""
        where = [] if repository is None else [f"--git-dir={repository}"]
        process = await asyncio.create_subprocess_exec(
            self.program,
            *where,
            *arguments,
            stdin=DEVNULL if stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**clean_environment(), **(environment or {})},
        )
        try:
            printed, said = await process.communicate(stdin)
        except asyncio.CancelledError:
            if process.returncode is None:
                process.terminate()
            raise
        if process.returncode:
            raise GitFailed(process.returncode, said.decode("utf-8", "replace").strip())
        return printed

    async def find(self, repository: Path, *arguments: str) -> str | None:
        """The one line that git printed, or None if it found nothing."""
        try:
            return (await self.run(repository, *arguments)).decode().strip() or None
        except GitFailed:
            return None

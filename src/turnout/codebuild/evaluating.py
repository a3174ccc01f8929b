"""Names in a buildspec that may hold variables and $(commands)."""

from __future__ import annotations

import asyncio
import os
import shlex
from asyncio.subprocess import DEVNULL, PIPE

from turnout.codebuild.spec import Build
from turnout.errors import StepFailed

WITHIN_S = 10.0


async def evaluated(build: Build, name: str, member: str) -> str:
    """What the shell of the build makes of it. `member` names it in the messages. Raises StepFailed CLIENT_ERROR."""
    text = f'. {shlex.quote(str(build.state))}; printf %s "{name}"'
    path = {"PATH": os.environ.get("PATH", os.defpath)}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", text, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=path
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            printed, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise StepFailed("CLIENT_ERROR", f"{member} {name} took longer than {WITHIN_S:g} s") from None
    if process.returncode or not printed.strip():
        raise StepFailed("CLIENT_ERROR", f"{member} {name} cannot be evaluated: {said.decode().strip()}")
    return printed.decode().strip()

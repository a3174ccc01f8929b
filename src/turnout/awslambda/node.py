"""Node's runtime interface client: found below the home, where it is installed once by npm."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from turnout.errors import AwsError

PACKAGE = "aws-lambda-ric@^4"
INSTALL_S = 600.0


async def node_argv(folder: Path) -> list[str]:
    """How to start a Node function; the client is installed when it is first needed. Raises InvalidRuntimeException."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise AwsError(
            "InvalidRuntimeException",
            "A nodejs function needs node and npm on this machine, and there is none in the engine's PATH.",
            502,
        )
    client = folder / "node_modules" / "aws-lambda-ric"
    if not (folder / ".ready").exists():
        await _install(npm, folder)
    return [node, str(client / "bin" / "index.mjs")]


async def _install(npm: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", PACKAGE]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_S)
    except TimeoutError:
        process.kill()
        output = b"it did not end in ten minutes"
    if process.returncode != 0:
        lines = output.decode("utf-8", "replace").strip().splitlines()[-6:]
        raise AwsError(
            "InvalidRuntimeException",
            f"A nodejs function needs AWS's runtime interface client, and `npm install {PACKAGE}` failed (it is built"
            " on this machine, with cmake, make, g++, autoconf, automake and libtool): " + " / ".join(lines),
            502,
        )
    (folder / ".ready").touch()

"""Node's runtime interface client: found below the home, where it is installed once by npm."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

from turnout.errors import AwsError
from turnout.names import new_hex

PACKAGE = "aws-lambda-ric"
FOR_NODE_22, BEFORE_NODE_22 = "^4", "^3.3"
"""The client's version by Node's: 4 crashes under Node 20."""
INSTALL_S = 600.0
VERSION_S = 30.0
TOOLS = ("cmake", "make", "g++", "autoconf", "automake", "libtoolize", "python3", "xz")
PACKAGES = ("cmake", "make", "g++", "autoconf", "automake", "libtool", "python3", "xz-utils")
"""What the build of the client needs, and the Debian packages that have it."""


class Node:
    """The client below a folder, one for each major version of Node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._installing = asyncio.Lock()
        """Functions that are called at the same time wait for one installation."""

    async def argv(self) -> list[str]:
        """How to start a function; the client is installed when it is first needed. Raises InvalidRuntimeException."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise AwsError(
                "InvalidRuntimeException",
                "A nodejs function needs node and npm on this machine, and there is none in the engine's PATH.",
                502,
            )
        version = await _major_version(node)
        place = self._folder / f"node{version}"
        async with self._installing:
            if not place.exists():
                await _install(npm, place, FOR_NODE_22 if version >= 22 else BEFORE_NODE_22)
        return [node, str((place / "node_modules" / ".bin" / PACKAGE).resolve())]


async def _major_version(node: str) -> int:
    status, said = await _run([node, "--version"], VERSION_S)
    if status != 0 or not said.startswith("v"):
        raise AwsError("InvalidRuntimeException", f"`{node} --version` failed: {said[-300:]}", 502)
    return int(said[1:].partition(".")[0])


async def _install(npm: str, place: Path, version: str) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise AwsError(
            "InvalidRuntimeException",
            "A nodejs function needs AWS's runtime interface client, which npm builds on this machine once, and it has"
            f" no {', '.join(missing)}. On Debian: apt-get install {' '.join(PACKAGES)}.",
            502,
        )
    draft = place.with_name(f".{new_hex(16)}")
    for left in place.parent.glob(".*"):  # by an engine that was killed
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    # Newer versions of npm run only the scripts that are allowed; those of the client build it.
    (draft / "package.json").write_text(json.dumps({"private": True, "allowScripts": {PACKAGE: True}}))
    wanted = f"{PACKAGE}@{version}"
    command = [npm, "install", "--prefix", str(draft), "--no-audit", "--no-fund", wanted]
    status, said = await _run(command, INSTALL_S)
    if status != 0:
        raise AwsError(
            "InvalidRuntimeException",
            f"A nodejs function needs AWS's runtime interface client, and `npm install {wanted}` failed (it is built on"
            f" this machine; on Debian it needs {' '.join(PACKAGES)}): " + " / ".join(said.splitlines()[-6:]),
            502,
        )
    draft.replace(place)


async def _run(command: list[str], within_s: float) -> tuple[int | None, str]:
    """(exit status, output)"""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        return None, f"it did not end within {within_s:g} s"
    return process.returncode, output.decode("utf-8", "replace").strip()

"""Tests of runtimes are coroutines, each with a bounded time; a rig hands them a runtime and a program to run on it."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from pathlib import Path

import pytest

from tests.runtimes.dockerrig import DockerRig
from tests.runtimes.rigs import FakeRig, ProcessRig, Rig

LONGEST_S = 30.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine, between the opening and the closing of its rig."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    rig = arguments.get("rig")

    async def run() -> None:
        async with asyncio.timeout(LONGEST_S):
            if rig is None:
                await pyfuncitem.obj(**arguments)
                return
            await rig.open()
            try:
                await pyfuncitem.obj(**arguments)
            finally:
                await rig.close()

    asyncio.run(run())
    return True


@pytest.fixture(autouse=True)
def _no_shims(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `python3` that is one: pyenv's takes 150 ms to find it, each time."""
    monkeypatch.setenv("PATH", f"{sys.base_prefix}/bin:{os.environ['PATH']}")


@pytest.fixture(params=["fake", "sandboxed", "plain", pytest.param("docker", marks=pytest.mark.real)])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "fake":
        return FakeRig()
    if request.param == "docker":
        return DockerRig(tmp_path / "home", request.getfixturevalue("container_engine"))
    return ProcessRig(tmp_path / "home", is_sandboxed=request.param == "sandboxed")

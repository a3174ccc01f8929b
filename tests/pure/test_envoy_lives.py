"""Of two lives of Envoy: what each has counted, and that the end of one is its last word."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from turnout.config import Config
from turnout.loadbalancer.envoy.process import Process
from turnout.loadbalancer.envoy.proxy import Envoy
from turnout.loadbalancer.proxy import GroupCounters, GroupMeter


def test_counters_are_never_taken_for_those_of_the_envoy_that_followed(tmp_path: Path) -> None:
    """It died after it had answered: what it said would be taken off what the next one counts."""
    envoy = Envoy(Config(home=tmp_path))
    envoy._folder.create()
    old, new = Process(os.getpid()), Process(os.getppid())

    class Admin:
        async def meters(self) -> Any:
            return {"blue": GroupMeter(self.answer(), (0, 0, 0, 0), 0, 0)}, {}

        async def groups(self, names: Any, *, latency: bool) -> Any:
            return {"blue": GroupCounters(0, self.answer(), 0, 0)}

        def answer(self) -> int:
            was, envoy._lives._process = envoy._lives._process, new
            return 200 if was is old else 3

    envoy._admin = Admin()  # type: ignore[assignment]
    envoy._lives._process = old
    meters = asyncio.run(envoy.meters())
    assert (meters.epoch, meters.groups["blue"].completed) == (new.epoch, 3)
    envoy._lives._process = old
    counters = asyncio.run(envoy.counters(["blue"]))
    assert (counters.epoch, counters.groups["blue"].completed) == (new.epoch, 3)


@pytest.mark.filterwarnings("error")
def test_a_parent_that_ends_later_than_its_envoy_is_nobodys_business() -> None:
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60"], start_new_session=True) as slow:
        lost = Process(slow.pid, slow)
        lost.part()
        assert slow.returncode == 0  # or its end would be told as a warning, whenever it is collected
        os.killpg(slow.pid, signal.SIGKILL)
        os.waitpid(slow.pid, 0)

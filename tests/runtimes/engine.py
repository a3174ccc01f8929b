"""An engine that only starts one task, says so, and waits to be killed: -m tests.runtimes.engine HOME KIND RIG."""

import asyncio
import signal
import sys
from pathlib import Path

from turnout.config import Config
from turnout.runtimes import Port, Workload
from turnout.runtimes.process import ProcessRuntime


async def main(home: str, kind: str, rig: str) -> None:
    runtime = ProcessRuntime(Config(home=Path(home)), is_sandboxed=kind == "sandboxed")
    image = await runtime.resolve("program:1", "us-east-1")
    environment = {"RIG": rig, "NAME": "task"}
    await runtime.ensure_started(Workload("task", image, environment=environment, ports=(Port(8000),)))
    print("started", flush=True)
    await asyncio.Event().wait()


# Whoever runs the tests under nohup hands down that hangups are ignored; a terminal does not.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
asyncio.run(main(*sys.argv[1:]))

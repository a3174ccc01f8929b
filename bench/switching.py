"""Switch time and lost requests: 1,000 shifts of all traffic between two colours, under load.

The switch time of a shift is measured at the client: from the moment the weights were committed (the engine's own
record) to the end of the first answer of the new colour. Lost is what the clients of `turnout.cli.load` call failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.stage import Balancer, Engine, answering, balance, percentile
from turnout.cli.load import Load

ROOT = Path(__file__).parents[1]
SHIFTS = 1000
TIMED = 200
"""Shifts of which the switch time is taken, idle and under load each."""


@dataclass(frozen=True)
class Switching:
    idle_ms: tuple[float, float]
    """Median and 99th percentile."""
    loaded_ms: tuple[float, float]
    shifts: int
    requests: int
    failed: int
    reasons: dict[str, int]


def measure(engine: Engine) -> Switching:
    with answering("blue") as blue, answering("green") as green:
        balancer = balance(engine, blue, green)
        idle = _switch_times(engine, balancer, TIMED)
        with Load("127.0.0.1", balancer.port, kept=64, fresh=8, rest_s=0.02) as load:
            loaded = _switch_times(engine, balancer, TIMED)
            elbv2 = engine.client("elbv2")
            for number in range(SHIFTS - TIMED):
                balancer.forward(elbv2, *((0, 100) if number % 2 else (100, 0)))
                time.sleep(0.005)
        tally = load.tally()
    return Switching(
        (percentile(idle, 50), percentile(idle, 99)),
        (percentile(loaded, 50), percentile(loaded, 99)),
        SHIFTS,
        tally.requests,
        tally.failed,
        dict(tally.failures),
    )


def _switch_times(engine: Engine, balancer: Balancer, count: int) -> list[float]:
    """Milliseconds from the commit of the weights to the first answer of the new colour."""
    elbv2 = engine.client("elbv2")
    command = [sys.executable, "-m", "bench.prober", str(balancer.port)]
    firsts: list[float] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as prober:
        assert prober.stdout
        version = prober.stdout.readline().split()[1]
        for _ in range(count):
            balancer.forward(elbv2, *((0, 100) if version == "blue" else (100, 0)))
            at, version = prober.stdout.readline().split()
            firsts.append(float(at))
            time.sleep(0.05)
        prober.terminate()
    commits = [change["at"] for change in engine.ask(f"weights/{balancer.listener}")]
    return [1000 * (first - max(at for at in commits if at <= first)) for first in firsts]

"""What the engine costs when nothing happens: time to be ready, memory, CPU. Envoy is reported apart."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from bench.stage import Engine, cpu_s, memory_mb

REST_S = 10
"""Until what came before is over: answers that are still being journalled, blue's tasks that are still ending."""
IDLE_S = 20


@dataclass(frozen=True)
class Footprint:
    ready_s: float
    memory_mb: float
    idle_percent: float
    """Of one core."""
    envoy_memory_mb: float | None
    envoy_idle_percent: float | None


def measure(engine: Engine, seconds: float = IDLE_S) -> Footprint:
    """Of an engine as it stands."""
    envoy = _envoy_pid(engine.home)
    time.sleep(REST_S)
    before = (cpu_s(engine.pid), cpu_s(envoy) if envoy else 0.0)
    time.sleep(seconds)
    used = (cpu_s(engine.pid) - before[0], (cpu_s(envoy) if envoy else 0.0) - before[1])
    return Footprint(
        engine.ready_s,
        memory_mb(engine.pid),
        100 * used[0] / seconds,
        memory_mb(envoy) if envoy else None,
        100 * used[1] / seconds if envoy else None,
    )


def _envoy_pid(home: Path) -> int | None:
    """The Envoy of a home, by what its state folder says."""
    for path in (home / "envoy").glob("*.json"):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and "pid" in document:
            return int(document["pid"])
    return None

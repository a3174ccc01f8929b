"""Run every measurement and write docs/benchmarks.md. Nothing in it is written by hand.

`python -m bench NAME` runs one (idle, switching, datapath, many), prints what it found, and writes nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import answers, datapath, footprint, many, page, release, switching
from bench.stage import Engine, engine
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene
from turnout.cli.running import require_running

ALONE = {
    "idle": footprint.measure,
    "switching": switching.measure,
    "datapath": datapath.measure,
    "many": many.measure,
}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main(*names: str) -> int:
    if unknown := [name for name in names if name not in ALONE]:
        print(f"no measurement {', '.join(unknown)}: {', '.join(ALONE)}", file=sys.stderr)
        return 2
    missing = [name for name in ("nginx", "haproxy", "wrk") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; `make bench` installs them where it may", file=sys.stderr)
        return 2
    for name in names:
        with engine() as started:
            told(name, lambda name=name, started=started: ALONE[name](started))
    if names:
        return 0
    with engine() as started:
        idle = told("footprint of an empty engine", lambda: footprint.measure(started))
        switched = told("switching", lambda: switching.measure(started))
        paths = told("data path", lambda: datapath.measure(started))
    with engine() as started:
        released, medians, loaded = _release(started)
    with engine() as started:
        crowd = told("many at once", lambda: many.measure(started))
    lost = {
        kind: told(f"{kind} reloading", lambda kind=kind: datapath.lost_by_reloading(kind))
        for kind in ("nginx", "HAProxy")
    }
    results = page.Results(_machine(), switched, paths, lost, released, idle, loaded, medians, crowd)
    PAGE.write_text(page.render(results))
    print(f"\nwrote {PAGE}")
    return 0


def _release(started: Engine):  # type: ignore[no-untyped-def]
    folder = Path(tempfile.mkdtemp(prefix="turnout-bench-"))
    try:
        scene = Scene(folder)
        clients = Clients(require_running(started.home))
        scene.build_stack(clients, lambda kind, name, is_created: None)
        releases = told("releases", lambda: release.measure(started, scene, clients))
        balancer = clients("elbv2").describe_load_balancers(Names=["hello"])["LoadBalancers"][0]["LoadBalancerArn"]
        medians = told(
            "answers of the API",
            lambda: answers.measure(started, releases[-1].deployment_id, "hello", "hello", balancer),
        )
        loaded = told("footprint with a stack", lambda: footprint.measure(started))
        return releases, medians, loaded
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def told(what, measure):  # type: ignore[no-untyped-def]
    print(f"{what} …", end=" ", flush=True)
    result = measure()
    print(result, flush=True)
    return result


def _machine() -> str:
    now = datetime.now(UTC).date().isoformat()
    return (
        f"{now}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

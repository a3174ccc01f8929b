"""docs/benchmarks.md from what was measured, with the figure to reach beside each, and whether it is."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.datapath import CONNECTIONS, ROUNDS, SECONDS, Path_
from bench.footprint import Footprint
from bench.many import EACH, LISTENED, Many
from bench.release import Release
from bench.switching import TIMED, Switching


@dataclass(frozen=True)
class Results:
    machine: str
    switched: Switching
    paths: list[Path_]
    lost: dict[str, tuple[int, int]]
    releases: list[Release]
    idle: Footprint
    loaded: Footprint
    answers: dict[str, dict[str, float]]
    many: Many


MORE_A_REQUEST = (
    "measured by leaving out one at a time, in CPU per request: the formatter of X-Forwarded-For takes 2 µs of 41, the retry"
    " policy 1.5 µs, which the static Envoy has none of; the access log's expression took 3 µs until it was asked of 503s"
    " only. Who shares the kernel's autogroup with the load generator moves the figure by about 7 %."
)
IDLE = "a while after a release it is 0.3 %; the rest is what comes right after one, when this is measured."


@dataclass(frozen=True)
class Figure:
    """What was measured, and what is to be reached: at most, or at least."""

    what: str
    measured: float
    goal: float
    unit: str
    is_most: bool = True
    differences: str = ""
    """What a miss may come from, as far as it is known."""

    @property
    def is_met(self) -> bool:
        return self.measured <= self.goal if self.is_most else self.measured >= self.goal

    @property
    def row(self) -> str:
        sign = "≤" if self.is_most else "≥"
        verdict = "yes" if self.is_met else f"**no**: by {abs(self.measured - self.goal):.3g} {self.unit}".rstrip()
        return f"| {self.what} | {self.measured:.4g} {self.unit} | {sign} {self.goal:g} {self.unit} | {verdict} |"


def figures(r: Results) -> list[Figure]:
    ours = next(path for path in r.paths if path.name == "turnout")
    static = next(path for path in r.paths if path.name == "static Envoy")
    overhead = statistics.median(release.overhead_s for release in r.releases)
    found = [
        Figure(
            f"requests lost in {r.switched.shifts:,} shifts ({r.switched.requests:,} requests)",
            r.switched.failed,
            0,
            "",
        ),
        Figure("switch time under load, median", r.switched.loaded_ms[0], 10, "ms"),
        Figure("switch time idle, median", r.switched.idle_ms[0], 5, "ms"),
        Figure(
            "throughput against a static Envoy",
            ours.per_s / static.per_s,
            0.95,
            "×",
            is_most=False,
            differences=MORE_A_REQUEST,
        ),
        Figure("p99 against a static Envoy", ours.p99_ms / static.p99_ms, 1.1, "×", differences=MORE_A_REQUEST),
        Figure("overhead of a release, median", overhead, 1.5, "s"),
        Figure("engine ready", r.idle.ready_s, 2, "s"),
        Figure("memory of the engine, with a stack", r.loaded.memory_mb, 250, "MB"),
        Figure("idle CPU of the engine, with a stack", r.loaded.idle_percent, 1, "%", differences=IDLE),
    ]
    found += [
        Figure(
            f"requests lost in {r.many.together} deployments at once ({r.many.requests:,} requests)", r.many.lost, 0, ""
        ),
        Figure(
            f"engine CPU-seconds of a deployment, one of {r.many.together} at once against one alone",
            r.many.growth,
            1.2,
            "×",
        ),
    ]
    for call, ms in r.answers["turnout"].items():
        if mini := r.answers["MiniStack"].get(call):
            found.append(Figure(f"{call} p50 against MiniStack", ms / mini, 1, "×"))
        found.append(Figure(f"{call} p50 against moto", ms / r.answers["moto"][call], 0.3, "×"))
    return found


def render(r: Results) -> str:
    parts = [
        "# Benchmarks\n",
        f"Written by `make bench`. {r.machine}. Ratios are of the same run on the same machine.\n",
        "## What is to be reached\n",
        "| what | measured | goal | reached |\n|---|---|---|---|",
        *(figure.row for figure in figures(r)),
        *_missed(figures(r)),
        "\n## Shifting traffic\n",
        f"{r.switched.shifts:,} shifts of all traffic under 64 keep-alive connections and 8 clients with a connection per"
        f" request; switch time over {TIMED} of them, from the commit of the weights to the first whole answer of the"
        f" new colour at a client. p99: {r.switched.loaded_ms[1]:.1f} ms under load, {r.switched.idle_ms[1]:.1f} ms idle.\n",
        "| proxy | shifts | requests | lost |\n|---|---|---|---|",
        f"| turnout | {r.switched.shifts:,} | {r.switched.requests:,} | {r.switched.failed} |",
        *(f"| {kind}, reloading | 40 | {seen[0]:,} | {seen[1]} |" for kind, seen in r.lost.items()),
        "\n## Data path\n",
        f"wrk, {CONNECTIONS} connections, the same nginx upstream; medians of {ROUNDS} rounds of {SECONDS} s.\n",
        "| proxy | requests/s | p99 ms |\n|---|---|---|",
        *(f"| {path.name} | {path.per_s:,.0f} | {path.p99_ms:.2f} |" for path in r.paths),
        "\n## A release\n",
        "From `git push` to all weight on green, for examples/hello.\n",
        "| release | total s | the build's own commands s | the application's start s | overhead s |\n|---|---|---|---|---|",
        *(
            f"| {n} | {x.total_s:.2f} | {x.build_s:.2f} | {x.start_s:.2f} | {x.overhead_s:.2f} |"
            for n, x in enumerate(r.releases, start=1)
        ),
        "\n## Many at once\n",
        f"{r.many.services} services of one task each on this machine, behind {-(-r.many.services // EACH)} listeners;"
        f" {r.many.together} of them are deployed at once, all at once each, with clients on {LISTENED} of them. CPU-seconds"
        " of the engine alone, beyond what it uses at rest: Envoy, the tasks and the clients share the same cores.\n",
        "| deployments | engine CPU-s each | until the last has ended s | requests | lost |\n|---|---|---|---|---|",
        f"| 1 | {r.many.alone_cpu_s:.3f} | {r.many.alone_took_s:.1f} | | |",
        f"| {r.many.together} at once | {r.many.together_cpu_s:.3f} | {r.many.together_took_s:.1f} | {r.many.requests:,} | {r.many.lost} |",
        f"\nThe engine at rest with {r.many.services} services: {r.many.idle_percent:.1f} % of a core, {r.many.memory_mb:.0f} MB.",
        "\n## The engine\n",
        "| | ready s | memory MB | idle CPU % | Envoy memory MB | Envoy idle CPU % |\n|---|---|---|---|---|---|",
        _footprint_row("empty", r.idle),
        _footprint_row("with a released stack", r.loaded),
        "\n## Answers of the API, p50 in ms\n",
        "| call | turnout | moto's server | MiniStack |\n|---|---|---|---|",
        *(
            f"| {call} | {ms:.2f} | {_ms(r.answers['moto'].get(call))} | {_ms(r.answers['MiniStack'].get(call))} |"
            for call, ms in r.answers["turnout"].items()
        ),
        "",
    ]
    return "\n".join(parts)


def _missed(found: list[Figure]) -> list[str]:
    missed = [f"- {figure.what}: {figure.differences}" for figure in found if not figure.is_met and figure.differences]
    return ["\n### What a miss may come from\n", *missed] if missed else []


def _footprint_row(name: str, f: Footprint) -> str:
    envoy = (f.envoy_memory_mb, f.envoy_idle_percent)
    return (
        f"| {name} | {f.ready_s:.2f} | {f.memory_mb:.0f} | {f.idle_percent:.2f} | "
        + " | ".join("–" if value is None else f"{value:.2f}" for value in envoy)
        + " |"
    )


def _ms(value: float | None) -> str:
    return "not there" if value is None else f"{value:.2f}"

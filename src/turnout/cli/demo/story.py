"""The story that the demo tells, line by line, while it happens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from turnout.cli.clients import Clients
from turnout.cli.demo.scene import NAME, Scene, load_on, scene
from turnout.cli.demo.versions import BEFORE, VERSIONS, Outcome, Version
from turnout.cli.follow import LOOK_EVERY_S, follow
from turnout.cli.load import Load, Tally
from turnout.cli.receipt_page import render
from turnout.cli.receipt_words import drained, switch_s
from turnout.cli.releases import Release
from turnout.cli.running import Running, ask
from turnout.cli.screen import Screen, duration, short, styled
from turnout.cli.view import UNDER_WAY

if TYPE_CHECKING:
    from turnout.cli.bootstrap import Made

RELEASE_WITHIN_S = 120.0
ROLLBACK_WITHIN_S = 30.0
SETTLE_S = 0.5
"""How long the answers are watched after a release has ended, to see who serves."""
KEPT, FRESH = 16, 4
"""Clients that keep their connection, and clients that open one per request."""


def tell(*, keep: bool) -> int:
    """Play, judge, and answer with the exit status: 0 only if everything went as it should."""
    screen = Screen()
    began = time.monotonic()
    try:
        with scene(keep=keep) as made_scene, screen.working():
            outcomes = _play(made_scene, screen, keep=keep)
            screen.now("cleaning up")
    except KeyboardInterrupt:
        screen.line("\nInterrupted; everything has been stopped and removed.")
        return 130
    took = duration(time.monotonic() - began)
    wrong = [f"{outcome.version.name}: {text}" for outcome in outcomes for text in outcome.wrong]
    for text in wrong:
        screen.line(f"[red]✘[/] {escape(text)}")
    if wrong:
        screen.line(f"[red]Not as it should be[/], after {took}.")
        return 1
    requests = sum(outcome.tally.requests for outcome in outcomes)
    screen.line(f"[green]✔ {requests:,} requests, 0 failed; every release ended as it should.[/] {took} in all.")
    _say_page(outcomes[-1], screen)
    return 0


def _play(made_scene: Scene, screen: Screen, *, keep: bool) -> list[Outcome]:
    screen.line("[bold]turnout demo[/]: four releases of one application, under load\n")
    screen.now("starting the engine")
    began = time.monotonic()
    running = made_scene.start_engine()
    screen.line(f"  engine     ready in {duration(time.monotonic() - began)} at {running.endpoint}")
    clients = Clients(running)
    made = _bootstrap(made_scene, clients, screen)
    with load_on(made, kept=KEPT, fresh=FRESH) as load:
        screen.line(f"  load       {KEPT} clients that keep their connection, {FRESH} that open one per request\n")
        outcomes: list[Outcome] = []
        starts: list[Tally] = []
        for version in VERSIONS:
            starts.append(load.tally() if outcomes else Tally())
            before = (outcomes[-1].serving if outcomes else None) or BEFORE.name
            outcomes.append(_ship(made_scene, clients, running, load, version, before, screen))
    # Every answer is judged, also those that came back while a verdict was being printed.
    ends = [*starts[1:], load.tally()]
    outcomes = [replace(o, tally=end.since(start)) for o, start, end in zip(outcomes, starts, ends, strict=True)]
    _table(outcomes, screen)
    if keep:
        _say_where(made_scene, running, made, screen)
    return outcomes


def _bootstrap(made_scene: Scene, clients: Clients, screen: Screen) -> Made:
    began = time.monotonic()
    parts: list[str] = []

    def report(kind: str, part: str, is_created: bool) -> None:
        parts.append(kind)
        screen.now(f"bootstrap: {kind} {part}")

    made = made_scene.build_stack(clients, report)
    took = duration(time.monotonic() - began)
    screen.line(f"  bootstrap  {len(parts)} parts in {took}, from the repository to the load balancer")
    screen.line(f"  serving    {BEFORE.name} at {made.address}")
    return made


def _ship(
    made_scene: Scene, clients: Clients, running: Running, load: Load, version: Version, before: str, screen: Screen
) -> Outcome:
    """Commit, push, follow to the end, and look at what answers then."""
    start = load.tally()
    commit = made_scene.commit(version)
    screen.line(f'[bold]{version.name}[/]  "{version.subject}", commit {short(commit)}')
    pushed_at = time.time()

    def tell(text: str) -> None:
        screen.line(f"  {time.time() - pushed_at:5.1f} s  {text}")

    tell("git push")
    made_scene.push()
    story = Story(version.name, tell)

    def look(stages: list[tuple[str, str]], waits_for: str | None) -> None:
        tally = load.tally()
        story.hear(stages, waits_for, tally.first_seen.get(version.name), pushed_at)
        rate = tally.since(start).requests / (time.time() - pushed_at)
        screen.now(
            f"{tally.version} answers, {rate:,.0f} requests/s, {tally.failed} failed · {waits_for or 'building'}"
        )

    release = follow(clients, NAME, commit, look, RELEASE_WITHIN_S)
    deployment, rollback = _deployments(clients, release)
    ended_at = time.time()
    settled = load.tally()
    time.sleep(SETTLE_S)
    tally = load.tally()
    live_at = tally.first_seen.get(version.name)
    outcome = Outcome(
        version=version,
        before=before,
        release=release,
        deployment=deployment,
        rollback=rollback,
        receipt=ask(running, f"receipts/{clients.region}/{release.deployment}") if release.deployment else None,
        live_after_s=None if live_at is None else live_at - pushed_at,
        ended_after_s=ended_at - pushed_at,
        tally=tally.since(start),
        serving=" and ".join(sorted(tally.since(settled).answers)) or None,
    )
    for text in _proof(outcome):
        screen.quote(text)
    screen.line(f"  {_verdict(outcome)}\n")
    return outcome


def _deployments(clients: Clients, release: Release) -> tuple[dict[str, Any], dict[str, Any]]:
    """deploymentInfo of a release's deployment, and of the one that rolls it back, once that has ended."""
    codedeploy = clients("codedeploy")
    if release.deployment is None:
        return {}, {}
    info = codedeploy.get_deployment(deploymentId=release.deployment)["deploymentInfo"]
    rollback_id = info.get("rollbackInfo", {}).get("rollbackDeploymentId")
    if rollback_id is None:
        return info, {}
    deadline = time.monotonic() + ROLLBACK_WITHIN_S
    while True:
        rollback = codedeploy.get_deployment(deploymentId=rollback_id)["deploymentInfo"]
        if rollback["status"] not in UNDER_WAY or time.monotonic() > deadline:
            return info, rollback
        time.sleep(LOOK_EVERY_S)


def _proof(outcome: Outcome) -> Iterator[str]:
    """What the receipt, or the failed deployment, has to say."""
    if outcome.receipt is None:
        return
    if (seconds := switch_s(outcome.receipt)) is not None:
        yield f"switched in {duration(seconds)}, from the commit of the weights to the first answer"
    if (text := drained(outcome.receipt)) is not None:
        yield text
    if error := outcome.receipt["error"]:
        yield f"{error['code']}: {error['message']}".partition(" Its last output")[0]
    if rollback := outcome.deployment.get("rollbackInfo", {}).get("rollbackDeploymentId"):
        yield f"{rollback} rolled it back: {outcome.rollback.get('status')}"


def _verdict(outcome: Outcome) -> str:
    mark = "[red]✘" if outcome.wrong else "[green]✔"
    counted = f"{outcome.tally.requests:,} requests, {outcome.tally.failed} failed"
    return f"{mark} {outcome.result}[/] · {counted}"


class Story:
    """Tells once what ends, what is waited for, and the first answer of the new version."""

    def __init__(self, version: str, tell: Callable[[str], None]) -> None:
        self._version = version
        self._tell = tell
        self._told: set[str] = set()

    def hear(
        self, stages: Sequence[tuple[str, str]], waits_for: str | None, live_at: float | None, pushed_at: float
    ) -> None:
        for stage, status in stages:
            if status != "InProgress":
                self._once(stage, f"{stage:<8}{styled(status)}")
        if waits_for is not None and waits_for.startswith("Install: "):
            # Without what is in brackets: which target, and why. It is in the receipt.
            counts = waits_for.partition(" (")[0]
            self._once(counts, f"[dim]{counts}[/]")
        if live_at is not None:
            seconds = live_at - pushed_at
            self._once("live", f"{'Live':<8}the first answer of {self._version}, {seconds:.2f} s after the push")

    def _once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(text)


def _table(outcomes: Sequence[Outcome], screen: Screen) -> None:
    table = Table("release", "result", box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in ("push to live", "switch time", "requests", "failed"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        failed = outcome.tally.failed
        table.add_row(
            outcome.version.name,
            f"[red]{outcome.result}[/]" if outcome.wrong else outcome.result,
            duration(outcome.live_after_s),
            duration(switch_s(outcome.receipt)),
            f"{outcome.tally.requests:,}",
            f"[red]{failed}[/]" if failed else "0",
        )
    screen.console.print(table)
    screen.line()


def _say_page(outcome: Outcome, screen: Screen) -> None:
    """The one thing that the demo leaves behind, in the same place each time."""
    if outcome.receipt is None:
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "turnout"
    page = folder / "demo-receipt.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(render(outcome.receipt, time.time()), encoding="utf-8")
    except OSError as error:
        screen.line(f"The picture of {outcome.version.name} could not be written to {page}: {error.strerror}.")
        return
    screen.line(f"How {outcome.version.name} went, as a picture for your browser: {page.as_uri()}")


def _say_where(made_scene: Scene, running: Running, made: Made, screen: Screen) -> None:
    screen.line(
        "It goes on running:\n"
        f"  application  {made.address}\n"
        f"  AWS          {running.endpoint}\n"
        f"  work tree    {made_scene.work_tree}   (commit, then `git push turnout main`)\n"
        f"  look         turnout status --home {made_scene.home}\n"
        f"  end          turnout down --remove --home {made_scene.home} && rm -r {made_scene.folder}\n"
    )

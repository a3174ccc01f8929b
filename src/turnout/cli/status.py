"""status: what is serving, what is under way, and what it waits for."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from turnout.cli.clients import Clients, connect
from turnout.cli.options import Home, Profile, Region
from turnout.cli.releases import Release, find_release
from turnout.cli.screen import ago, console, short, show, styled
from turnout.cli.serving import look
from turnout.cli.view import Pipeline, Service, View
from turnout.errors import SetupError

if TYPE_CHECKING:
    from rich.console import RenderableType

LOOK_EVERY_S = 0.5


def status(
    home: Home,
    name: Annotated[
        str | None, typer.Argument(help="Service or pipeline to tell of.", show_default="all there are")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until nothing is under way any more.")] = False,
    commit: Annotated[
        str | None, typer.Option(help="Judge this commit's release instead of the latest; --watch waits for it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """What serves. Exit status 0 only if the latest release (or --commit) is what serves; 1 if not; 3 if under way."""
    clients = connect(home, region, profile)
    view = _watch(clients, commit, name, is_shown=not as_json) if watch else _look(clients, name)
    if as_json:
        print(json.dumps(view.document, indent=1))
    elif not watch:
        show(page(view))
    raise SystemExit(exit_status(view, commit))


def exit_status(view: View, commit: str | None) -> int:
    """0: the wanted release serves; 1: it does not; 3: that is not decided yet. Pure."""
    is_wanted = view.is_live if commit is None else view.serves(commit)
    return 0 if is_wanted else 1 if view.is_at_rest else 3


def _look(clients: Clients, name: str | None) -> View:
    """Raises SetupError if nothing has that name."""
    view = look(clients)
    if name is None:
        return view
    found = view.of(name)
    if not found.services and not found.pipelines:
        names = sorted({service.name for service in view.services} | {pipeline.name for pipeline in view.pipelines})
        there = f"there are {', '.join(names)}" if names else "there is none at all"
        raise SetupError(f"no service and no pipeline is called {name}: {there}.")
    return found


def _watch(clients: Clients, commit: str | None, name: str | None, *, is_shown: bool) -> View:
    """Show what changes until nothing is under way; with a commit, not before its release has been seen."""
    from rich.live import Live

    screen = console()
    live = Live(console=screen, auto_refresh=False) if is_shown and screen.is_terminal else None
    told = ""
    with live or nullcontext():
        while True:
            view = _look(clients, name)
            if live is not None:
                live.update(page(view), refresh=True)
            elif is_shown and (text := plain(view)) != told:
                print(text, flush=True)
                told = text
            is_seen = commit is None or any(find_release(clients, p.name, commit) for p in view.pipelines)
            if is_seen and view.is_at_rest:
                return view
            time.sleep(LOOK_EVERY_S)


def plain(view: View) -> str:
    """One line that changes when something of importance does: for output that is not a terminal. Pure."""
    parts = []
    for pipeline in view.pipelines:
        latest = pipeline.latest
        if latest is not None and not latest.is_of_nothing:
            parts.append(f"{pipeline.name} {short(latest.commit)} {latest.status}{stages(latest)}")
    for service in view.services:
        weights = ", ".join(f"{side.target_group} {side.weight}" for side in service.sides)
        last = service.last_deployment or {}
        waits = f", {last['deploymentId']} {last.get('waits_for') or last['status']}" if last else ""
        parts.append(f"{service.name} {service.task_definition} ({weights}){waits}")
    return " | ".join(parts)


def stages(release: Release) -> str:
    """ " (Source Succeeded, Build InProgress)" Pure."""
    told = ", ".join(f"{action.stage} {action.status}" for action in release.actions)
    return f" ({told})" if told else ""


def page(view: View) -> RenderableType:
    """Services first: what serves is what matters."""
    from rich.console import Group
    from rich.markup import escape

    if not view.services and not view.pipelines:
        empty = "Nothing is deployed here. `turnout bootstrap FOLDER` makes a stack for an application."
        return Group(empty, *(f"  [yellow]{escape(trouble)}[/]" for trouble in view.troubles))
    serving = {pipeline.service: pipeline.serving for pipeline in view.pipelines}
    faults = {service.key: service.fault for service in view.services if view.is_at_rest}
    told: list[str] = []
    for service in view.services:
        if told:
            told.append("")
        told.append(_service(service, serving.get(service.key)))
        told += [_pipeline(p, faults.get(service.key)) for p in view.pipelines if p.service == service.key]
        if fault := faults.get(service.key):
            told.append(f"  [red]{escape(f'{service.key}: {fault}')}[/]")
    keys = {service.key for service in view.services}
    for pipeline in view.pipelines:
        if pipeline.service not in keys:
            told.append(f"[bold]{escape(pipeline.name)}[/]  a pipeline that releases none of these services")
            told.append(_pipeline(pipeline, None))
    told += [f"  [yellow]{escape(trouble)}[/]" for trouble in view.troubles]
    if view.runtime:
        told.append(f"\n[dim]runtime  {escape(view.runtime)}[/]")
    return Group(*told)


def _service(service: Service, release: Release | None) -> str:
    from rich.markup import escape

    version = f"{service.task_definition}  {short(service.image.rpartition('@')[2], 12)}"
    if release is not None:
        version += f"  {short(release.commit, 12)} {escape(release.subject or '')}"
    lines = [
        f"[bold]{service.name}[/]  {service.running} of {service.desired} tasks  {'  '.join(service.addresses)}",
        f"  serving     {version}",
    ]
    width = max([12, *(len(side.target_group) + 2 for side in service.sides)])
    for side in service.sides:
        health = ", ".join(f"{count} {state}" for state, count in side.health.items()) or "no targets"
        bar = f"{side.weight:>3} %  {'█' * round(side.weight / 5):<20}"
        lines.append(f"  {side.target_group:<{width}}{bar}  {health}  {side.task_set or ''}".rstrip())
    if last := service.last_deployment:
        said = last.get("waits_for") or last.get("error") or ("a rollback" if service.is_rolled_back else "")
        lines.append(f"  deployment  {last['deploymentId']}  {styled(last['status'])}  {escape(said)}")
    return "\n".join(lines)


def _pipeline(pipeline: Pipeline, fault: str | None) -> str:
    from rich.markup import escape

    latest = pipeline.latest
    if latest is None or latest.is_of_nothing:
        return "  release     nothing has been pushed yet"
    if not latest.is_over:
        verdict = "under way"
    else:
        verdict = "[green]is what serves[/]" if pipeline.is_live and fault is None else "[red]is not what serves[/]"
    what = f"{short(latest.commit, 12)} {escape(latest.subject or '')}" if latest.commit else str(latest.trigger)
    lines = [f"  release     {what}, {ago(latest.started_at)}: {verdict}"]
    for action in latest.actions:
        said = escape(action.reason) if action.text and action.status != "Succeeded" else ""
        lines.append(f"              {action.stage:<10}{styled(action.status)}  {said}".rstrip())
    return "\n".join(lines)

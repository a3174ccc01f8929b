"""history: what was released, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from turnout.cli.clients import connect, pages
from turnout.cli.options import Home, Profile, Region
from turnout.cli.releases import Release, releases, with_actions
from turnout.cli.screen import ago, duration, short, show, styled

if TYPE_CHECKING:
    from rich.table import Table


def history(
    home: Home,
    pipeline: Annotated[str | None, typer.Argument(help="Pipeline to tell of.", show_default="all")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many of each.")] = 10,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Executions of the pipelines, newest first, with their deployments."""
    clients = connect(home, region, profile)
    listed = [] if pipeline else pages(clients("codepipeline"), "list_pipelines", "pipelines")
    names = [pipeline] if pipeline else [summary["name"] for summary in listed]
    if not names:
        print("There is no pipeline. `turnout bootstrap FOLDER` makes one.")
    for name in names:
        show(table(name, [with_actions(clients, release) for release in releases(clients, name, limit)]))


def table(pipeline: str, listed: list[Release]) -> Table:
    """One line for each execution, and why it failed below it."""
    from rich.table import Table

    title = f"[bold]{pipeline}[/]"
    made = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("when", "took", "status", "commit", "deployment", "subject"):
        made.add_column(heading)
    for release in listed:
        took = None if release.ended_at is None else release.ended_at - release.started_at
        if release.is_of_nothing:
            why = "[dim]the pipeline was created, before anything had been pushed[/]"
            made.add_row(f"[dim]{ago(release.started_at)}[/]", "", "", "", "", why)
            continue
        made.add_row(
            ago(release.started_at),
            duration(took),
            styled(release.status),
            short(release.commit, 12),
            release.deployment or "–",
            release.failure or release.subject or release.trigger or "",
        )
    return made

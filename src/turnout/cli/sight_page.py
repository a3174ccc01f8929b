"""What `turnout watch` shows on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.cli.screen import styled
from turnout.cli.sight import Colour, Event, Sight

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BAR = 50
"""Characters of the bar of all traffic."""
MARKS = {"Succeeded": "[green]✔[/]", "Failed": "[red]✘[/]", "InProgress": "[cyan]▶[/]", "Skipped": "[dim]–[/]"}


def page(sight: Sight, name: str) -> RenderableType:
    from rich.console import Group
    from rich.markup import escape

    parts: list[RenderableType] = [
        f"[bold]{sight.deployment}[/]  {escape(name)}  {sight.config}  {styled(sight.status)}",
        bar(sight.colours),
        _colours(sight),
        "  ".join(_event(event) for event in sight.events),
    ]
    if sight.rolls_back:
        parts.insert(1, f"rolls back {sight.rolls_back}")
    if waits := sight.waits:
        parts.append(f"[cyan]{escape(waits)}[/]")
    if sight.error:
        parts.append(f"[red]{escape(sight.error)}[/]")
    return Group(*parts)


def bar(colours: tuple[Colour, ...]) -> str:
    """All of the production traffic, by colour."""
    weights = {colour.name: colour.weight for colour in colours}
    total = sum(weights.values())
    if not total:
        return f"[dim]{'·' * BAR}[/]"
    green = round(BAR * weights.get("green", 0.0) / total)
    return f"[blue]{'█' * (BAR - green)}[/][green]{'▒' * green}[/]"


def _colours(sight: Sight) -> Table:
    from rich.table import Table

    table = Table("", box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for heading in ("traffic", "tasks", "health", "target group", "requests", "errors", "failed"):
        table.add_column(heading, justify="right" if heading in ("traffic", "requests", "errors", "failed") else "left")
    for colour in sight.colours:
        carried = colour.carried
        figures = (None, None, None) if carried is None else (carried.requests, carried.errors, carried.failed)
        table.add_row(
            f"[{'blue' if colour.name == 'blue' else 'green'}]{colour.name}[/]",
            f"{colour.weight:g} %",
            f"{colour.running} of {colour.desired}",
            ", ".join(f"{count} {state}" for state, count in colour.health.items()) or "no targets",
            colour.target_group,
            *("–" if figure is None else f"{figure:,}" for figure in figures),
        )
    return table


def _event(event: Event) -> str:
    return f"{MARKS.get(event.status, '[dim]·[/]')} {event.name}"

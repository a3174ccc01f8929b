"""cleanup: old revisions of task definitions, and old images, without whatever is still needed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from turnout.cli.cleaning import Outcome
from turnout.cli.cleaning.definitions import Definitions
from turnout.cli.cleaning.images import Images
from turnout.cli.clients import connect
from turnout.cli.options import Home, Profile, Region
from turnout.cli.screen import Screen, show

if TYPE_CHECKING:
    from rich.table import Table


class What(StrEnum):
    task_definitions = "task-definitions"
    images = "images"


def cleanup(
    home: Home,
    what: Annotated[What, typer.Argument(help="What to clean up.")],
    name: Annotated[str, typer.Argument(help="Family of the task definitions, or repository of the images.")],
    keep: Annotated[
        int,
        typer.Option(
            min=0, help="Keep the newest so many, and what the last so many deployments of each service brought."
        ),
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Delete old revisions of a task definition, ACTIVE and INACTIVE, or old images of a repository.

    Never what a service, a task set, a task, a deployment under way or a schedule uses, nor an image that a task
    definition that is kept names. Exit status 0 if all the others are deleted, 1 if one could not be.
    """
    screen = Screen()
    clients = connect(home, region, profile)
    kind = Images if what is What.images else Definitions
    cleaner: Definitions | Images = kind(clients, name, keep, screen)
    with screen.working():
        outcome = cleaner.clean(is_dry_run=dry_run)
    if outcome.stays:
        show(table(what, outcome))
    if outcome.goes:
        print(f"{'Would delete' if dry_run else 'Deleted'} {len(outcome.goes)}: {cleaner.told(outcome.goes)}")
    elif not outcome.failed:
        print(f"Nothing to delete of {name}.")
    for failed, why in outcome.failed.items():
        print(f"Could not delete {failed}: {why}")
    raise SystemExit(1 if outcome.failed else 0)


def table(what: What, outcome: Outcome) -> Table:
    """What stays, and why."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    has_status = what is What.task_definitions
    for heading in ("stays", *(["status"] if has_status else []), "because"):
        made.add_column(heading, overflow="fold")
    for name, status, why in outcome.stays:
        made.add_row(escape(name), *([status] if has_status else []), escape(why))
    return made

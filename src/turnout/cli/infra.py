"""infra: the blueprint, applied by Terraform, here and on AWS; and who guards an apply."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnout.cli.blueprint.files import IGNORE, IGNORED, VARIABLES, name_of, shipped, variables_of, write
from turnout.cli.blueprint.guard import Live, dangers
from turnout.cli.blueprint.state import State
from turnout.cli.blueprint.tool import Tool
from turnout.cli.clients import Clients, connect
from turnout.cli.files import NEEDED, read_application
from turnout.cli.names import names_for
from turnout.cli.options import Home, Profile, Region
from turnout.errors import SetupError


class Action(StrEnum):
    init = "init"
    plan = "plan"
    apply = "apply"
    destroy = "destroy"


def infra(
    home: Home,
    action: Annotated[Action, typer.Argument(help="What to do.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the Terraform files.", file_okay=False)] = Path("infra"),
    name: Annotated[
        str | None, typer.Option(help="Name of every part, for init.", show_default="the folder's above")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="init: replace files; plan, apply: go on in spite of a danger.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing before apply and destroy.")] = False,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Make the infrastructure of an application with Terraform: init, plan, apply or destroy.

    The same files serve for an engine and, with --profile, for AWS. A plan that would lead the traffic to a
    target group without a healthy target is refused, with exit status 1.
    """
    clients = connect(home, region, profile)
    folder = folder.absolute()
    if action is Action.init:
        _init(folder, name, clients, force=force)
    state = State(clients, name_of(folder))
    tool = Tool(folder, clients, profile, region=clients.region)
    if action is Action.init:
        print(f"  {'created' if state.ensure() else 'unchanged':<11}s3://{state.bucket}, for Terraform's state")
    elif not state.exists():
        raise SetupError(f"there is no bucket {state.bucket} for Terraform's state: `turnout infra init` makes it.")
    tool.init(state.backend(clients.running.endpoint if clients.is_engine else None))
    if action is Action.init:
        print(f"Next: look at {folder / VARIABLES}, then `turnout infra apply`.")
    elif action is Action.destroy:
        _destroy(tool, state, yes=yes)
    else:
        _plan(tool, clients, force=force)
        if action is Action.apply:
            _ask("Apply this plan?", yes=yes)
            tool.apply()
            for key, value in tool.outputs().items():
                print(f"  {key:<20}{value}")


def _init(folder: Path, name: str | None, clients: Clients, *, force: bool) -> None:
    above = folder.parent
    application = read_application(above) if all((above / needed).is_file() for needed in NEEDED) else None
    if not (folder / VARIABLES).exists():
        said = variables_of(name or names_for(above.name).name, clients.region, application)
        print_written(folder, write(folder, {VARIABLES: said}))
    print_written(folder, write(folder, {**shipped(), IGNORED: IGNORE}, force=force))


def print_written(folder: Path, done: list[tuple[str, str]]) -> None:
    for outcome, name in done:
        print(f"  {outcome:<11}{folder.name}/{name}")


def _plan(tool: Tool, clients: Clients, *, force: bool) -> None:
    """Raises SystemExit(1) for a plan that is a danger."""
    found = dangers(tool.plan(), Live(clients))
    for words in found:
        print(f"DANGER: {words}")
    if found and not force:
        tool.plan_file.unlink(missing_ok=True)
        print("Refused: nothing has been changed.")
        raise SystemExit(1)


def _destroy(tool: Tool, state: State, *, yes: bool) -> None:
    tool.plan("-destroy")
    _ask("Destroy all of this, and the application with it?", yes=yes)
    tool.apply()
    has_gone = state.forget()
    print(f"Destroyed. s3://{state.bucket} {'is gone, too' if has_gone else 'holds the state of others, and stays'}.")


def _ask(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        print("Nothing has been changed.")
        raise SystemExit(1)

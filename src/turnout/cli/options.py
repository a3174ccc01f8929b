"""Options that many verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnout.config import home_from

Home = Annotated[
    Path,
    typer.Option(
        envvar="TURNOUT_HOME",
        default_factory=home_from,
        show_default="~/.local/share/turnout",
        callback=lambda path: path.expanduser().absolute(),
        help="Folder that holds everything an engine knows.",
    ),
]

Region = Annotated[str | None, typer.Option(help="Region to look in.", show_default="the engine's")]

Profile = Annotated[
    str | None,
    typer.Option(help="Work on AWS itself, with this profile of your AWS configuration.", show_default="the engine"),
]

Application = Annotated[
    str | None, typer.Option(help="CodeDeploy application.", show_default="as `bootstrap` named the folder's")
]

Group = Annotated[str | None, typer.Option(help="Deployment group of the application.", show_default="its only one")]

Cluster = Annotated[str | None, typer.Option(help="Cluster of the service.", show_default="the group's")]

Service = Annotated[str | None, typer.Option(help="Service, instead of its group.", show_default="the group's")]

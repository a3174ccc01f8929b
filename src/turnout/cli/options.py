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

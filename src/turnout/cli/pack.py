"""pack: an application folder and its start command become an image in the local registry."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from turnout.cli.clients import Clients, is_missing
from turnout.cli.files import start_command
from turnout.cli.options import Home, Region
from turnout.cli.running import NoEngine, require_running
from turnout.config import Config
from turnout.errors import SetupError

IN_A_BUILD_S = 300.0
"""How long a build waits for an engine that was killed, and is to be started again."""


def pack(
    home: Home,
    tag: Annotated[str, typer.Option(help="REPOSITORY:TAG of the image.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the application.", file_okay=False, exists=True)] = Path(),
    command: Annotated[
        str | None, typer.Option(help="Start command, split as a shell would.", show_default="Procfile's web:")
    ] = None,
    detail: Annotated[
        Path | None, typer.Option(help="Also write this file as CodePipeline's imageDetail.json.", dir_okay=False)
    ] = None,
    region: Region = None,
) -> None:
    """Make an image of a folder, without Docker. Prints its name, by digest."""
    patience_s = IN_A_BUILD_S if "CODEBUILD_BUILD_ID" in os.environ else 0.0
    uri = patiently(
        lambda: pack_image(Clients(require_running(home), region), folder.absolute(), tag, command), patience_s
    )
    if detail is not None:
        detail.write_text(json.dumps({"ImageURI": uri}) + "\n")
    print(uri)


def patiently(act: Callable[[], str], within_s: float) -> str:
    """Do what may be repeated, and again while no engine answers: a build outlives the engine, and its next start."""
    from botocore.exceptions import ConnectionError, HTTPClientError
    from httpx import TransportError

    deadline = time.monotonic() + within_s
    while True:
        try:
            return act()
        except (NoEngine, ConnectionError, HTTPClientError, TransportError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def pack_image(clients: Clients, folder: Path, tag: str, command: str | None) -> str:
    """Make an image of a folder and push it to ECR: its name by digest. Raises SetupError."""
    from turnout.runtimes.images import Images
    from turnout.runtimes.pushing import push
    from turnout.runtimes.references import parse_reference

    command = start_command(folder, command)
    try:
        tagged = parse_reference(tag, clients.region, clients.registry)
        images = Images(Config(home=Path(clients.running.home)).images)
        image = images.pack(folder, shlex.split(command), str(tagged), clients.region)
    except (ValueError, OSError) as error:
        raise SetupError(f"cannot pack {folder}: {error}") from error
    try:
        push(clients("ecr"), image, tagged.tag or "latest", images.layout)
    except Exception as error:
        if is_missing(error, "RepositoryNotFoundException"):
            raise SetupError(
                f"there is no ECR repository {tagged.repository!r}: `aws ecr create-repository --repository-name"
                f" {tagged.repository}` makes one, and so does `turnout bootstrap`."
            ) from error
        raise
    return str(image.reference)

"""The blueprint's files in a folder of the user's: written once, theirs from then on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import turnout
from turnout.cli.files import Application
from turnout.errors import SetupError

VARIABLES = "terraform.tfvars"
IGNORED = ".gitignore"
IGNORE = "# Of this machine: what leads to a local engine, and what was downloaded.\n.terraform/\n*_override.tf\n"
LONGEST = 20
"""Of a name: names of buckets add the account and the region to it."""


def shipped() -> dict[str, str]:
    """Name → text of the blueprint's files."""
    return {path.name: path.read_text() for path in sorted((Path(turnout.__file__).parent / "blueprint").glob("*.tf"))}


def write(folder: Path, files: dict[str, str], *, force: bool = False) -> list[tuple[str, str]]:
    """Write what is not there: (what became of it, name) of each. With `force` what is there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text() == text:
            done.append(("unchanged", name))
        elif path.exists() and not force:
            done.append(("kept", name))
        else:
            done.append(("replaced" if path.exists() else "created", name))
            path.write_text(text)
    return done


def variables_of(name: str, region: str, application: Application | None, **more: object) -> str:
    """The text of terraform.tfvars. Raises SetupError for a name that is too long."""
    if len(name) > LONGEST:
        raise SetupError(f"{name!r} is longer than {LONGEST} characters: say a shorter one with --name.")
    said: dict[str, object] = {"name": name, "region": region}
    if application is not None:
        definition = json.loads(application.task_definition)
        is_fargate = "FARGATE" in definition.get("requiresCompatibilities", ())
        said["container_name"] = application.container
        said["container_port"] = application.port
        said["launch_type"] = "FARGATE" if is_fargate else "EC2"
    said |= more
    width = max(map(len, said))
    lines = [f"{key:{width}} = {json.dumps(value)}" for key, value in said.items()]
    return "\n".join(["# What this application needs. inputs.tf says what else can be said.", "", *lines, ""])


def name_of(folder: Path) -> str:
    """What terraform.tfvars calls the application. Raises SetupError without one."""
    try:
        found = re.search(r'^name\s*=\s*"([^"]+)"', (folder / VARIABLES).read_text(), re.MULTILINE)
    except FileNotFoundError:
        found = None
    if found is None:
        raise SetupError(f'{folder}/{VARIABLES} says no `name = "…"`: `turnout infra init` writes one.')
    return found[1]


def declares(folder: Path, variable: str) -> bool:
    """Whether a folder has such an input."""
    return any(f'variable "{variable}"' in path.read_text() for path in folder.glob("*.tf"))

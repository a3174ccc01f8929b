"""The files that a releasable folder holds, read and checked before anything is created."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.errors import SetupError

NEEDED = {
    "buildspec.yml": "what the build runs: tests, then `turnout pack` (or `docker build`)",
    "appspec.yml": "which container and port CodeDeploy leads the traffic to",
    "taskdef.json": "how the container runs; its image is the placeholder <IMAGE1_NAME>",
}
IMAGE_PLACEHOLDER = "<IMAGE1_NAME>"


@dataclass(frozen=True)
class Application:
    """An application folder as its own files describe it."""

    folder: Path
    task_definition: str
    """The text of taskdef.json, with its placeholder."""
    container: str
    port: int
    """The container and the port in it that appspec.yml leads the traffic to."""

    def task_definition_with(self, image: str) -> dict[str, Any]:
        """The input of RegisterTaskDefinition, running `image`."""
        document: dict[str, Any] = json.loads(self.task_definition.replace(IMAGE_PLACEHOLDER, image))
        return document


def read_application(folder: Path) -> Application:
    """Raises SetupError that names every file that is missing, or what is wrong in one."""
    missing = [f"  {name}  {why}" for name, why in NEEDED.items() if not (folder / name).is_file()]
    if missing:
        raise SetupError(
            f"{folder} is not ready to be released. It lacks\n"
            + "\n".join(missing)
            + "\nexamples/hello has all of them."
        )
    text = (folder / "taskdef.json").read_text()
    container, port = _target(folder / "appspec.yml")
    try:
        document = json.loads(text)
        names = [definition["name"] for definition in document["containerDefinitions"]]
        family = document["family"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SetupError(f"{folder}/taskdef.json is not a task definition: {error!r}") from error
    if container not in names:
        raise SetupError(
            f"{folder}/appspec.yml names the container {container!r}; taskdef.json ({family}) has {names}."
        )
    return Application(folder, text, container, port)


def _target(path: Path) -> tuple[str, int]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
        service = next(iter(document["Resources"][0].values()))
        info = service["Properties"]["LoadBalancerInfo"]
        return str(info["ContainerName"]), int(info["ContainerPort"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise SetupError(
            f"{path} must name Resources[0].*.Properties.LoadBalancerInfo.ContainerName and .ContainerPort: {error!r}"
        ) from error


def start_command(folder: Path, command: str | None) -> str:
    """How an application starts: what was said, else what its Procfile says. Raises SetupError."""
    found = command_of(folder) if command is None else command
    if found is None:
        raise SetupError(
            f"how does {folder.name} start? Say it with --command 'python3 app.py',"
            " or in a Procfile with the line `web: python3 app.py`."
        )
    return found


def command_of(folder: Path) -> str | None:
    """What `web:` of a folder's Procfile says; None without one."""
    procfile = folder / "Procfile"
    if not procfile.is_file():
        return None
    lines = (line.partition(":") for line in procfile.read_text().splitlines())
    return next((command.strip() for name, colon, command in lines if colon and name.strip() == "web"), None)

"""init: the Lambda functions that the hooks of a turnout.yml are on AWS, as zips to create them from."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from turnout.cli import shim
from turnout.errors import SetupError
from turnout.hookfile import CONTAINER, SCRIPT, Hook, parse_hooks
from turnout.hookplace import HOOK_FILE
from turnout.yamlfile import YamlError

HANDLER = "shim.handler"
LONGEST_S = 900
"""Lambda's limit of a function."""
AT = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: the same files make the same zip."""


def init(
    folder: Annotated[Path, typer.Argument(help=f"Folder with a {HOOK_FILE}.", file_okay=False, exists=True)] = Path(),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the zips.", file_okay=False, show_default="FOLDER/lambda"),
    ] = None,
) -> None:
    """Write, for each hook of turnout.yml, the Lambda function that it is on AWS: the AppSpec stays the same.

    A script runs in the function with the files beside it, an HTTP hook is called from it; both report to CodeDeploy.
    Nothing is created: what creates the functions is printed.
    """
    place = output or folder / "lambda"
    hooks = read(folder)
    for hook in hooks:
        check(hook)
    place.mkdir(parents=True, exist_ok=True)
    for hook in hooks:
        path = place / f"{hook.name}.zip"
        path.write_bytes(package(folder, hook, place))
        print(
            f"aws lambda create-function --function-name {hook.name} --runtime python3.12 --handler {HANDLER}"
            f" --timeout {LONGEST_S} --role ROLE --zip-file fileb://{path}"
        )
    print(
        "# ROLE: codedeploy:Get* and PutLifecycleEventHookExecutionStatus, elasticloadbalancing:Describe*, and logs."
        " PRODUCTION_URL and TEST_URL can be set in a function's environment."
    )


def read(folder: Path) -> list[Hook]:
    """The hooks of a folder. Raises SetupError."""
    try:
        return list(parse_hooks((folder / HOOK_FILE).read_text(), HOOK_FILE).values())
    except FileNotFoundError:
        raise SetupError(f"{folder} has no {HOOK_FILE}: docs/hooks.md says what stands in one.") from None
    except YamlError as error:
        raise SetupError(str(error)) from error


def check(hook: Hook) -> None:
    """Raise SetupError for what a function cannot do."""
    if hook.kind == CONTAINER:
        raise SetupError(
            f"{hook.where}: {hook.name} is a container, which a Lambda function cannot be: on AWS write a function of"
            " that name that calls ecs:RunTask, and leave the hook out of the file that you give to init."
        )
    if "GREEN_URL" in hook.variables():
        raise SetupError(
            f"{hook.where}: {hook.name} uses ${{GREEN_URL}}, an address that a Lambda function does not reach: use"
            " ${TEST_URL}, at AfterAllowTestTraffic."
        )
    if hook.kind == SCRIPT and hook.timeout_s > LONGEST_S and hook.timeout_s != 3600:
        raise SetupError(f"{hook.where}: {hook.name} may take {hook.timeout_s:g} s; a Lambda function has {LONGEST_S}.")


def package(folder: Path, hook: Hook, output: Path) -> bytes:
    """The zip of a function: the shim, what it does, and for a script the files of the folder."""
    from turnout.cli.hooks import files_of

    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: bytes, mode: int = 0o644) -> None:
            entry = zipfile.ZipInfo(name, AT)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)

        put("shim.py", Path(shim.__file__).read_bytes())
        put("hook.json", json.dumps(hook.wire(), indent=1, sort_keys=True).encode())
        for name in files_of(folder) if hook.kind == SCRIPT else ():
            path = folder / name
            if output.absolute() not in path.absolute().parents:
                put(f"files/{name}", path.read_bytes(), path.stat().st_mode & 0o777)
    return body.getvalue()

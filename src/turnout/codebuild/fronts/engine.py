"""The real programs, and what they say of the engine's images."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from turnout.codebuild.fronts.docker import Front, split
from turnout.codebuild.fronts.place import Place


def front_for(program: str, real: str, arguments: Sequence[str], place: Place) -> Front:
    """The front that asks the engine which the command line is about."""
    head = split(arguments)[0]

    def ask(*words: str) -> str | None:
        done = subprocess.run([real, *head, *words], capture_output=True, text=True, check=False)
        return None if done.returncode else done.stdout

    return Front(
        program,
        place,
        lambda image: ask("image", "inspect", image) is not None,
        lambda image: (ask("image", "ls", "--format", "{{.Tag}}", image) or "").split(),
    )


def real_program(program: str, folder: str) -> str | None:
    """Where a program lies on the PATH, behind the fronts in `folder`."""
    for place in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(place, program)  # noqa: PTH118
        if place != folder and os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return None

"""Runs docker compose, or docker-compose, with what it takes to reach ECR here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from turnout.codebuild.fronts.compose import NotPossible, fetched, images_in, parts, pushed
from turnout.codebuild.fronts.engine import front_for
from turnout.codebuild.fronts.place import Place


def compose_with(
    real: Sequence[str], words: Sequence[str], place: Place, docker: str | None, head: Sequence[str] = ()
) -> int:
    """`real`: the program and docker's own options; `words`: what compose is told. Its exit code."""
    options, verb, following = parts(words)
    config = subprocess.run([*real, *options, "config"], capture_output=True, text=True, check=False)
    images = {} if config.returncode else images_in(config.stdout)
    try:
        pushes = list(pushed(following, images, place)) if verb == "push" else []
    except NotPossible as error:
        print(error, file=sys.stderr)
        return 1
    fetches = fetched(verb, images, place)
    if (pushes or fetches) and docker is None:
        print("turnout: without a docker command, compose cannot be led to ECR here", file=sys.stderr)
        return 127
    for image in pushes:
        if code := _docker(*head, "push", image):
            return code
    for image in fetches:
        if verb == "pull" or not front_for("docker", docker or "", head, place).has(image):
            # That there is none is no failure yet: a service may build it.
            code = _docker(*head, "pull", image)
            if code and verb == "pull":
                return code
    if pushes or (fetches and verb == "pull" and set(images.values()) == set(fetches)):
        return 0
    return subprocess.run([*real, *words], check=False).returncode


def _docker(*words: str) -> int:
    """docker, by way of its front."""
    return subprocess.run([sys.executable, "-I", sys.argv[0], "docker", *words], check=False).returncode

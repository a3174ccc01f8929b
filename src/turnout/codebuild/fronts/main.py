"""Runs what becomes of a command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.codebuild.fronts import aws
from turnout.codebuild.fronts.composing import compose_with
from turnout.codebuild.fronts.docker import BUILDS, split
from turnout.codebuild.fronts.dockerfiles import bases
from turnout.codebuild.fronts.engine import front_for, real_program
from turnout.codebuild.fronts.place import Place
from turnout.codebuild.fronts.refusing import REFUSAL, is_refused


@dataclass(frozen=True)
class Settings:
    """settings.json of the package's copy."""

    bin: str
    """The folder of the fronts' scripts on the PATH."""
    address: str
    region: str
    """Of the engine: its repositories need no region in their name."""
    default_region: str
    """Of the build."""
    token: str
    """A file: the password of ECR for this build."""
    no_docker: str | None
    """The DOCKER_HOST of a build that reaches none; None if it may."""


def main(folder: str, program: str, *arguments: str) -> int:
    settings = Settings(**json.loads((Path(folder) / "settings.json").read_text()))
    real = real_program(program, settings.bin)
    if program == "aws":
        if real is not None and aws.login_asked(arguments) is None:
            os.execv(real, [program, *arguments])
        return aws.run(real, arguments, Path(settings.token), settings.default_region)
    if real is None:
        print(f"{program}: command not found", file=sys.stderr)
        return 127
    if program != "podman" and settings.no_docker and os.environ.get("DOCKER_HOST") == settings.no_docker:
        if program == "docker-compose" or is_refused(arguments):
            print(REFUSAL, file=sys.stderr)
            return 1
        os.execv(real, [program, *arguments])
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    place = Place(re.sub(r"^https?://", "", endpoint).rstrip("/") or settings.address, settings.region)
    if program == "docker-compose":
        docker = real_program("docker", settings.bin)
        return compose_with([real], arguments, place, docker)
    head, verb, rest = split(arguments)
    if verb.split(" ")[0] == "compose":
        return compose_with([real, *head, "compose"], rest[1:], place, real, head)
    return _run(program, real, arguments, place)


def _run(program: str, real: str, arguments: Sequence[str], place: Place) -> int:
    front = front_for(program, real, arguments, place)
    verb, rest = split(arguments)[1:]
    plan = front.plan(arguments)
    for command in plan.before:
        if code := subprocess.run([real, *command], stdin=subprocess.DEVNULL, check=False).returncode:
            return code
    if not plan.after and verb not in BUILDS:
        os.execv(real, [program, *plan.command])
    code = subprocess.run([real, *plan.command], check=False).returncode
    for command in plan.after:
        code = code or subprocess.run([real, *command], check=False).returncode
    if code and verb in BUILDS:
        for image in bases(rest):
            if not front.has(image):
                print(missing_base(image, program), file=sys.stderr)
    return code


def missing_base(image: str, program: str) -> str:
    """Advice after a build that failed: it may be for want of a way to the registry of its base."""
    return (
        f"turnout: the base image {image} is not on this engine. Where there is a way to its registry, `{program} pull"
        f" {image}`; where there is none, bring it with `{program} save` and `{program} load`."
    )

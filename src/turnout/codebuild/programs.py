"""The programs that stand before those of a build's PATH, put into its folder: see `fronts`."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from pathlib import Path

from turnout.codebuild import fronts
from turnout.codebuild.spec import Build
from turnout.config import Config

DOCKERS = ("docker", "podman", "docker-compose")
HASH_FILES = """#!/bin/sh
sums=$(sha256sum -- "$@") || exit 1
printf %s "$sums" | sha256sum | cut -d ' ' -f 1
"""
"""https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.cache.key"""
_MAIN = "import sys\n\nfrom turnout.codebuild.fronts.main import main\n\nsys.exit(main(sys.argv[0], *sys.argv[1:]))\n"


def put_fronts(build: Build, config: Config, python: str = sys.executable) -> None:
    """docker, podman and docker-compose if this machine has them, and aws in any case."""
    copy = build.folder / "fronts"
    package = copy / "turnout" / "codebuild" / "fronts"
    package.mkdir(parents=True, exist_ok=True)
    for folder in (package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    for file in Path(fronts.__file__).parent.glob("*.py"):
        shutil.copyfile(file, package / file.name)
    (copy / "__main__.py").write_text(_MAIN)
    settings = {
        "bin": str(build.fronts),
        "address": config.registry.address,
        "region": config.registry.region,
        "default_region": build.region,
        "token": str(build.registry_token),
        "no_docker": None if build.is_privileged else no_docker(build),
    }
    (copy / "settings.json").write_text(json.dumps(settings))
    put_token(build, config)
    build.fronts.mkdir(exist_ok=True)
    for program in (*filter(shutil.which, DOCKERS), "aws"):
        script = build.fronts / program
        script.write_text(f'#!/bin/sh\nexec {shlex.join([python, "-I", str(copy), program])} "$@"\n')
        script.chmod(0o755)
    hashing = build.fronts / "codebuild-hash-files"
    hashing.write_text(HASH_FILES)
    hashing.chmod(0o755)


def put_token(build: Build, config: Config) -> None:
    """The password of ECR, good for twelve hours from now on."""
    build.registry_token.touch(mode=0o600)
    build.registry_token.write_text(config.registry_tokens.mint(time.time())[0])


def no_docker(build: Build) -> str:
    """Where nobody listens: the DOCKER_HOST of a build without privilegedMode."""
    return f"unix://{build.folder}/no-privilegedMode.sock"

"""DOWNLOAD_SOURCE: the sources, the buildspec, the variables; all that the commands will find.

Begun again after a crash, it starts from an empty folder.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
from typing import Any

from turnout.aws import Aws
from turnout.codebuild.buildspec import PHASES, Buildspec, YamlError, parse_buildspec
from turnout.codebuild.caches import Caches
from turnout.codebuild.environment import environment_for, git_config_for, variables_for
from turnout.codebuild.output import Output
from turnout.codebuild.programs import put_fronts
from turnout.codebuild.rules import is_inline
from turnout.codebuild.script import SHELL, is_shell_name, state_for
from turnout.codebuild.sources import Sources
from turnout.codebuild.spec import Build
from turnout.codebuild.variables import resolve
from turnout.config import Config
from turnout.errors import StepFailed

BUILDSPEC = "buildspec.yml"


class Download:
    """Makes a build's folder ready for its first command."""

    def __init__(self, aws: Aws, config: Config, output: Output, caches: Caches) -> None:
        self._aws = aws
        self._caches = caches
        self._config = config
        self._output = output
        self._sources = Sources(aws)

    async def download(self, build: Build) -> tuple[Buildspec, dict[str, Any]]:
        """The buildspec, and the version of each source by its number. Raises StepFailed."""
        say = self._output.say
        say(build, "Waiting for DOWNLOAD_SOURCE")
        for name in ("src", "home"):
            await asyncio.to_thread(shutil.rmtree, build.folder / name, ignore_errors=True)
            (build.folder / name).mkdir()
        found = [await self._sources.download(build, number) for number in range(len(build.sources))]
        versions = {str(number): version for number, version in enumerate(found) if version}
        directory = str(build.source_folder(0))
        say(build, "Phase is DOWNLOAD_SOURCE", f"CODEBUILD_SRC_DIR={directory}")
        text, file = await self._buildspec(build)
        say(build, f"YAML location is {file}", "Processing environment variables")
        try:
            buildspec = parse_buildspec(text, file.rpartition("/")[2])
        except YamlError as error:
            raise StepFailed("YAML_FILE_ERROR", str(error)) from error
        _check_users(buildspec)
        variables, secrets = await resolve(self._aws, build.region, variables_for(build, buildspec))
        _write_private(build.secrets, json.dumps(secrets))
        environment = environment_for(build, self._config, variables, versions)
        _write_private(build.state, state_for(environment, directory))
        (build.folder / "shell").write_text(SHELL)
        build.buildspec.write_text(text)
        build.endpoint.write_text(self._config.endpoint)
        put_fronts(build, self._config)
        if buildspec.git_credential_helper:
            (build.folder / "home" / ".gitconfig").write_text(git_config_for(self._config))
        say(build, *self._notes(build, buildspec))
        await self._caches.restore(build, buildspec)
        say(build, f"Moving to directory {directory}", f"Phases found in YAML: {len(buildspec.phases)}")
        counts = {name: len(buildspec.phases[name].commands) for name in PHASES if name in buildspec.phases}
        say(build, *(f" {name}: {count} commands" for name, count in counts.items()))
        return buildspec, versions

    async def _buildspec(self, build: Build) -> tuple[str, str]:
        """Its text, and where it is."""
        given = build.spec["source"].get("buildspec")
        if is_inline(given):
            return given, "the buildspec of the project"
        if given and given.startswith("arn:"):
            return await self._sources.read_object(build.region, given), given
        path = build.source_folder(0) / (given or BUILDSPEC)
        try:
            return path.read_text(), str(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError) as error:
            raise StepFailed(
                "YAML_FILE_ERROR", f"YAML file does not exist: {given or BUILDSPEC} is not in the source"
            ) from error

    def _notes(self, build: Build, buildspec: Buildspec) -> list[str]:
        """What a reader must know about how this differs from AWS."""
        environment = build.spec["environment"]
        notes = [f"turnout: commands run on this host as {getpass.getuser()}, not in the image {environment['image']}"]
        if build.is_privileged:
            notes.append("turnout: privilegedMode: commands reach the Docker of this host, if it has one")
        variables = {*buildspec.variables, *(each["name"] for each in environment["environmentVariables"])}
        for name in sorted(name for name in variables if not is_shell_name(name)):
            notes.append(f"turnout: no shell can hold the variable {name!r}; it is left out")
        if build.spec.get("vpcConfig"):
            notes.append("turnout: vpcConfig changes nothing here; the build has this host's network")
        return [*notes, *(f"turnout: {note}" for note in buildspec.notes)]


def _check_users(buildspec: Buildspec) -> None:
    """Commands run as who the engine is; any other wish fails the build before it begins."""
    me = getpass.getuser()
    for name, phase in buildspec.phases.items():
        if phase.run_as not in (None, me, "root"):
            raise StepFailed("YAML_FILE_ERROR", f"run-as {phase.run_as} in {name}: turnout runs builds as {me} only")


def _write_private(path: Any, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)

"""What every operation of CodeBuild is made with."""

from __future__ import annotations

from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codebuild.spec import Build
from turnout.config import Config
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of
from turnout.runs import Run, Runs
from turnout.store import Shelf, Store


class Operations:
    """The parts of the room, made once."""

    SERVICE = "codebuild"
    KIND = "codebuild"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.config = config
        self._projects = Shelf(store, "codebuild.project")

    def _project(self, region: str, name: str) -> dict[str, Any]:
        """Raises ResourceNotFoundException. The name may be an ARN."""
        if is_arn(name):
            name = resource_of(name).removeprefix("project/")
        project = self._projects.find(region, name)
        if project is None:
            raise AwsError("ResourceNotFoundException", f"Project cannot be found: {name}")
        return project

    def _build(self, run: Run) -> Build:
        return Build(run, self.config.builds / run.name.rpartition(":")[2])

    def _find_build(self, region: str, identifier: str) -> Build | None:
        """By its id (project:uuid) or its ARN."""
        if is_arn(identifier):
            identifier = resource_of(identifier).removeprefix("build/")
        run = self.runs.find(self.KIND, region, identifier)
        return None if run is None else self._build(run)

"""CodeBuild's operations, put together.

Topics: "codebuild.phase/{region}/{build id}/{phase}" is woken when the process of a phase has ended.
Left after a crash: the processes of phases, and the folders of their builds. `start` looks at each of them.
"""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codebuild.builds import Builds
from turnout.codebuild.plan import BuildPlan
from turnout.codebuild.projects import Projects
from turnout.config import Config
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Migrations, Store

MIGRATIONS: Migrations = [
    """
CREATE TABLE codebuild_numbers (
    region  TEXT NOT NULL,
    project TEXT NOT NULL,
    number  INTEGER NOT NULL,                 -- of the project's latest build
    PRIMARY KEY (region, project)
) WITHOUT ROWID;
"""
]


class CodeBuild(Projects, Builds):
    """One method per operation."""

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        super().__init__(store, runs, aws, clock, config)
        self._plan = BuildPlan(runs, aws, clock, config)
        self.plans: list[Plan] = [self._plan]

    async def start(self) -> None:
        """Find the builds again that were under way."""
        with self.store.transaction() as tx:
            self._plan.adopt(tx)

    async def close(self) -> None:
        """Let go: what runs goes on running."""
        await self._plan.close()

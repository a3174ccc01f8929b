"""CodeCommit's operations, put together.

Left after a crash: the repositories as git wrote them. `start` compares every ref with what was announced.
"""

from __future__ import annotations

from turnout.codecommit.changes import Changes
from turnout.codecommit.commits import Commits
from turnout.codecommit.files import Files
from turnout.codecommit.records import MIGRATIONS
from turnout.codecommit.repositories import Repositories

__all__ = ["MIGRATIONS", "CodeCommit"]


class CodeCommit(Repositories, Changes, Commits, Files):
    """One method per operation; `upload_archive` and `clone_repository` are for rooms only."""

    async def start(self) -> None:
        """Announce what was pushed but not announced when the engine died."""
        await self.git.check()
        await self.announcements.catch_up()

    async def close(self) -> None:
        """Nothing of ours is left running."""
        await self.announcements.close()

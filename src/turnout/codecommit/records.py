"""The repositories that there are: their rows, their folders, and what a commit or a branch of theirs is called.

A row is the truth about a repository's name and settings, git is the truth about its refs. A folder is made before
its row and removed after it, so a crash leaves at most a folder that nobody owns: the next repository of that name
gets a folder beside it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.codecommit.git import Git
from turnout.config import Config
from turnout.errors import AwsError
from turnout.names import ACCOUNT, arn
from turnout.store import Migrations, Store, Transaction

MIGRATIONS: Migrations = [
    """
CREATE TABLE codecommit_repositories (
    repository_id  TEXT PRIMARY KEY,
    region         TEXT NOT NULL,
    name           TEXT NOT NULL,
    folder         TEXT NOT NULL,             -- below the region's folder; a rename does not move it
    description    TEXT,
    default_branch TEXT,
    kms_key_id     TEXT,
    tags           TEXT NOT NULL DEFAULT '{}',
    created_at     REAL NOT NULL,
    modified_at    REAL NOT NULL,
    UNIQUE (region, name)
);
CREATE TABLE codecommit_refs (                -- the refs as they were last announced
    repository_id TEXT NOT NULL REFERENCES codecommit_repositories (repository_id) ON DELETE CASCADE,
    ref           TEXT NOT NULL,              -- refs/heads/main
    object_id     TEXT NOT NULL,
    PRIMARY KEY (repository_id, ref)
) WITHOUT ROWID;
"""
]

_OBJECT_ID = re.compile(r"[0-9a-f]{40}")
_NO_REFNAME = re.compile(r"^[-/]|\.\.|//|@\{|[\s~^:?*\[\\\x00-\x1f\x7f]|/\.|^\.|[./]$|\.lock(/|$)")
"""What git-check-ref-format refuses. https://git-scm.com/docs/git-check-ref-format"""


def is_object_id(text: str) -> bool:
    """Whether `text` is a full object id."""
    return _OBJECT_ID.fullmatch(text) is not None


def is_ref_name(text: str) -> bool:
    """Whether git takes `text` as the name of a branch."""
    return bool(text) and text != "@" and not _NO_REFNAME.search(text)


@dataclass(frozen=True)
class Repository:
    id: str
    region: str
    name: str
    path: Path
    description: str | None
    default_branch: str | None
    kms_key_id: str | None
    tags: dict[str, str]
    created_at: float
    modified_at: float

    @property
    def arn(self) -> str:
        return arn("codecommit", self.region, self.name)


class Records:
    """What every operation starts from: a repository by name, a branch, a commit."""

    def __init__(self, store: Store, config: Config, git: Git) -> None:
        self.store = store
        self.config = config
        self.git = git

    def find(self, region: str, name: str) -> Repository | None:
        row = self.store.one("SELECT * FROM codecommit_repositories WHERE region = ? AND name = ?", (region, name))
        return None if row is None else self._repository(row)

    def served(self, region: str | None, name: str) -> Repository | None:
        """The one of the region that a git client named; else the only one of that name, or the default region's."""
        if region is not None:
            return self.find(region, name)
        candidates = self.list(name=name)
        return candidates[0] if len(candidates) == 1 else self.find(self.config.region, name)

    def get(self, region: str, name: str) -> Repository:
        """Raises RepositoryDoesNotExistException."""
        repository = self.find(region, name)
        if repository is None:
            raise AwsError("RepositoryDoesNotExistException", f"{name} does not exist in {region}")
        return repository

    def list(self, region: str | None = None, name: str | None = None) -> Sequence[Repository]:
        """In the order of their names; of one region or of all, of one name or of all."""
        rows = self.store.all(
            "SELECT * FROM codecommit_repositories WHERE region = coalesce(?, region) AND name = coalesce(?, name)"
            " ORDER BY name, region",
            (region, name),
        )
        return [self._repository(row) for row in rows]

    def update(self, tx: Transaction, repository: Repository, **columns: Any) -> None:
        """Set columns of its row, as SQLite keeps them."""
        assignments = ", ".join(f"{column} = ?" for column in columns)
        tx.execute(
            f"UPDATE codecommit_repositories SET {assignments} WHERE repository_id = ?",
            (*columns.values(), repository.id),
        )

    def describe(self, repository: Repository) -> dict[str, Any]:
        """AWS's RepositoryMetadata. Both URLs are where git finds it here; without an SSH port AWS's stands."""
        where = "" if repository.region == self.config.region else f"{repository.region}/"
        host = f"ssh://git-codecommit.{repository.region}.amazonaws.com"
        path = f"/v1/repos/{where}{repository.name}"
        return {
            "accountId": ACCOUNT,
            "repositoryId": repository.id,
            "repositoryName": repository.name,
            "repositoryDescription": repository.description,
            "defaultBranch": repository.default_branch,
            "lastModifiedDate": repository.modified_at,
            "creationDate": repository.created_at,
            "cloneUrlHttp": f"{self.config.endpoint}{path}",
            "cloneUrlSsh": f"{self.config.ssh_endpoint}{path}"
            if self.config.ssh_port
            else f"{host}/v1/repos/{repository.name}",
            "Arn": repository.arn,
            "kmsKeyId": repository.kms_key_id or arn("kms", repository.region, "alias/aws/codecommit"),
        }

    async def find_branch(self, repository: Repository, branch: str) -> str | None:
        """The commit that a branch points to."""
        if not is_ref_name(branch):
            raise AwsError("InvalidBranchNameException", f"{branch!r} is not a valid branch name")
        return await self.git.find(repository.path, "show-ref", "--verify", "--hash", f"refs/heads/{branch}")

    async def find_object(self, repository: Repository, object_id: str, kind: str) -> str | None:
        """The id of an object if it is there and is a "commit", "tree" or "blob"."""
        if not is_object_id(object_id):
            return None
        return await self.git.find(repository.path, "rev-parse", "--verify", "--quiet", f"{object_id}^{{{kind}}}")

    async def commit_at(self, repository: Repository, specifier: str | None) -> str:
        """The commit that a specifier names: a full id, HEAD, a branch, a tag, or a full reference name.

        None is the tip of the default branch. Raises CommitDoesNotExistException or InvalidCommitException.
        """
        if specifier is None or specifier == "HEAD":
            specifier = f"refs/heads/{repository.default_branch}"
        if is_object_id(specifier):
            candidates = [specifier]
        elif not is_ref_name(specifier):
            raise AwsError("InvalidCommitException", f"{specifier!r} is neither a commit id nor a reference")
        elif specifier.startswith("refs/"):
            candidates = [specifier]
        else:
            candidates = [f"refs/heads/{specifier}", f"refs/tags/{specifier}"]
        for candidate in candidates:
            found = await self.git.find(repository.path, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}")
            if found is not None:
                return found
        raise AwsError("CommitDoesNotExistException", f"Could not resolve {specifier} to a commit of {repository.name}")

    def _repository(self, row: sqlite3.Row) -> Repository:
        return Repository(
            id=row["repository_id"],
            region=row["region"],
            name=row["name"],
            path=self.config.repositories / row["region"] / row["folder"],
            description=row["description"],
            default_branch=row["default_branch"],
            kms_key_id=row["kms_key_id"],
            tags=json.loads(row["tags"]),
            created_at=row["created_at"],
            modified_at=row["modified_at"],
        )

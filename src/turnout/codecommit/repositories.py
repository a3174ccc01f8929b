"""Operations on repositories as a whole, and on their tags."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from turnout.aws import Answer, Call
from turnout.codecommit.git import REPOSITORY_CONFIG
from turnout.codecommit.operations import Operations
from turnout.codecommit.records import Repository
from turnout.errors import AwsError
from turnout.names import is_arn, new_uuid, resource_of

MOST_NAMES = 100
"""https://docs.aws.amazon.com/codecommit/latest/APIReference/API_BatchGetRepositories.html"""
MOST_TAGS = 50

_ALL_OF_A_COMMIT = "* -export-ignore -export-subst\n"
"""git archive obeys these attributes of .gitattributes; a source artifact is the commit as it is."""


class Repositories(Operations):
    async def create_repository(self, call: Call) -> Answer:
        name = call["repositoryName"]
        _check_name(name)
        self._check_free(call.region, name)
        now = self.clock.now()
        path = self._free_folder(call.region, name)
        repository = Repository(
            id=new_uuid(),
            region=call.region,
            name=name,
            path=path,
            description=call.get("repositoryDescription"),
            default_branch=None,
            kms_key_id=call.get("kmsKeyId"),
            tags=_checked_tags(call.get("tags", {})),
            created_at=now,
            modified_at=now,
        )
        path.mkdir(parents=True)
        await self.git.run(None, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path))
        with (path / "config").open("a") as file:
            file.write(REPOSITORY_CONFIG)
        (path / "info").mkdir()
        (path / "info" / "attributes").write_text(_ALL_OF_A_COMMIT)
        with self.store.transaction() as tx:
            self._check_free(call.region, name)
            tx.execute(
                "INSERT INTO codecommit_repositories VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)",
                (
                    repository.id,
                    repository.region,
                    name,
                    path.name,
                    repository.description,
                    repository.kms_key_id,
                    json.dumps(repository.tags),
                    now,
                    now,
                ),
            )
        return {"repositoryMetadata": self.records.describe(repository)}

    def get_repository(self, call: Call) -> Answer:
        return {"repositoryMetadata": self.records.describe(self._of(call))}

    def batch_get_repositories(self, call: Call) -> Answer:
        names = list(dict.fromkeys(call["repositoryNames"]))
        if len(names) > MOST_NAMES:
            raise AwsError("MaximumRepositoryNamesExceededException", f"At most {MOST_NAMES} names, got {len(names)}")
        found = {name: self.records.find(call.region, name) for name in names}
        return {
            "repositories": [self.records.describe(repository) for repository in found.values() if repository],
            "repositoriesNotFound": [name for name, repository in found.items() if repository is None],
        }

    def list_repositories(self, call: Call) -> Answer:
        if call.get("nextToken"):
            raise AwsError("InvalidContinuationTokenException", "All repositories were in the first answer")
        repositories = list(self.records.list(call.region))
        if call.get("sortBy") == "lastModifiedDate":
            repositories.sort(key=lambda repository: repository.modified_at)
        if call.get("order") == "descending":
            repositories.reverse()
        return {"repositories": [{"repositoryName": each.name, "repositoryId": each.id} for each in repositories]}

    async def delete_repository(self, call: Call) -> Answer:
        repository = self.records.find(call.region, call["repositoryName"])
        if repository is None:
            return {}
        with self.store.transaction() as tx:
            tx.execute("DELETE FROM codecommit_repositories WHERE repository_id = ?", (repository.id,))
        await asyncio.to_thread(shutil.rmtree, repository.path, ignore_errors=True)
        return {"repositoryId": repository.id}

    def update_repository_name(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["oldName"])
        _check_name(call["newName"])
        self._check_free(call.region, call["newName"])
        self._update(repository, name=call["newName"])
        return {}

    def update_repository_description(self, call: Call) -> Answer:
        self._update(self._of(call), description=call.get("repositoryDescription"))
        return {}

    async def update_default_branch(self, call: Call) -> Answer:
        repository = self._of(call)
        branch = call["defaultBranchName"]
        if await self.records.find_branch(repository, branch) is None:
            raise AwsError("BranchDoesNotExistException", f"Branch {branch} does not exist in {repository.name}")
        self._update(repository, default_branch=branch)
        await self.announcements.ensure_head(replace(repository, default_branch=branch))
        return {}

    def tag_resource(self, call: Call) -> Answer:
        repository = self._of_arn(call)
        tags = {**repository.tags, **_checked_tags(call["tags"])}
        if len(tags) > MOST_TAGS:
            raise AwsError("TooManyTagsException", f"A repository has at most {MOST_TAGS} tags, this makes {len(tags)}")
        self._update(repository, tags=json.dumps(tags))
        return {}

    def untag_resource(self, call: Call) -> Answer:
        repository = self._of_arn(call)
        tags = {key: value for key, value in repository.tags.items() if key not in call["tagKeys"]}
        self._update(repository, tags=json.dumps(tags))
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"tags": self._of_arn(call).tags}

    def _of(self, call: Call) -> Repository:
        return self.records.get(call.region, call["repositoryName"])

    def _of_arn(self, call: Call) -> Repository:
        resource = call["resourceArn"]
        if not is_arn(resource) or resource.split(":")[2] != "codecommit":
            raise AwsError("InvalidResourceArnException", f"{resource} is not the ARN of a repository")
        return self.records.get(resource.split(":")[3], resource_of(resource))

    def _update(self, repository: Repository, **columns: Any) -> None:
        with self.store.transaction() as tx:
            self.records.update(tx, repository, **columns, modified_at=self.clock.now())

    def _check_free(self, region: str, name: str) -> None:
        if self.records.find(region, name) is not None:
            raise AwsError("RepositoryNameExistsException", f"Repository named {name} already exists")

    def _free_folder(self, region: str, name: str) -> Path:
        parent = self.config.repositories / region
        first = parent / f"{name}.git"
        return parent / f"{name}-{new_uuid()[:8]}.git" if first.exists() else first


def _check_name(name: str) -> None:
    if name.endswith(".git") or not name.strip("."):
        raise AwsError(
            "InvalidRepositoryNameException", f"{name} is not a valid repository name: it must not end in .git"
        )


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if any(key.startswith("aws:") for key in tags):
        raise AwsError("InvalidSystemTagUsageException", "Tag keys that start with aws: are reserved")
    return dict(tags)

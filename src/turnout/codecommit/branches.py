"""Operations on branches."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.codecommit.git import GitFailed
from turnout.codecommit.operations import Operations
from turnout.codecommit.records import Repository, is_object_id, is_ref_name
from turnout.errors import AwsError

_NOTHING = "0" * 40
"""git's word for a ref that must not exist yet."""


class Branches(Operations):
    async def create_branch(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        branch, commit = call["branchName"], call["commitId"]
        if not is_object_id(commit):
            raise AwsError("InvalidCommitIdException", f"{commit} is not a full commit id")
        if await self.records.find_object(repository, commit, "commit") != commit:
            raise AwsError("CommitDoesNotExistException", f"Commit {commit} does not exist in {repository.name}")
        if await self.records.find_branch(repository, branch) is not None:
            raise AwsError("BranchNameExistsException", f"Branch {branch} already exists in {repository.name}")
        await self._move_branch(repository, branch, commit, was=None)
        await self.announcements.announce(repository, call.principal)
        return {}

    async def get_branch(self, call: Call) -> Answer:
        if not call.get("repositoryName"):
            raise AwsError("RepositoryNameRequiredException", "A repository name is required")
        if not call.get("branchName"):
            raise AwsError("BranchNameRequiredException", "A branch name is required")
        repository = self.records.get(call.region, call["repositoryName"])
        commit = await self.records.find_branch(repository, call["branchName"])
        if commit is None:
            raise AwsError(
                "BranchDoesNotExistException", f"Branch {call['branchName']} does not exist in {repository.name}"
            )
        return {"branch": {"branchName": call["branchName"], "commitId": commit}}

    async def list_branches(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        if call.get("nextToken"):
            raise AwsError("InvalidContinuationTokenException", "All branches were in the first answer")
        return {"branches": await self._branch_names(repository)}

    async def delete_branch(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        branch = call["branchName"]
        if branch == repository.default_branch:
            raise AwsError(
                "DefaultBranchCannotBeDeletedException",
                f"{branch} is the default branch of {repository.name}; make another one the default first",
            )
        commit = await self.records.find_branch(repository, branch)
        if commit is None:
            return {}
        await self.git.run(repository.path, "update-ref", "-d", f"refs/heads/{branch}", commit)
        await self.announcements.announce(repository, call.principal)
        return {"deletedBranch": {"branchName": branch, "commitId": commit}}

    async def _branch_names(self, repository: Repository) -> list[str]:
        form = "--format=%(refname:lstrip=2)"
        return (await self.git.run(repository.path, "for-each-ref", form, "refs/heads/")).decode().splitlines()

    async def _move_branch(self, repository: Repository, branch: str, commit: str, was: str | None) -> None:
        """Point a branch to a commit if it still points to `was` (None: if there is none yet)."""
        if not is_ref_name(branch):
            raise AwsError("InvalidBranchNameException", f"{branch!r} is not a valid branch name")
        try:
            await self.git.run(repository.path, "update-ref", f"refs/heads/{branch}", commit, was or _NOTHING)
        except GitFailed as failed:
            if "is at" in str(failed) or "already exists" in str(failed):
                raise AwsError(
                    "ParentCommitIdOutdatedException", f"Branch {branch} of {repository.name} has moved meanwhile"
                ) from failed
            raise AwsError("InvalidBranchNameException", f"Branch {branch}: {failed}") from failed

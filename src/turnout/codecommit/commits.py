"""Operations that read commits and what differs between two of them."""

from __future__ import annotations

import re
from typing import Any

from turnout.aws import Answer, Call
from turnout.codecommit.files import checked_path
from turnout.codecommit.git import GitFailed
from turnout.codecommit.operations import Operations
from turnout.codecommit.records import Repository, is_object_id
from turnout.errors import AwsError

MOST_COMMITS = 100
MOST_DIFFERENCES = 1000
"""Of one page, when the caller does not say."""

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

_PERSON = re.compile(r"(?P<name>.*?) ?<(?P<email>[^>]*)> (?P<date>\d+ [+-]\d+)")


class Commits(Operations):
    async def get_commit(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        commit_id = call["commitId"]
        if not is_object_id(commit_id):
            raise AwsError("InvalidCommitIdException", f"{commit_id} is not a full commit id")
        commit = await self._commit(repository, commit_id)
        if commit is None:
            raise AwsError("CommitIdDoesNotExistException", f"Commit {commit_id} does not exist in {repository.name}")
        return {"commit": commit}

    async def batch_get_commits(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        ids = list(dict.fromkeys(call["commitIds"]))
        if len(ids) > MOST_COMMITS:
            raise AwsError("CommitIdsLimitExceededException", f"At most {MOST_COMMITS} commits, got {len(ids)}")
        commits, errors = [], []
        for commit_id in ids:
            commit = await self._commit(repository, commit_id)
            if commit is not None:
                commits.append(commit)
            else:
                code = "CommitDoesNotExistException" if is_object_id(commit_id) else "InvalidCommitIdException"
                errors.append({"commitId": commit_id, "errorCode": code, "errorMessage": f"No commit {commit_id}"})
        return {"commits": commits, "errors": errors}

    async def get_differences(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        before_path, after_path = call.get("beforePath"), call.get("afterPath")
        if before_path is not None and after_path is not None and before_path != after_path:
            raise AwsError("InvalidPathException", "turnout compares one path at both commits: give the same one twice")
        path = (after_path or before_path or "").strip("/")
        path = path if path in ("", ".") else checked_path(path)
        after = await self.records.commit_at(repository, call["afterCommitSpecifier"])
        before = EMPTY_TREE
        if call.get("beforeCommitSpecifier") is not None:
            before = await self.records.commit_at(repository, call["beforeCommitSpecifier"])
        form = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", before, after, "--")
        differences = differences_in(
            await self.git.run(repository.path, *form, *([f":(literal){path}"] if path else []))
        )
        if path and not differences and not await self._exists(repository, (before, after), path):
            raise AwsError("PathDoesNotExistException", f"{path} is in neither of the two commits")
        start, size = _page(call)
        end = start + size
        return {
            "differences": differences[start:end],
            "NextToken": str(end) if end < len(differences) else None,
        }

    async def _exists(self, repository: Repository, trees: tuple[str, ...], path: str) -> bool:
        for tree in trees:
            if await self.git.find(repository.path, "rev-parse", "--verify", "--quiet", f"{tree}:{path}"):
                return True
        return False

    async def _commit(self, repository: Repository, commit_id: str) -> dict[str, Any] | None:
        if not is_object_id(commit_id):
            return None
        try:
            raw = await self.git.run(repository.path, "cat-file", "commit", commit_id)
        except GitFailed:
            return None
        return described_commit(commit_id, raw)


def described_commit(commit_id: str, raw: bytes) -> dict[str, Any]:
    """AWS's Commit from git's own text of it."""
    head, _, message = raw.decode("utf-8", "replace").partition("\n\n")
    lines = [line.partition(" ") for line in head.split("\n")]
    members = {key: value for key, _, value in lines}
    return {
        "commitId": commit_id,
        "treeId": members["tree"],
        "parents": [value for key, _, value in lines if key == "parent"],
        "message": message,
        "author": _person(members["author"]),
        "committer": _person(members["committer"]),
        "additionalData": "",
    }


def differences_in(raw: bytes) -> list[dict[str, Any]]:
    """AWS's differences from `git diff-tree --raw -z`: ":100644 100755 <id> <id> M", then the path."""
    words = raw.decode("utf-8", "surrogateescape").split("\0")
    start = 0 if words[0].startswith(":") else 1
    differences = []
    for head, path in zip(words[start::2], words[start + 1 :: 2], strict=False):
        before_mode, after_mode, before_id, after_id, change = head[1:].split(" ")
        difference: dict[str, Any] = {"changeType": change[0] if change[0] in "AD" else "M"}
        if change[0] != "A":
            difference["beforeBlob"] = {"blobId": before_id, "path": path, "mode": before_mode}
        if change[0] != "D":
            difference["afterBlob"] = {"blobId": after_id, "path": path, "mode": after_mode}
        differences.append(difference)
    return differences


def _page(call: Call) -> tuple[int, int]:
    token, size = call.get("NextToken") or "0", call.get("MaxResults") or MOST_DIFFERENCES
    if not token.isdecimal():
        raise AwsError("InvalidContinuationTokenException", f"{token!r} is not a token of GetDifferences")
    if size < 1:
        raise AwsError("InvalidMaxResultsException", f"MaxResults must be at least 1, got {size}")
    return int(token), size


def _person(text: str) -> dict[str, str]:
    found = _PERSON.fullmatch(text)
    return found.groupdict() if found else {"name": text, "email": "", "date": ""}

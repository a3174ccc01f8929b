"""Operations that make a commit without a clone: PutFile, DeleteFile, CreateCommit.

The new tree is computed as a value, then written by git; the branch is moved last, and only from the parent that the
caller knew. What is left after a crash are objects that nobody points to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from turnout.aws import Answer, Call
from turnout.codecommit.branches import Branches
from turnout.codecommit.files import FILE_MODES, GIT_MODES, MOST_FILE_BYTES, checked_path, entries_in
from turnout.codecommit.records import Repository, is_object_id
from turnout.errors import AwsError
from turnout.names import new_uuid

MOST_ENTRIES = 100
KEEP = ".gitkeep"
_EMAIL = re.compile(r"[^<>\n]*")

Tree = Mapping[str, tuple[str, str]]
"""path → (git mode, blob id)"""


@dataclass
class Change:
    """What is to become of a tree: paths with a new (mode, content or blob id), and paths that go."""

    put: dict[str, tuple[str, bytes | str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)


class Changes(Branches):
    async def put_file(self, call: Call) -> Answer:
        path = checked_path(call["filePath"])
        repository, parent, tree = await self._parent(call)
        content = call["fileContent"]
        mode = GIT_MODES[call.get("fileMode") or FILE_MODES.get(tree.get(path, ("100644",))[0], "NORMAL")]
        blob = await self._write_blob(repository, path, content)
        if tree.get(path) == (mode, blob):
            raise AwsError("SameFileContentException", f"{path} has this content and mode already")
        message = call.get("commitMessage") or f"{'Edited' if path in tree else 'Added'} {path}"
        commit = await self._commit_change(call, repository, parent, tree, Change({path: (mode, blob)}), message)
        return {"commitId": commit["commitId"], "treeId": commit["treeId"], "blobId": blob}

    async def delete_file(self, call: Call) -> Answer:
        path = checked_path(call["filePath"])
        repository, parent, tree = await self._parent(call)
        if path not in tree:
            raise AwsError("FileDoesNotExistException", f"{path} is not a file of branch {call['branchName']}")
        change = Change(deleted={path})
        if call.get("keepEmptyFolders"):
            keep_folders(tree, change)
        message = call.get("commitMessage") or f"Deleted {path}"
        commit = await self._commit_change(call, repository, parent, tree, change, message)
        return {"commitId": commit["commitId"], "treeId": commit["treeId"], "blobId": tree[path][1], "filePath": path}

    async def create_commit(self, call: Call) -> Answer:
        repository, parent, tree = await self._parent(call)
        change = change_for(call.input, tree)
        if call.get("keepEmptyFolders"):
            keep_folders(tree, change)
        message = call.get("commitMessage") or "Changed files"
        return await self._commit_change(call, repository, parent, tree, change, message)

    async def _parent(self, call: Call) -> tuple[Repository, str | None, Tree]:
        """The tip of the branch, checked against what the caller believes it to be, and its files."""
        repository = self.records.get(call.region, call["repositoryName"])
        branch, believed = call["branchName"], call.get("parentCommitId")
        tip = await self.records.find_branch(repository, branch)
        if tip is None:
            if await self._branch_names(repository):
                raise AwsError("BranchDoesNotExistException", f"Branch {branch} does not exist in {repository.name}")
            return repository, None, {}
        if believed is None:
            raise AwsError("ParentCommitIdRequiredException", f"Branch {branch} has commits: name its tip, {tip}")
        if not is_object_id(believed):
            raise AwsError("InvalidParentCommitIdException", f"{believed} is not a full commit id")
        if await self.records.find_object(repository, believed, "commit") is None:
            raise AwsError("ParentCommitDoesNotExistException", f"Commit {believed} is not in {repository.name}")
        if believed != tip:
            raise AwsError("ParentCommitIdOutdatedException", f"The tip of {branch} is {tip}, not {believed}")
        entries = entries_in(await self.git.run(repository.path, "ls-tree", "-r", "-z", tip))
        return repository, tip, {entry.path: (entry.mode, entry.id) for entry in entries}

    async def _write_blob(self, repository: Repository, path: str, content: bytes) -> str:
        if len(content) > MOST_FILE_BYTES:
            raise AwsError("FileContentSizeLimitExceededException", f"{path} has more than {MOST_FILE_BYTES} bytes")
        return (await self.git.run(repository.path, "hash-object", "-w", "--stdin", stdin=content)).decode().strip()

    async def _commit_change(
        self, call: Call, repository: Repository, parent: str | None, tree: Tree, change: Change, message: str
    ) -> Answer:
        check_conflicts(tree, change)
        author = call.get("authorName") or call.get("name") or call.principal.rpartition(":")[2]
        email = call.get("email") or ""
        if not _EMAIL.fullmatch(email):
            raise AwsError("InvalidEmailException", f"{email!r} is not an e-mail address")
        blobs: dict[str, tuple[str, str]] = {}
        for path, (mode, content) in change.put.items():
            blob = content if isinstance(content, str) else await self._write_blob(repository, path, content)
            blobs[path] = (mode, blob)
        lines = [f"0 {'0' * 40}\t{path}" for path in change.deleted]
        lines += [f"{mode} {blob}\t{path}" for path, (mode, blob) in blobs.items()]
        index = repository.path / f"index-{new_uuid()}"
        aside = {"GIT_INDEX_FILE": str(index)}
        try:
            if parent is not None:
                await self.git.run(repository.path, "read-tree", parent, environment=aside)
            stdin = "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")
            await self.git.run(repository.path, "update-index", "-z", "--index-info", stdin=stdin, environment=aside)
            tree_id = (await self.git.run(repository.path, "write-tree", environment=aside)).decode().strip()
        finally:
            index.unlink(missing_ok=True)
        if parent is not None and tree_id == await self.git.find(repository.path, "rev-parse", f"{parent}^{{tree}}"):
            raise AwsError("NoChangeException", "The commit would change nothing")
        parents = [] if parent is None else ["-p", parent]
        person = {"NAME": author, "EMAIL": email, "DATE": f"{int(self.clock.now())} +0000"}
        commit = (
            await self.git.run(
                repository.path,
                "commit-tree",
                tree_id,
                *parents,
                stdin=message.encode(),
                environment={f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in person.items()},
            )
        ).decode()
        await self._move_branch(repository, call["branchName"], commit.strip(), was=parent)
        await self.announcements.announce(repository, call.principal)
        return {"commitId": commit.strip(), "treeId": tree_id, **described_change(tree, blobs, change.deleted)}


def change_for(request: Mapping[str, Any], tree: Tree) -> Change:
    """What CreateCommit asks for. Raises AwsError as AWS does."""
    change = Change()
    puts, deletes, modes = (request.get(member) or [] for member in ("putFiles", "deleteFiles", "setFileModes"))
    if not (puts or deletes or modes):
        raise AwsError("FileEntryRequiredException", "At least one file must be put, deleted or given a mode")
    if len(puts) + len(deletes) + len(modes) > MOST_ENTRIES:
        raise AwsError("MaximumFileEntriesExceededException", f"At most {MOST_ENTRIES} files in one commit")
    paths = [checked_path(entry["filePath"]) for entry in (*puts, *deletes, *modes)]
    if len(set(paths)) != len(paths):
        raise AwsError("SamePathRequestException", "A path is named twice")
    for entry in puts:
        path, source = checked_path(entry["filePath"]), entry.get("sourceFile")
        if source is not None and entry.get("fileContent") is not None:
            raise AwsError("FileContentAndSourceFileSpecifiedException", f"{path}: content or a source file, not both")
        if source is None and entry.get("fileContent") is None:
            raise AwsError("SourceFileOrContentRequiredException", f"{path}: neither content nor a source file")
        mode, content = tree.get(path, ("100644", ""))[0], entry.get("fileContent")
        if source is not None:
            mode, content = _present(tree, source["filePath"])
            if source.get("isMove"):
                change.deleted.add(checked_path(source["filePath"]))
        change.put[path] = (GIT_MODES[entry["fileMode"]] if entry.get("fileMode") else mode, content)
    for entry in deletes:
        _present(tree, entry["filePath"])
        change.deleted.add(checked_path(entry["filePath"]))
    for entry in modes:
        change.put[checked_path(entry["filePath"])] = (
            GIT_MODES[entry["fileMode"]],
            _present(tree, entry["filePath"])[1],
        )
    change.deleted -= change.put.keys()
    return change


def keep_folders(tree: Tree, change: Change) -> None:
    """Put a .gitkeep into every folder that the change would empty."""
    left = {path for path in tree if path not in change.deleted} | change.put.keys()
    for path in sorted(change.deleted):
        folder = path.rpartition("/")[0]
        if folder and not any(other.startswith(f"{folder}/") for other in left):
            change.put[f"{folder}/{KEEP}"] = ("100644", b"")
            left.add(f"{folder}/{KEEP}")


def check_conflicts(tree: Tree, change: Change) -> None:
    """Raise AwsError if a file of the change would be where a folder is, or the other way round."""
    left = ({path for path in tree if path not in change.deleted}) | change.put.keys()
    folders = {path[:end] for path in left for end in range(len(path)) if path[end] == "/"}
    for path in change.put:
        if path in folders:
            raise AwsError("FileNameConflictsWithDirectoryNameException", f"{path} is a folder")
        for end in (end for end in range(len(path)) if path[end] == "/"):
            if path[:end] in left:
                raise AwsError("DirectoryNameConflictsWithFileNameException", f"{path[:end]} is a file")


def described_change(tree: Tree, put: Tree, deleted: set[str]) -> dict[str, list[dict[str, str]]]:
    """filesAdded, filesUpdated, filesDeleted."""

    def described(path: str, mode: str, blob: str) -> dict[str, str]:
        return {"absolutePath": path, "blobId": blob, "fileMode": FILE_MODES.get(mode, "NORMAL")}

    return {
        "filesAdded": [described(path, *entry) for path, entry in put.items() if path not in tree],
        "filesUpdated": [described(path, *entry) for path, entry in put.items() if tree.get(path, entry) != entry],
        "filesDeleted": [described(path, *tree[path]) for path in sorted(deleted)],
    }


def _present(tree: Tree, path: str) -> tuple[str, str]:
    found = tree.get(checked_path(path))
    if found is None:
        raise AwsError("FileDoesNotExistException", f"{path} is not in the parent commit")
    return found

"""Operations that read the files of a commit, and the zip of a whole one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.aws import Answer, Call
from turnout.codecommit.git import GitFailed
from turnout.codecommit.operations import Operations
from turnout.codecommit.records import Repository, is_object_id
from turnout.errors import AwsError

MOST_FILE_BYTES = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html"""

FILE_MODES = {"100644": "NORMAL", "100755": "EXECUTABLE", "120000": "SYMLINK"}
GIT_MODES = {name: mode for mode, name in FILE_MODES.items()}


@dataclass(frozen=True)
class Entry:
    """One line of a tree."""

    mode: str
    kind: str
    id: str
    path: str

    @property
    def file_mode(self) -> str:
        return FILE_MODES.get(self.mode, "NORMAL")


def entries_in(raw: bytes) -> list[Entry]:
    """The entries of `git ls-tree -z`: "100644 blob <id>", a tab, the path."""
    entries = []
    for line in raw.decode("utf-8", "surrogateescape").split("\0"):
        head, _, path = line.partition("\t")
        if path:
            mode, kind, object_id = head.split(" ")
            entries.append(Entry(mode, kind, object_id, path))
    return entries


class Files(Operations):
    async def get_file(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        path = checked_path(call["filePath"])
        commit = await self.records.commit_at(repository, call.get("commitSpecifier"))
        entries = entries_in(await self.git.run(repository.path, "ls-tree", "-z", commit, "--", f":(literal){path}"))
        if not entries or entries[0].kind != "blob":
            raise AwsError("FileDoesNotExistException", f"{path} is not a file of commit {commit}")
        content = await self._blob(repository, entries[0].id)
        return {
            "commitId": commit,
            "blobId": entries[0].id,
            "filePath": path,
            "fileMode": entries[0].file_mode,
            "fileSize": len(content),
            "fileContent": content,
        }

    async def get_folder(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        folder = call["folderPath"].strip("/")
        commit = await self.records.commit_at(repository, call.get("commitSpecifier"))
        tree = await self.git.find(repository.path, "rev-parse", "--verify", "--quiet", f"{commit}:{folder}")
        try:
            entries = entries_in(await self.git.run(repository.path, "ls-tree", "-z", tree or ""))
        except GitFailed as failed:
            raise AwsError("FolderDoesNotExistException", f"{folder} is not a folder of commit {commit}") from failed

        def described(entry: Entry, identifier: str, **more: str) -> dict[str, Any]:
            absolute = f"{folder}/{entry.path}" if folder else entry.path
            return {identifier: entry.id, "absolutePath": absolute, "relativePath": entry.path, **more}

        files = [entry for entry in entries if entry.kind == "blob"]
        return {
            "commitId": commit,
            "folderPath": folder,
            "treeId": tree,
            "subFolders": [described(entry, "treeId") for entry in entries if entry.kind == "tree"],
            "files": [described(e, "blobId", fileMode=e.file_mode) for e in files if e.file_mode != "SYMLINK"],
            "symbolicLinks": [described(e, "blobId", fileMode=e.file_mode) for e in files if e.file_mode == "SYMLINK"],
            "subModules": [described(entry, "commitId") for entry in entries if entry.kind == "commit"],
        }

    async def get_blob(self, call: Call) -> Answer:
        repository = self.records.get(call.region, call["repositoryName"])
        blob = call["blobId"]
        if not is_object_id(blob):
            raise AwsError("InvalidBlobIdException", f"{blob} is not a full blob id")
        if await self.records.find_object(repository, blob, "blob") is None:
            raise AwsError("BlobIdDoesNotExistException", f"Blob {blob} does not exist in {repository.name}")
        return {"content": await self._blob(repository, blob)}

    async def upload_archive(self, call: Call) -> Answer:
        """Put a commit as a zip into S3: repositoryName, commitId, bucket, key.

        AWS calls an operation of this name that it does not document; no client can, only a room.
        Root-relative, with file modes and symbolic links, without .git.
        """
        repository = self.records.get(call.region, call["repositoryName"])
        commit = await self.records.commit_at(repository, call["commitId"])
        body = await self.git.run(repository.path, "archive", "--format=zip", "-1", commit)
        await self.aws.call(
            "s3",
            "PutObject",
            call.region,
            Bucket=call["bucket"],
            Key=call["key"],
            Body=body,
            Metadata={"codecommit-commit-id": commit},
        )
        return {"commitId": commit}

    async def clone_repository(self, call: Call) -> Answer:
        """Clone into an empty folder for a build: repositoryName, version (branch, tag or commit), depth, folder.

        For rooms only. The commit is checked out, detached; the clone shares no file with the repository.
        """
        repository = self.records.get(call.region, call["repositoryName"])
        commit = await self.records.commit_at(repository, call.get("version"))
        folder = Path(call["folder"])
        await self.git.run(None, "init", "--quiet", "--template=", str(folder))
        url = self.records.describe(repository)["cloneUrlHttp"]
        work = folder / ".git"
        await self.git.run(work, "remote", "add", "origin", url)
        depth = [f"--depth={call['depth']}"] if call.get("depth") else []
        refs = [commit] if depth else [commit, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        source = f"file://{repository.path}"
        await self.git.run(work, "fetch", "--quiet", *depth, source, *refs)
        await self.git.run(work, f"--work-tree={folder}", "checkout", "--quiet", "--detach", commit)
        return {"commitId": commit}

    async def _blob(self, repository: Repository, blob: str) -> bytes:
        size = int((await self.git.run(repository.path, "cat-file", "-s", blob)).decode())
        if size > MOST_FILE_BYTES:
            raise AwsError("FileTooLargeException", f"Blob {blob} has {size} bytes, at most {MOST_FILE_BYTES} are read")
        return await self.git.run(repository.path, "cat-file", "blob", blob)


def checked_path(path: str) -> str:
    """A path of a file below the root, as git writes it. Raises InvalidPathException."""
    parts = path.strip("/").split("/")
    if any(part in ("", ".", "..", ".git") for part in parts) or "\0" in path:
        raise AwsError("InvalidPathException", f"{path!r} is not the path of a file in a repository")
    return "/".join(parts)

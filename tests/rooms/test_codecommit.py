"""CodeCommit through boto3."""

from __future__ import annotations

import asyncio
import fcntl
import io
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from turnout.aws import Event
from turnout.codecommit.announcements import push_lock


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


class Listening:
    """Every event that was announced, oldest first."""

    def __init__(self, world: Any) -> None:
        self.events: list[Event] = []
        world.aws.listen(lambda tx, event: self.events.append(event))

    def details(self) -> list[tuple[str, str]]:
        return [(event.detail["event"], event.detail["referenceFullName"]) for event in self.events]


@pytest.fixture
def codecommit(world: Any) -> Any:
    client = world.boto("codecommit")
    client.create_repository(repositoryName="app", repositoryDescription="it", tags={"team": "a"})
    return client


@pytest.fixture
def first(codecommit: Any) -> str:
    """The first commit: README on main."""
    return put(codecommit, "README", b"hello\n", None)


def put(codecommit: Any, path: str, content: bytes, parent: str | None, branch: str = "main", **more: Any) -> str:
    more |= {"parentCommitId": parent} if parent else {}
    answer = codecommit.put_file(
        repositoryName="app", branchName=branch, filePath=path, fileContent=content, name="Ann", email="a@b.c", **more
    )
    return str(answer["commitId"])


def test_a_repository_is_described_as_terraform_reads_it(codecommit: Any) -> None:
    metadata = codecommit.get_repository(repositoryName="app")["repositoryMetadata"]
    assert metadata["Arn"] == "arn:aws:codecommit:us-east-1:000000000000:app"
    assert metadata["cloneUrlHttp"] == "http://127.0.0.1:4566/v1/repos/app"
    assert metadata["cloneUrlSsh"] == "ssh://git-codecommit.us-east-1.amazonaws.com/v1/repos/app"
    assert metadata["repositoryDescription"] == "it"
    assert "defaultBranch" not in metadata
    assert codecommit.list_tags_for_resource(resourceArn=metadata["Arn"])["tags"] == {"team": "a"}
    assert codecommit.list_branches(repositoryName="app")["branches"] == []


def test_each_region_has_its_own_repositories(world: Any, codecommit: Any) -> None:
    elsewhere = world.boto("codecommit", region="eu-central-1")
    with pytest.raises(ClientError) as raised:
        elsewhere.get_repository(repositoryName="app")
    assert code_of(raised) == "RepositoryDoesNotExistException"
    url = elsewhere.create_repository(repositoryName="app")["repositoryMetadata"]["cloneUrlHttp"]
    assert url == "http://127.0.0.1:4566/v1/repos/eu-central-1/app"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("app", "RepositoryNameExistsException"),
        ("b.git", "InvalidRepositoryNameException"),
        ("..", "InvalidRepositoryNameException"),
    ],
)
def test_a_name_that_is_taken_or_no_name_is_refused(codecommit: Any, name: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        codecommit.create_repository(repositoryName=name)
    assert code_of(raised) == code


def test_a_deleted_repository_is_gone_and_its_name_is_free_again(codecommit: Any, first: str) -> None:
    assert codecommit.delete_repository(repositoryName="app")["repositoryId"]
    assert "repositoryId" not in codecommit.delete_repository(repositoryName="app")
    codecommit.create_repository(repositoryName="app")
    assert codecommit.list_branches(repositoryName="app")["branches"] == []


def test_a_renamed_repository_keeps_its_commits(codecommit: Any, first: str) -> None:
    codecommit.update_repository_name(oldName="app", newName="web")
    codecommit.create_repository(repositoryName="app")
    assert codecommit.get_branch(repositoryName="web", branchName="main")["branch"]["commitId"] == first
    assert codecommit.list_branches(repositoryName="app")["branches"] == []
    names = [each["repositoryName"] for each in codecommit.list_repositories(order="descending")["repositories"]]
    assert names == ["web", "app"]
    batch = codecommit.batch_get_repositories(repositoryNames=["web", "no"])
    assert [each["repositoryName"] for each in batch["repositories"]] == ["web"]
    assert batch["repositoriesNotFound"] == ["no"]


def test_the_first_commit_sets_the_default_branch_and_is_announced(world: Any, codecommit: Any) -> None:
    heard = Listening(world)
    commit = put(codecommit, "src/a.txt", b"1", None, branch="trunk")
    assert codecommit.get_repository(repositoryName="app")["repositoryMetadata"]["defaultBranch"] == "trunk"
    (event,) = heard.events
    assert event.detail_type == "CodeCommit Repository State Change"
    assert event.resources == ("arn:aws:codecommit:us-east-1:000000000000:app",)
    assert event.detail["event"] == "referenceCreated"
    assert event.detail["referenceType"] == "branch"
    assert event.detail["referenceName"] == "trunk"
    assert event.detail["commitId"] == commit
    assert "oldCommitId" not in event.detail


def test_a_branch_lives_from_creation_to_deletion_and_each_move_is_announced(
    world: Any, codecommit: Any, first: str
) -> None:
    heard = Listening(world)
    codecommit.create_branch(repositoryName="app", branchName="feature/x", commitId=first)
    second = put(codecommit, "README", b"again\n", first, branch="feature/x")
    assert codecommit.list_branches(repositoryName="app")["branches"] == ["feature/x", "main"]
    deleted = codecommit.delete_branch(repositoryName="app", branchName="feature/x")["deletedBranch"]
    assert deleted == {"branchName": "feature/x", "commitId": second}
    assert heard.details() == [
        ("referenceCreated", "refs/heads/feature/x"),
        ("referenceUpdated", "refs/heads/feature/x"),
        ("referenceDeleted", "refs/heads/feature/x"),
    ]
    assert heard.events[1].detail["oldCommitId"] == first
    assert heard.events[2].detail["oldCommitId"] == second
    assert "commitId" not in heard.events[2].detail


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("get_branch", {"branchName": "no"}, "BranchDoesNotExistException"),
        ("get_branch", {"branchName": "main~1"}, "InvalidBranchNameException"),
        ("create_branch", {"branchName": "b", "commitId": "1" * 40}, "CommitDoesNotExistException"),
        ("create_branch", {"branchName": "b", "commitId": "main"}, "InvalidCommitIdException"),
        ("create_branch", {"branchName": "main", "commitId": "FIRST"}, "BranchNameExistsException"),
        ("delete_branch", {"branchName": "main"}, "DefaultBranchCannotBeDeletedException"),
        ("update_default_branch", {"defaultBranchName": "no"}, "BranchDoesNotExistException"),
        ("get_commit", {"commitId": "2" * 40}, "CommitIdDoesNotExistException"),
        ("get_commit", {"commitId": "main"}, "InvalidCommitIdException"),
        ("get_file", {"filePath": "no"}, "FileDoesNotExistException"),
        ("get_file", {"filePath": "../x"}, "InvalidPathException"),
        ("get_file", {"filePath": "README", "commitSpecifier": "no"}, "CommitDoesNotExistException"),
        ("get_folder", {"folderPath": "no"}, "FolderDoesNotExistException"),
        ("get_folder", {"folderPath": "README"}, "FolderDoesNotExistException"),
        ("get_blob", {"blobId": "3" * 40}, "BlobIdDoesNotExistException"),
        ("get_blob", {"blobId": "x"}, "InvalidBlobIdException"),
        ("get_differences", {"afterCommitSpecifier": "main", "afterPath": "no"}, "PathDoesNotExistException"),
        ("get_differences", {"afterCommitSpecifier": "main", "afterPath": "../../x"}, "InvalidPathException"),
    ],
)
def test_what_is_not_there_is_named_with_aws_own_error(
    codecommit: Any, first: str, operation: str, arguments: dict[str, str], code: str
) -> None:
    given = {name: first if value == "FIRST" else value for name, value in arguments.items()}
    with pytest.raises(ClientError) as raised:
        getattr(codecommit, operation)(repositoryName="app", **given)
    assert code_of(raised) == code


def test_a_commit_is_read_with_its_people_and_parents(codecommit: Any, first: str) -> None:
    second = put(codecommit, "README", b"again\n", first, commitMessage="Say it again\n\nLouder.")
    commit = codecommit.get_commit(repositoryName="app", commitId=second)["commit"]
    assert commit["parents"] == [first]
    assert commit["message"].rstrip() == "Say it again\n\nLouder."
    assert commit["author"] == {"name": "Ann", "email": "a@b.c", "date": "1790000000 +0000"}
    batch = codecommit.batch_get_commits(repositoryName="app", commitIds=[first, "4" * 40])
    assert [each["commitId"] for each in batch["commits"]] == [first]
    assert [each["errorCode"] for each in batch["errors"]] == ["CommitDoesNotExistException"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "ParentCommitIdRequiredException"),
        ({"parentCommitId": "5" * 40}, "ParentCommitDoesNotExistException"),
        ({"parentCommitId": "main"}, "InvalidParentCommitIdException"),
        ({"parentCommitId": "OLD"}, "ParentCommitIdOutdatedException"),
        ({"parentCommitId": "TIP", "fileContent": b"2"}, "SameFileContentException"),
        ({"parentCommitId": "TIP", "filePath": "README/x"}, "DirectoryNameConflictsWithFileNameException"),
        ({"parentCommitId": "TIP", "branchName": "no"}, "BranchDoesNotExistException"),
    ],
)
def test_a_file_is_put_only_onto_the_tip_that_the_caller_knows(
    codecommit: Any, first: str, arguments: dict[str, Any], code: str
) -> None:
    tip = put(codecommit, "README", b"2", first)
    known = {"OLD": first, "TIP": tip}
    given = {name: known.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}
    with pytest.raises(ClientError) as raised:
        codecommit.put_file(
            **{"repositoryName": "app", "branchName": "main", "filePath": "README", "fileContent": b"3", **given}
        )
    assert code_of(raised) == code
    assert codecommit.get_branch(repositoryName="app", branchName="main")["branch"]["commitId"] == tip


def test_one_commit_puts_moves_deletes_and_changes_modes(codecommit: Any, first: str) -> None:
    second = codecommit.create_commit(
        repositoryName="app",
        branchName="main",
        parentCommitId=first,
        putFiles=[
            {"filePath": "bin/run", "fileContent": b"#!/bin/sh\n", "fileMode": "EXECUTABLE"},
            {"filePath": "docs/a", "fileContent": b"a"},
        ],
    )
    assert [each["absolutePath"] for each in second["filesAdded"]] == ["bin/run", "docs/a"]
    third = codecommit.create_commit(
        repositoryName="app",
        branchName="main",
        parentCommitId=second["commitId"],
        keepEmptyFolders=True,
        putFiles=[{"filePath": "moved", "sourceFile": {"filePath": "docs/a", "isMove": True}}],
        setFileModes=[{"filePath": "bin/run", "fileMode": "NORMAL"}],
        deleteFiles=[{"filePath": "README"}],
    )
    assert [each["absolutePath"] for each in third["filesDeleted"]] == ["README", "docs/a"]
    assert [each["absolutePath"] for each in third["filesUpdated"]] == ["bin/run"]
    folder = codecommit.get_folder(repositoryName="app", folderPath="/")
    assert [each["relativePath"] for each in folder["subFolders"]] == ["bin", "docs"]
    assert [each["absolutePath"] for each in folder["files"]] == ["moved"]
    docs = codecommit.get_folder(repositoryName="app", folderPath="docs")
    assert [each["absolutePath"] for each in docs["files"]] == ["docs/.gitkeep"]
    file = codecommit.get_file(repositoryName="app", filePath="bin/run", commitSpecifier="refs/heads/main")
    assert (file["fileMode"], file["fileContent"]) == ("NORMAL", b"#!/bin/sh\n")
    assert codecommit.get_blob(repositoryName="app", blobId=file["blobId"])["content"] == b"#!/bin/sh\n"
    changes = codecommit.get_differences(
        repositoryName="app", beforeCommitSpecifier=second["commitId"], afterCommitSpecifier="main"
    )["differences"]
    kinds = {(each.get("afterBlob") or each["beforeBlob"])["path"]: each["changeType"] for each in changes}
    assert kinds == {"README": "D", "bin/run": "M", "docs/.gitkeep": "A", "docs/a": "D", "moved": "A"}
    page = codecommit.get_differences(repositoryName="app", afterCommitSpecifier="main", MaxResults=2)
    rest = codecommit.get_differences(
        repositoryName="app", afterCommitSpecifier="main", MaxResults=2, NextToken=page["NextToken"]
    )
    assert [each["afterBlob"]["path"] for each in page["differences"] + rest["differences"]] == [
        "bin/run",
        "docs/.gitkeep",
        "moved",
    ]
    assert "NextToken" not in rest


def test_deleting_the_only_file_of_a_folder_can_keep_the_folder(codecommit: Any, first: str) -> None:
    second = put(codecommit, "a/b", b"x", first)
    answer = codecommit.delete_file(
        repositoryName="app", branchName="main", filePath="a/b", parentCommitId=second, keepEmptyFolders=True
    )
    assert answer["filePath"] == "a/b"
    folder = codecommit.get_folder(repositoryName="app", folderPath="a")
    assert [each["relativePath"] for each in folder["files"]] == [".gitkeep"]


def test_tags_come_and_go(codecommit: Any) -> None:
    resource = "arn:aws:codecommit:us-east-1:000000000000:app"
    codecommit.tag_resource(resourceArn=resource, tags={"b": "2"})
    codecommit.untag_resource(resourceArn=resource, tagKeys=["team"])
    assert codecommit.list_tags_for_resource(resourceArn=resource)["tags"] == {"b": "2"}


def test_a_push_whose_announcement_was_lost_is_announced_at_the_next_start(
    world: Any, codecommit: Any, first: str
) -> None:
    (bare,) = world.engine.config.repositories.glob("*/*.git")
    world.run(world.engine.codecommit.git.run(bare, "update-ref", "refs/tags/v1", first))
    world.reboot()
    heard = Listening(world)
    world.run(world.engine.codecommit.start())
    assert heard.details() == []
    assert world.store.one("SELECT count(*) AS n FROM codecommit_refs")["n"] == 2


def test_a_start_waits_for_a_push_that_outlived_the_last_engine(world: Any, codecommit: Any, first: str) -> None:
    """Its refs would change behind our back: nobody would announce them."""
    (bare,) = world.engine.config.repositories.glob("*/*.git")

    async def starting() -> None:
        with push_lock(bare).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            started = asyncio.create_task(world.engine.codecommit.start())
            done, _ = await asyncio.wait([started], timeout=0.2)
            assert not done
        async with asyncio.timeout(30):
            await started

    world.run(starting())


def test_the_source_of_a_pipeline_is_the_commit_as_a_zip(world: Any, codecommit: Any, first: str) -> None:
    world.boto("s3").create_bucket(Bucket="artifacts")
    codecommit.create_commit(
        repositoryName="app",
        branchName="main",
        parentCommitId=first,
        putFiles=[
            {"filePath": "bin/run", "fileContent": b"#!/bin/sh\n", "fileMode": "EXECUTABLE"},
            {"filePath": "link", "fileContent": b"bin/run", "fileMode": "SYMLINK"},
            {"filePath": ".gitattributes", "fileContent": b"README export-ignore\n"},
        ],
    )
    branch = codecommit.get_branch(repositoryName="app", branchName="main")["branch"]
    world.run(
        world.aws.call(
            "codecommit",
            "UploadArchive",
            "us-east-1",
            repositoryName="app",
            commitId=branch["commitId"],
            bucket="artifacts",
            key="app/Source/1",
        )
    )
    body = world.boto("s3").get_object(Bucket="artifacts", Key="app/Source/1")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert archive.read("link") == b"bin/run"
    assert set(modes) == {"README", "bin/", "bin/run", "link", ".gitattributes"}
    assert modes["bin/run"] & 0o111
    assert modes["link"] & 0o170000 == 0o120000

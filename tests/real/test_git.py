"""git itself against the gateway: clones and pushes over HTTP."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.real.serving import serving
from turnout.app import Engine
from turnout.codecommit.credentials import signature_for

pytestmark = pytest.mark.real

MIB = 1024 * 1024


def git(where: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run git as a user without any configuration."""
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(where),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_{key}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")},
        **environment,
    }
    return subprocess.run(["git", *arguments], cwd=where, env=clean, capture_output=True, text=True, timeout=120)


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with serving(tmp_path / "home") as engine:
        yield engine


def codecommit_of(engine: Engine, key: str = "test", secret: str = "test", region: str = "us-east-1") -> Any:
    return boto3.client(
        "codecommit",
        region,
        endpoint_url=engine.config.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


@pytest.fixture
def url(engine: Engine) -> str:
    answer = codecommit_of(engine).create_repository(repositoryName="app")
    return str(answer["repositoryMetadata"]["cloneUrlHttp"])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone to be: one commit on main."""
    work = tmp_path / "work"
    work.mkdir()
    done(git(work, "init", "--quiet", "--initial-branch=main"))
    (work / "README").write_text("hello\n")
    commit(work, "first")
    return work


def commit(work: Path, message: str) -> str:
    done(git(work, "add", "--all"))
    done(git(work, "commit", "--quiet", "--message", message))
    return done(git(work, "rev-parse", "HEAD"))


def test_what_was_pushed_is_announced_before_the_push_returns_and_can_be_cloned(
    engine: Engine, url: str, work: Path, tmp_path: Path
) -> None:
    heard: list[dict[str, Any]] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail))
    done(git(work, "tag", "--annotate", "v1", "--message", "one"))
    done(git(work, "push", url, "main", "v1"))
    tip = done(git(work, "rev-parse", "HEAD"))
    assert [(each["event"], each["referenceFullName"], each["commitId"]) for each in heard] == [
        ("referenceCreated", "refs/heads/main", tip),
        ("referenceCreated", "refs/tags/v1", tip),
    ]
    done(git(tmp_path, "clone", "--quiet", url, "clone"))
    assert (tmp_path / "clone" / "README").read_text() == "hello\n"
    repository = codecommit_of(engine).get_repository(repositoryName="app")["repositoryMetadata"]
    assert repository["defaultBranch"] == "main"


def test_a_forced_push_and_a_deleted_branch_are_announced_but_the_default_branch_stays(
    engine: Engine, url: str, work: Path
) -> None:
    first = done(git(work, "rev-parse", "HEAD"))
    done(git(work, "push", url, "main", "main:refs/heads/old"))
    heard: list[dict[str, Any]] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail))
    (work / "README").write_text("rewritten\n")
    done(git(work, "commit", "--quiet", "--all", "--amend", "--message", "rewritten"))
    done(git(work, "push", "--force", url, "main", ":old"))
    assert [(each["event"], each["referenceName"], each["oldCommitId"]) for each in heard] == [
        ("referenceUpdated", "main", first),
        ("referenceDeleted", "old", first),
    ]
    refused = git(work, "push", url, ":main")
    assert refused.returncode != 0
    assert "refusing to delete the current branch" in refused.stderr


def test_a_push_creates_no_repository_and_the_client_is_told_how_to(engine: Engine, work: Path) -> None:
    refused = git(work, "push", f"{engine.config.endpoint}/v1/repos/absent", "main")
    assert refused.returncode != 0
    assert "There is no CodeCommit repository absent in us-east-1" in refused.stderr
    assert "create-repository --repository-name absent" in refused.stderr


def test_a_push_and_a_clone_of_more_than_a_hundred_megabytes_stream(
    engine: Engine, url: str, work: Path, tmp_path: Path
) -> None:
    (work / "big").write_bytes(os.urandom(110 * MIB))
    done(git(work, "config", "core.compression", "0"))
    commit(work, "big")
    before = peak_mib()
    done(git(work, "push", "--quiet", url, "main"))
    done(git(tmp_path, "clone", "--quiet", url, "clone"))
    assert (tmp_path / "clone" / "big").stat().st_size == 110 * MIB
    assert peak_mib() - before < 40


def peak_mib() -> float:
    """The most memory that this process, the engine in it, has ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def test_a_history_of_many_small_commits_is_fetched_with_a_compressed_request(
    engine: Engine, url: str, work: Path, tmp_path: Path
) -> None:
    done(git(work, "push", "--quiet", url, "main"))
    done(git(tmp_path, "clone", "--quiet", url, "clone"))
    for number in range(40):
        done(git(work, "commit", "--quiet", "--allow-empty", "--message", str(number)))
        done(git(tmp_path / "clone", "commit", "--quiet", "--allow-empty", "--message", f"mine {number}"))
        done(git(tmp_path / "clone", "tag", f"t{number}"))
    done(git(work, "push", "--quiet", url, "main"))
    done(git(tmp_path / "clone", "fetch", "--quiet", "origin"))
    assert done(git(tmp_path / "clone", "rev-parse", "origin/main")) == done(git(work, "rev-parse", "HEAD"))
    done(git(tmp_path, "-c", "protocol.version=0", "clone", "--quiet", "--depth", "1", url, "shallow"))
    assert done(git(tmp_path / "shallow", "rev-list", "--count", "HEAD")) == "1"


def test_a_repository_of_another_region_is_found_by_its_own_url(engine: Engine, url: str, work: Path) -> None:
    elsewhere = codecommit_of(engine, region="eu-central-1")
    other = elsewhere.create_repository(repositoryName="app")["repositoryMetadata"]["cloneUrlHttp"]
    done(git(work, "push", "--quiet", other, "main"))
    assert elsewhere.list_branches(repositoryName="app")["branches"] == ["main"]
    assert codecommit_of(engine).list_branches(repositoryName="app")["branches"] == []
    host = "http.extraHeader=Host: git-codecommit.eu-central-1.amazonaws.com"
    listed = done(git(work, "-c", host, "ls-remote", url, "refs/heads/main"))
    assert listed.split()[0] == done(git(work, "rev-parse", "HEAD"))


def test_two_pushes_at_once_are_each_announced_once(engine: Engine, url: str, work: Path) -> None:
    heard: list[str] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail["referenceName"]))
    environment = {"PATH": os.environ["PATH"], "HOME": str(work)}
    pushes = [
        subprocess.Popen(["git", "push", "--quiet", url, f"main:refs/heads/b{number}"], cwd=work, env=environment)
        for number in range(4)
    ]
    assert [push.wait(60) for push in pushes] == [0, 0, 0, 0]
    assert sorted(heard) == ["b0", "b1", "b2", "b3"]


def test_with_keys_a_push_needs_the_secret_or_the_signature_of_the_aws_cli(tmp_path: Path, work: Path) -> None:
    with serving(tmp_path / "home", keys={"AKIAEXAMPLE": "s3cret"}) as engine:
        codecommit_of(engine, "AKIAEXAMPLE", "s3cret").create_repository(repositoryName="app")
        host = f"127.0.0.1:{engine.config.port}"
        assert git(work, "push", f"http://{host}/v1/repos/app", "main").returncode != 0
        assert git(work, "push", f"http://AKIAEXAMPLE:wrong@{host}/v1/repos/app", "main").returncode != 0
        done(git(work, "push", f"http://AKIAEXAMPLE:s3cret@{host}/v1/repos/app", "main"))
        at = done(subprocess.run(["date", "-u", "+%Y%m%dT%H%M%S"], capture_output=True, text=True))
        signature = signature_for("s3cret", "127.0.0.1", "/v1/repos/app", "us-east-1", at)
        done(git(work, "push", f"http://AKIAEXAMPLE:{at}Z{signature}@{host}/v1/repos/app", "main:refs/heads/b"))

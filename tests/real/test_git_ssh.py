"""OpenSSH's client and git against the SSH endpoint: keys, clones, pushes, and what is refused in words."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.parts import found, part
from tests.real.serving import serving
from tests.real.test_git import commit, done, git
from turnout.app import Engine

pytestmark = pytest.mark.real

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two RSA keys and an Ed25519 one."""
    keygen = part("ssh-keygen", found("ssh-keygen"))
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("rsa", "rsa"), ("other", "rsa"), ("ed25519", "ed25519")):
        subprocess.run([keygen, "-q", "-t", kind, "-N", "", "-C", "ann@desk", "-f", str(folder / name)], check=True)
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with serving(tmp_path_factory.mktemp("engine") / "home", ssh=True) as engine:
        yield engine


def client(engine: Engine, service: str, region: str = "us-east-1") -> Any:
    endpoint = engine.config.endpoint
    return boto3.client(service, region, endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture(scope="module")
def key_id(engine: Engine, keys: Path) -> str:
    iam = client(engine, "iam")
    iam.create_user(UserName="gitlab")
    body = (keys / "rsa.pub").read_text()
    answer = iam.upload_ssh_public_key(UserName="gitlab", SSHPublicKeyBody=body)
    return str(answer["SSHPublicKey"]["SSHPublicKeyId"])


@pytest.fixture
def url(engine: Engine, request: pytest.FixtureRequest) -> str:
    """Of an empty repository of its own for each test."""
    name = re.sub(r"\W", "-", request.node.name)[:90]
    answer = client(engine, "codecommit").create_repository(repositoryName=name)
    return str(answer["repositoryMetadata"]["cloneUrlSsh"])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    done(git(work, "init", "--quiet", "--initial-branch=main"))
    (work / "README").write_text("hello\n")
    commit(work, "first")
    return work


def ssh(engine: Engine, key: Path) -> str:
    """OpenSSH with one key, nothing of anybody's configuration, and the engine's host key pinned."""
    known = engine.config.ssh / "known_hosts"
    return (
        f"ssh -F none -i {key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
        f" -o StrictHostKeyChecking=yes -o UserKnownHostsFile={known}"
    )


Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def over_ssh(engine: Engine, keys: Path) -> Git:
    def run(where: Path, *arguments: str, key: str = "rsa") -> subprocess.CompletedProcess[str]:
        return git(where, *arguments, GIT_SSH_COMMAND=ssh(engine, keys / key))

    return run


def of(user: str, url: str) -> str:
    return url.replace("ssh://", f"ssh://{user}@")


def test_what_was_pushed_is_announced_as_the_users_before_the_push_returns_and_can_be_cloned(
    engine: Engine, key_id: str, url: str, work: Path, tmp_path: Path, over_ssh: Git
) -> None:
    heard: list[dict[str, Any]] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail))
    done(over_ssh(work, "push", of(key_id, url), "main"))
    tip = done(git(work, "rev-parse", "HEAD"))
    assert [(each["event"], each["commitId"], each["callerUserArn"]) for each in heard] == [
        ("referenceCreated", tip, "arn:aws:iam::000000000000:user/gitlab")
    ]
    for version in ("0", "2"):
        done(over_ssh(tmp_path, "-c", f"protocol.version={version}", "clone", "-q", of(key_id, url), f"v{version}"))
        assert (tmp_path / f"v{version}" / "README").read_text() == "hello\n"
    assert url.startswith(f"ssh://127.0.0.1:{engine.config.ssh_port}/v1/repos/")


def test_the_host_key_is_rsa_for_the_owners_eyes_and_the_same_after_a_restart(engine: Engine, tmp_path: Path) -> None:
    scanned = subprocess.run(
        ["ssh-keyscan", "-t", "rsa", "-p", str(engine.config.ssh_port), "127.0.0.1"], capture_output=True, text=True
    )
    assert scanned.stdout in (engine.config.ssh / "known_hosts").read_text()
    assert scanned.stdout.startswith(f"[127.0.0.1]:{engine.config.ssh_port} ssh-rsa ")
    seen = []
    for _ in range(2):
        with serving(tmp_path / "home", ssh=True) as other:
            path = other.config.ssh / "host_key"
            assert path.stat().st_mode & 0o777 == 0o600
            seen.append(path.read_bytes())
    assert seen[0] == seen[1]


def test_a_repository_of_another_region_is_found_by_its_own_url(
    engine: Engine, key_id: str, work: Path, over_ssh: Git
) -> None:
    codecommit = client(engine, "codecommit", "eu-central-1")
    made = codecommit.create_repository(repositoryName="elsewhere")["repositoryMetadata"]
    done(over_ssh(work, "push", "--quiet", of(key_id, made["cloneUrlSsh"]), "main"))
    assert codecommit.list_branches(repositoryName="elsewhere")["branches"] == ["main"]


@pytest.mark.parametrize(
    ("user", "key", "words"),
    [
        ("gitlab", "rsa", "'gitlab' is no active SSH public key of an IAM user"),
        ("APKAABSENT", "rsa", "`aws iam upload-ssh-public-key` returns (APKA...)"),
        (None, "other", "The key that you offer (MD5:"),
    ],
)
def test_a_key_that_is_not_the_users_is_refused_with_what_to_do(
    key_id: str, url: str, work: Path, over_ssh: Git, user: str | None, key: str, words: str
) -> None:
    refused = over_ssh(work, "push", of(user or key_id, url), "main", key=key)
    assert refused.returncode != 0
    assert words in refused.stderr
    assert "Permission denied (publickey)" in refused.stderr


def test_an_inactive_key_opens_nothing_until_it_is_active_again(
    engine: Engine, key_id: str, url: str, work: Path, over_ssh: Git
) -> None:
    iam = client(engine, "iam")
    iam.update_ssh_public_key(UserName="gitlab", SSHPublicKeyId=key_id, Status="Inactive")
    refused = over_ssh(work, "push", of(key_id, url), "main")
    iam.update_ssh_public_key(UserName="gitlab", SSHPublicKeyId=key_id, Status="Active")
    assert refused.returncode != 0
    assert "no active SSH public key" in refused.stderr
    done(over_ssh(work, "push", of(key_id, url), "main"))


def test_a_missing_repository_is_told_with_how_to_create_it(
    engine: Engine, key_id: str, work: Path, over_ssh: Git
) -> None:
    endpoint = of(key_id, engine.config.ssh_endpoint)
    refused = over_ssh(work, "push", f"{endpoint}/v1/repos/absent", "main")
    assert refused.returncode != 0
    assert "There is no CodeCommit repository absent in us-east-1." in refused.stderr
    assert "create-repository --repository-name absent" in refused.stderr
    lost = over_ssh(work, "push", f"{endpoint}/absent", "main")
    assert "No repository is at /absent. One is at /v1/repos/<name>." in lost.stderr


def test_shells_other_commands_files_and_tunnels_are_refused(engine: Engine, key_id: str, keys: Path) -> None:
    base = [*ssh(engine, keys / "rsa").split(), "-p", str(engine.config.ssh_port), f"{key_id}@127.0.0.1"]

    def said(*words: str) -> tuple[int, str]:
        ran = subprocess.run([*base[:1], *words, *base[1:]], capture_output=True, text=True, timeout=60)
        return ran.returncode, ran.stderr

    greeted = subprocess.run(base, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert greeted.returncode == 1
    assert "Interactive shells are not supported" in greeted.stderr
    for command in ("id", "git-upload-pack /etc/passwd; id", "git-upload-archive '/v1/repos/x'", "git 'x"):
        ran = subprocess.run([*base, command], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 1
        assert ran.stdout == ""
        assert "is refused" in ran.stderr or "nothing else" in ran.stderr
    assert said("-s", "-v")[0] != 0
    forwarded = said("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
    assert forwarded[0] != 0
    piped = said("-W", f"127.0.0.1:{engine.config.port}")
    assert piped[0] != 0
    assert "administratively prohibited" in piped[1] or "open failed" in piped[1]


def test_a_push_that_is_killed_in_the_middle_moves_nothing_locks_nothing_and_can_be_made_again(
    engine: Engine, key_id: str, url: str, work: Path, keys: Path, over_ssh: Git, tmp_path: Path
) -> None:
    done(over_ssh(work, "push", of(key_id, url), "main"))
    first = done(git(work, "rev-parse", "HEAD"))
    (work / "big").write_bytes(os.urandom(60 * MIB))
    done(git(work, "config", "core.compression", "0"))
    commit(work, "big")
    heard: list[str] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail["commitId"]))
    # The client is held up by a front of ssh, which lets a part of the pack pass and then waits to be killed.
    front = tmp_path / "ssh"
    real = ssh(engine, keys / "rsa")
    front.write_text(f'#!/bin/sh\n( head -c 9000000; echo half >&2; sleep 600 ) | {real} "$@"\n')
    front.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_SSH": str(front)}
    push = subprocess.Popen(
        ["git", "push", of(key_id, url), "main"],
        cwd=work,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert push.stderr is not None
    assert any("half" in line for line in push.stderr)
    os.killpg(push.pid, signal.SIGKILL)
    push.wait(60)
    push.stderr.close()
    assert done(over_ssh(work, "ls-remote", of(key_id, url), "refs/heads/main")).split()[0] == first
    assert heard == []
    done(over_ssh(work, "push", of(key_id, url), "main"))
    assert heard == [done(git(work, "rev-parse", "HEAD"))]


def test_two_pushes_at_once_are_each_announced_once(
    engine: Engine, key_id: str, url: str, work: Path, keys: Path
) -> None:
    heard: list[str] = []
    engine.aws.listen(lambda tx, event: heard.append(event.detail["referenceName"]))
    environment = {"PATH": os.environ["PATH"], "HOME": str(work), "GIT_SSH_COMMAND": ssh(engine, keys / "rsa")}
    pushes = [
        subprocess.Popen(["git", "push", "-q", of(key_id, url), f"main:refs/heads/b{n}"], cwd=work, env=environment)
        for n in range(4)
    ]
    assert [push.wait(60) for push in pushes] == [0, 0, 0, 0]
    assert sorted(heard) == ["b0", "b1", "b2", "b3"]


def test_keys_are_taken_and_shown_as_iam_does(engine: Engine, keys: Path) -> None:
    iam = client(engine, "iam")
    iam.create_user(UserName="ben")
    body = (keys / "other.pub").read_text()
    made = iam.upload_ssh_public_key(UserName="ben", SSHPublicKeyBody=body)["SSHPublicKey"]
    shown = subprocess.run(
        ["ssh-keygen", "-E", "md5", "-lf", str(keys / "other.pub")], capture_output=True, text=True, check=True
    )
    assert f"MD5:{made['Fingerprint']} " in shown.stdout
    assert made["SSHPublicKeyId"].startswith("APKA")
    pem = iam.get_ssh_public_key(UserName="ben", SSHPublicKeyId=made["SSHPublicKeyId"], Encoding="PEM")["SSHPublicKey"]
    assert pem["SSHPublicKeyBody"].startswith("-----BEGIN PUBLIC KEY-----")
    assert pem["Fingerprint"] == made["Fingerprint"]
    listed = iam.list_ssh_public_keys(UserName="ben")["SSHPublicKeys"]
    assert [(key["SSHPublicKeyId"], key["Status"]) for key in listed] == [(made["SSHPublicKeyId"], "Active")]
    refusals = {
        "DuplicateSSHPublicKey": pem["SSHPublicKeyBody"],
        "UnrecognizedPublicKeyEncoding": (keys / "ed25519.pub").read_text(),
        "InvalidPublicKey": "ssh-rsa AAAA",
    }
    for code, given in refusals.items():
        with pytest.raises(ClientError) as caught:
            iam.upload_ssh_public_key(UserName="ben", SSHPublicKeyBody=given)
        assert caught.value.response["Error"]["Code"] == code
    iam.delete_ssh_public_key(UserName="ben", SSHPublicKeyId=made["SSHPublicKeyId"])
    assert iam.list_ssh_public_keys(UserName="ben")["SSHPublicKeys"] == []

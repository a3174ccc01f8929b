"""What stands before docker in a build: AWS's names lead to the registry here, all else goes through as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnout.codebuild.fronts.docker import Front, split
from turnout.codebuild.fronts.dockerfiles import bases
from turnout.codebuild.fronts.place import Place

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
WEST = "000000000000.dkr.ecr.eu-west-1.amazonaws.com"
HERE = "127.0.0.1:4566"
DIGEST = f"sha256:{'a' * 64}"


def planned(line: str, *at_hand: str, program: str = "docker") -> list[str]:
    """Every command that becomes of a command line, in their order."""
    front = Front(program, Place(HERE, "us-east-1"), lambda image: image in at_hand, lambda image: ["1", "2"])
    plan = front.plan(line.split())
    return [" ".join(command) for command in (*plan.before, plan.command, *plan.after)]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        (f"login -u AWS --password-stdin {HOST}", [f"login -u AWS --password-stdin {HERE}"]),
        (f"login -u AWS -p x https://{WEST}", [f"login -u AWS -p x {HERE}"]),
        (f"logout {HOST}", [f"logout {HERE}"]),
        (f"push {HOST}/hello:1", [f"tag {HOST}/hello:1 {HERE}/hello:1", f"push {HERE}/hello:1"]),
        (f"image push -q {HOST}/a/b", [f"tag {HOST}/a/b {HERE}/a/b", f"image push -q {HERE}/a/b"]),
        (
            f"push --all-tags {WEST}/hello",
            [
                f"tag {WEST}/hello:1 {HERE}/eu-west-1/hello:1",
                f"tag {WEST}/hello:2 {HERE}/eu-west-1/hello:2",
                f"push --all-tags {HERE}/eu-west-1/hello",
            ],
        ),
        (
            f"-D --config c pull {HOST}/hello",
            [f"-D --config c pull {HERE}/hello", f"-D --config c tag {HERE}/hello {HOST}/hello"],
        ),
        (f"pull {HOST}/hello@{DIGEST}", [f"pull {HERE}/hello@{DIGEST}"]),
        (
            f"run --rm {HOST}/hello:1 ls",
            [f"pull {HERE}/hello:1", f"tag {HERE}/hello:1 {HOST}/hello:1", f"run --rm {HOST}/hello:1 ls"],
        ),
        (f"run {HOST}/hello@{DIGEST}", [f"pull {HERE}/hello@{DIGEST}", f"run {HERE}/hello@{DIGEST}"]),
        (
            f"buildx build --push -t {HOST}/hello:1 --tag={WEST}/hello:1 .",
            [f"buildx build --push -t {HERE}/hello:1 --tag={HERE}/eu-west-1/hello:1 ."],
        ),
        (
            f"buildx build -o type=image,name={HOST}/a,push=true --output=type=registry,name={HOST}/b .",
            [f"buildx build -o type=image,name={HERE}/a,push=true --output=type=registry,name={HERE}/b ."],
        ),
        (
            f"build --cache-from {HOST}/a:1 --cache-to=type=registry,ref={HOST}/a:cache .",
            [f"build --cache-from {HOST}/a:1 --cache-from={HERE}/a:1 --cache-to=type=registry,ref={HERE}/a:cache ."],
        ),
        ("buildx create --use", ["buildx create --driver-opt=network=host --use"]),
        (f"login -u AWS -p x -e none https://{HOST}", [f"login -u AWS -p x {HERE}"]),
        (f"login -u AWS -p x -e none http://{HERE}", [f"login -u AWS -p x http://{HERE}"]),
        (
            f"manifest create {HOST}/hello:1 {HOST}/hello:amd",
            [f"manifest create --insecure {HERE}/hello:1 {HERE}/hello:amd"],
        ),
    ],
)
def test_where_the_registry_is_spoken_to_its_address_here_is_put(line: str, commands: list[str]) -> None:
    assert planned(line) == commands


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--version",
        "ps -a",
        "push registry.example.com/hello:1",
        "pull nginx",
        "login -u me registry.example.com",
        "run --rm alpine true",
        "push 123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:1",
        f"tag hello:1 {HOST}/hello:1",
        f"build -t {HOST}/hello:1 /nowhere",
        f"images {HOST}/hello",
        f"run --env REPOSITORY={HOST}/hello alpine",
        f"build --output type=image,name={HOST}/hello /nowhere",
        "buildx create --driver kubernetes",
        "buildx create --driver docker-container --driver-opt network=cni",
        "login -u me -e me@example.com registry.example.com",
    ],
)
def test_everything_else_goes_through_as_it_is(line: str) -> None:
    assert planned(line) == [line]


def test_what_is_on_the_engine_is_not_fetched_unless_it_shall_be() -> None:
    image = f"{HOST}/hello:1"
    assert planned(f"run {image}", image) == [f"run {image}"]
    fetched = [f"pull {HERE}/hello:1", f"tag {HERE}/hello:1 {image}"]
    assert planned(f"run --pull=always {image}", image) == [*fetched, f"run {image}"]
    assert planned(f"run --pull always {image}", image) == [*fetched, f"run --pull never {image}"]


def test_podman_is_told_that_there_is_no_tls() -> None:
    assert planned(f"push {HOST}/hello:1", program="podman")[1] == f"push --tls-verify=false {HERE}/hello:1"
    assert planned(f"login -u AWS {HOST}", program="podman") == [f"login --tls-verify=false -u AWS {HERE}"]


def test_the_base_of_a_dockerfile_is_fetched_before_the_build(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"ARG TAG=1\nARG HOST={HOST}\nFROM --platform=linux/amd64 $HOST/base:${{TAG}} AS one\n"
        f"COPY --from={WEST}/tools:${{V:-3}} /x /x\nFROM alpine\nfrom {HOST}/other@{DIGEST}\n"
    )
    assert bases(["build", "--build-arg", "TAG=2", str(tmp_path)]) == [
        f"{HOST}/base:2",
        f"{WEST}/tools:3",
        "alpine",
        f"{HOST}/other@{DIGEST}",
    ]
    build = f"build -t x --build-arg=TAG=2 {tmp_path}"
    assert planned(build, f"{WEST}/tools:3") == [
        f"pull {HERE}/base:2",
        f"tag {HERE}/base:2 {HOST}/base:2",
        build,
    ]
    (tmp_path / "Other").write_text("FROM scratch")
    assert bases(["build", "-f", str(tmp_path / "Other"), str(tmp_path)]) == []


def test_a_builder_in_a_container_gets_its_bases_as_named_contexts(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {HOST}/base:1 AS base\nFROM base\nCOPY --from=0 /x /y\n")
    assert bases(["build", str(tmp_path)]) == [f"{HOST}/base:1"]
    assert planned(f"buildx build -t x {tmp_path}", f"{HOST}/base:1") == [
        f"buildx build --build-context={HOST}/base:1=docker-image://{HERE}/base:1 -t x {tmp_path}"
    ]


def test_a_command_line_falls_into_its_parts() -> None:
    assert split(["-H", "unix:///x", "image", "push", "a"]) == (
        ["-H", "unix:///x"],
        "image push",
        ["image", "push", "a"],
    )
    assert split(["build"]) == ([], "build", ["build"])

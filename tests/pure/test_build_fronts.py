"""What stands before aws and docker compose in a build, and what is refused without privilegedMode."""

from __future__ import annotations

import pytest

from turnout.codebuild.fronts.aws import answer_of, login_asked
from turnout.codebuild.fronts.compose import NotPossible, fetched, images_in, parts, pushed
from turnout.codebuild.fronts.place import Place
from turnout.codebuild.fronts.refusing import is_refused

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
PLACE = Place("127.0.0.1:4566", "us-east-1")

# As docker-compose 1.29 prints it: sorted, two spaces deep.
CONFIG = f"""\
name: shop
services:
  api:
    build:
      context: /src
    image: {HOST}/api:1
  db:
    environment:
      image: none
    image: 'postgres:16'
  web:
    image: {HOST}/web
version: '3'
volumes:
  data:
    image: not
"""


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("ecr get-login --no-include-email --region eu-west-1", ("get-login", "eu-west-1", False)),
        ("ecr get-login", ("get-login", None, True)),
        ("--region us-east-1 ecr get-login-password", ("get-login-password", "us-east-1", True)),
        ("ecr get-login --registry-ids 000000000000 --no-include-email", ("get-login", None, False)),
    ],
)
def test_logins_to_ecr_are_understood_however_they_are_written(line: str, asked: tuple[str, str | None, bool]) -> None:
    assert login_asked(line.split()) == asked


@pytest.mark.parametrize(
    "line",
    [
        "",
        "s3 ls",
        "--version",
        "ecr get-login-password help",
        "ecr describe-repositories",
        "ecr get-login-password --profile production",
        "ecr get-login-password --endpoint-url https://ecr.us-east-1.amazonaws.com",
        "ecr get-login --registry-ids 123456789012",
        "ecr get-login --region",
    ],
)
def test_nothing_else_is_stood_in_for(line: str) -> None:
    assert login_asked(line.split()) is None


def test_a_login_is_printed_as_version_1_of_the_cli_does() -> None:
    url = f"https://{HOST}"
    assert answer_of("get-login", "us-east-1", "t", has_email=False) == f"docker login -u AWS -p t {url}"
    assert answer_of("get-login", "us-east-1", "t", has_email=True) == f"docker login -u AWS -p t -e none {url}"
    assert answer_of("get-login-password", "us-east-1", "t", has_email=True) == "t"


def test_the_images_of_compose_are_known_from_its_config() -> None:
    images = images_in(CONFIG)
    assert images == {"api": f"{HOST}/api:1", "db": "postgres:16", "web": f"{HOST}/web"}
    assert fetched("up", images, PLACE) == [f"{HOST}/api:1", f"{HOST}/web"]
    assert fetched("ps", images, PLACE) == []
    assert list(pushed(["-q", "api"], images, PLACE)) == [f"{HOST}/api:1"]
    assert list(pushed(["db"], images, PLACE)) == []
    with pytest.raises(NotPossible, match=r"another registry \(postgres:16\)"):
        list(pushed([], images, PLACE))


def test_the_words_of_compose_fall_into_their_parts() -> None:
    assert parts(["-f", "a.yml", "--profile", "x", "push", "api"]) == (
        ["-f", "a.yml", "--profile", "x"],
        "push",
        ["api"],
    )
    assert parts(["--version"]) == (["--version"], "", [])


@pytest.mark.parametrize("line", ["build .", "push x", "ps", "-D info", "version", "compose up", "buildx build ."])
def test_what_needs_the_daemon_is_refused_without_privileged_mode(line: str) -> None:
    assert is_refused(line.split())


@pytest.mark.parametrize("line", ["", "--version", "login -u AWS x", "build --help", "buildx version", "context ls"])
def test_what_docker_does_by_itself_is_not(line: str) -> None:
    assert not is_refused(line.split())

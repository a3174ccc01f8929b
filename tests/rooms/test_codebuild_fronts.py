"""docker and aws in a build: what it may reach, what is stood in for. The programs behind the fronts are scripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.building import Building, statuses

PRIVILEGED = {"privilegedModeOverride": True}
HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture
def building(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Building:
    """A machine with a docker that says what it is told, and without an aws."""
    (programs := tmp_path / "programs").mkdir()
    for program in ("sh", "cat", "env", "sed", "tr", "mv", "date", "bash"):
        for place in os.environ["PATH"].split(os.pathsep):
            if (found := Path(place) / program).exists() and not (programs / program).exists():
                (programs / program).symlink_to(found)
    (programs / "docker").write_text('#!/bin/sh\necho "docker $@" "at $DOCKER_HOST"\n')
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/some.sock")
    monkeypatch.setattr("turnout.codebuild.environment.path_with_turnout", lambda path: path)
    return Building(world)


def buildspec(*commands: str) -> str:
    return "version: 0.2\nphases: {build: {commands: [" + ", ".join(f"'{one}'" for one in commands) + "]}}\n"


def test_a_build_without_privileged_mode_reaches_no_docker_and_is_told_how_it_would(building: Building) -> None:
    build = building.run(buildspec("docker login -u AWS -p x registry.example.com", "docker build ."))
    assert statuses(build)["BUILD"] == "FAILED"
    login, refusal, advice = building.said(build)
    assert login.startswith("docker login -u AWS -p x registry.example.com at unix://")
    assert login.endswith("/no-privilegedMode.sock")
    assert (
        refusal == "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    )
    assert "privileged_mode = true" in advice


def test_a_build_with_it_reaches_that_of_the_host_and_one_of_its_own_is_its_own(building: Building) -> None:
    build = building.run(buildspec("docker ps"), **PRIVILEGED)
    assert building.said(build) == ["docker ps at unix:///run/some.sock"]
    own = [{"name": "DOCKER_HOST", "value": "tcp://dind:2375"}]
    build = building.finish(building.start(environmentVariablesOverride=own))
    assert building.said(build) == ["docker ps at tcp://dind:2375"]


def test_logins_to_ecr_work_without_an_aws_cli_and_all_else_says_that_there_is_none(building: Building) -> None:
    build = building.run(
        buildspec(
            "$(aws ecr get-login --region us-east-1)",
            "aws ecr get-login-password --region us-east-1 >password",
            'case "$(cat password)" in *.*) echo a token ;; esac',
            "aws s3 ls",
        ),
        **PRIVILEGED,
    )
    address = building.world.engine.config.registry.address
    login, token, missing, advice = building.said(build)
    words = login.split()
    assert words[:5] == ["docker", "login", "-u", "AWS", "-p"]
    assert words[6:] == [address, "at", "unix:///run/some.sock"]
    assert token == "a token"
    assert missing == "aws: command not found"
    assert "stands in for `aws ecr get-login`" in advice


@pytest.mark.parametrize(
    ("knows", "printed"),
    [("get-login-password", "of version 2"), ("neither", "docker login -u AWS -p")],
)
def test_the_cli_of_the_host_answers_what_it_knows(
    building: Building, tmp_path: Path, knows: str, printed: str
) -> None:
    aws = tmp_path / "programs" / "aws"
    aws.write_text(
        f'#!/bin/sh\ncase $2 in {knows}) echo of version 2 ;; *) echo "aws: error: argument operation: Invalid choice"'
        " >&2; exit 252 ;; esac\n"
    )
    aws.chmod(0o755)
    command = "get-login-password" if knows != "neither" else "get-login"
    build = building.run(buildspec(f"aws ecr {command} --region us-east-1"))
    assert building.said(build)[0].startswith(printed)

"""`turnout trust`: what it refuses, and says, without a store being touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from turnout.authority import Authority
from turnout.cli import app, trust
from turnout.cli.trusting import read_anchor
from turnout.cli.trusting.system import Family, System
from turnout.errors import SetupError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trust") / "home"
    Authority(home / "ca").ensure()
    return home


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system without stores."""
    monkeypatch.setattr(trust, "find_browsers", lambda user: [])
    monkeypatch.setattr(trust, "find_system", lambda home: None)
    return


def test_path_makes_the_authority_and_prints_where_it_is(tmp_path: Path, alone: None) -> None:
    done = CliRunner().invoke(app, ["trust", "path", "--home", str(tmp_path / "home")])
    assert done.stdout == f"{tmp_path}/home/ca/ca.pem\n"
    assert read_anchor(Path(done.stdout.strip())).pem.startswith("-----BEGIN CERTIFICATE-----")


def test_a_system_without_a_store_is_told_so(home: Path, alone: None) -> None:
    done = CliRunner().invoke(app, ["trust", "install", "--home", str(home)])
    assert "no store of certificates that turnout knows" in str(done.exception)
    assert CliRunner().invoke(app, ["trust", "--home", str(home)]).exit_code == 1


def test_root_makes_no_authority_in_a_home_that_is_not_meant(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "somebody")
    done = CliRunner().invoke(app, ["trust", "install", "--home", str(tmp_path / "home")])
    assert "name the one that is meant with --home" in str(done.exception)
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "home").stat().st_uid + 1)
    done = CliRunner().invoke(app, ["trust", "install", "--home", str(tmp_path / "home")])
    assert "somebody else's" in str(done.exception)
    assert not (tmp_path / "home" / "ca").exists()


def test_a_user_is_told_the_command_for_root(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = Family(tmp_path, ("true",), tmp_path / "bundle.pem")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SetupError, match=f"sudo .* -m turnout trust install --home {home}"):
        System(family, home).add(read_anchor(home / "ca" / "ca.pem"))


def test_a_program_that_fails_or_does_nothing_is_no_success(home: Path, tmp_path: Path) -> None:
    anchor = read_anchor(home / "ca" / "ca.pem")
    with pytest.raises(SetupError, match="false ended with status 1"):
        System(Family(tmp_path, ("false",), tmp_path / "bundle.pem"), home).add(anchor)
    with pytest.raises(SetupError, match=r"bundle\.pem is without it"):
        System(Family(tmp_path, ("true",), tmp_path / "bundle.pem"), home).add(anchor)
    (tmp_path / "bundle.pem").write_text(f"others\n{anchor.pem}\n")
    System(Family(tmp_path, ("false",), tmp_path / "bundle.pem"), home).add(anchor)

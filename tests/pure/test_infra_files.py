"""What `turnout infra init` writes, and that the blueprint keeps what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from turnout.cli.blueprint.files import declares, name_of, shipped, variables_of, write
from turnout.cli.demo.scene import example
from turnout.cli.files import read_application
from turnout.errors import SetupError


def test_the_blueprint_allows_no_action_by_a_star() -> None:
    for name, text in shipped().items():
        for actions in re.findall(r"\bactions\s*=\s*\[(.*?)\]", text, re.DOTALL):
            assert "*" not in actions, name


def test_every_input_is_described_and_only_the_name_has_no_default() -> None:
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', shipped()["inputs.tf"], re.DOTALL | re.MULTILINE)
    assert len(blocks) > 30
    assert [name for name, body in blocks if "description = " not in body] == []
    assert [name for name, body in blocks if "  default " not in body] == ["name"]


def test_every_skipped_check_says_why() -> None:
    for name, text in shipped().items():
        for line in re.findall(r"checkov:skip=.*", text):
            assert re.match(r"checkov:skip=CKV2?_AWS_\d+:\S.{5,}", line), f"{name}: {line}"


def test_what_the_user_has_written_is_kept_unless_forced(tmp_path: Path) -> None:
    assert write(tmp_path, {"a.tf": "1", "b.tf": "2"}) == [("created", "a.tf"), ("created", "b.tf")]
    (tmp_path / "a.tf").write_text("mine")
    assert write(tmp_path, {"a.tf": "1", "b.tf": "2"}) == [("kept", "a.tf"), ("unchanged", "b.tf")]
    assert (tmp_path / "a.tf").read_text() == "mine"
    assert write(tmp_path, {"a.tf": "1"}, force=True) == [("replaced", "a.tf")]


def test_the_variables_are_those_of_the_application(tmp_path: Path) -> None:
    write(tmp_path, {"terraform.tfvars": variables_of("hello", "eu-central-1", read_application(example()))})
    said = (tmp_path / "terraform.tfvars").read_text()
    assert 'launch_type    = "EC2"' in said
    assert "container_port = 8000" in said
    assert name_of(tmp_path) == "hello"


def test_a_long_name_and_a_folder_without_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="20 characters"):
        variables_of("a" * 21, "us-east-1", None)
    with pytest.raises(SetupError, match="turnout infra init"):
        name_of(tmp_path)


def test_a_folder_of_other_terraform_files_is_led_but_told_nothing_it_does_not_declare(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('variable "region" {}\n')
    assert declares(tmp_path, "region")
    assert not declares(tmp_path, "is_rehearsal")

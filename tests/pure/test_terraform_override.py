"""The file by which `turnout env --terraform` leads Terraform's AWS provider here."""

from pathlib import Path

import pytest

from turnout.cli.terraform import ENDPOINTS, LATER_ENDPOINTS, locked_version, override

HERE = "http://127.0.0.1:4566"
LOCK = """# This file is maintained automatically by "terraform init".
provider "registry.terraform.io/hashicorp/null" {
  version = "2.1.2"
}

provider "registry.terraform.io/hashicorp/aws" {
  version     = "3.39.0"
  constraints = "~> 3.39"
  hashes = [
    "h1:abc=",
  ]
}
"""


def test_every_service_is_led_to_the_engine() -> None:
    said = override(HERE, ("test", "test"), 6)
    assert said.count(f'"{HERE}"') == len(ENDPOINTS) + len(LATER_ENDPOINTS)
    assert 'provider "aws" {' in said


@pytest.mark.parametrize(
    ("version", "word"), [(3, "s3_force_path_style"), (4, "s3_use_path_style"), (6, "s3_use_path_style")]
)
def test_path_style_is_asked_for_in_the_words_of_the_version(version: int, word: str) -> None:
    assert f"  {word} " in override(HERE, ("test", "test"), version)


def test_an_old_provider_is_not_told_of_services_that_it_has_no_word_for() -> None:
    assert "codestarnotifications" not in override(HERE, ("test", "test"), 3)


def test_a_secret_is_no_template_of_terraforms() -> None:
    assert '"$${a}\\"b"' in override(HERE, ("test", '${a}"b'), 6)


def test_the_lock_file_tells_the_version(tmp_path: Path) -> None:
    assert locked_version(tmp_path) is None
    (tmp_path / ".terraform.lock.hcl").write_text(LOCK)
    assert locked_version(tmp_path) == 3

"""The providers that the other tests apply with come from this disk alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.terraforming import Terraform

pytestmark = [pytest.mark.real, pytest.mark.terraform]

SOURCES = """
terraform {
  required_providers {
    aws  = { source = "hashicorp/aws" }
    null = { source = "hashicorp/null" }
  }
}
"""


def test_terraform_takes_the_real_providers_from_the_mirror(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(SOURCES)
    terraform = Terraform(tmp_path)
    terraform.init()
    said = terraform("version")
    assert "hashicorp/aws v3.39.0" in said
    assert "hashicorp/null v2.1.2" in said

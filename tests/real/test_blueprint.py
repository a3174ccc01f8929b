"""The blueprint is valid for the real provider, and without a finding of checkov."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.parts import part
from tests.real.terraforming import Terraform
from turnout.cli.blueprint.files import shipped, write

pytestmark = [pytest.mark.real, pytest.mark.terraform]
CHECKOV = Path(__file__).parents[2] / ".cache" / "checkov" / "bin" / "checkov"


def test_the_blueprint_is_valid_for_the_real_provider_and_formatted(tmp_path: Path) -> None:
    write(tmp_path, shipped())
    terraform = Terraform(tmp_path)
    terraform("init", "-backend=false", "-input=false", "-no-color")
    terraform("validate", "-no-color")
    terraform("fmt", "-check", "-diff", "-no-color")


def test_checkov_finds_nothing_in_the_blueprint(tmp_path: Path) -> None:
    write(tmp_path, shipped())
    checkov = part("checkov", CHECKOV)
    command = [checkov, "--directory", str(tmp_path), "--framework", "terraform", "--output", "json", "--quiet"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    results = json.loads(said.stdout)
    failed = [f"{each['check_id']} {each['resource']}" for each in results["results"]["failed_checks"]]
    assert failed == []
    assert results["summary"]["parsing_errors"] == 0
    assert results["summary"]["resource_count"] > 50

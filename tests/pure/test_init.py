"""turnout init: what becomes of the hooks of a turnout.yml, and what cannot be a Lambda function."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from turnout.cli.init import check, package, read
from turnout.cli.shim import Refused, filled
from turnout.errors import SetupError


def hooks_in(folder: Path, text: str) -> Path:
    (folder / "turnout.yml").write_text(f"version: 1\nhooks:\n{text}")
    return folder


def test_a_script_takes_the_files_of_its_folder_along_but_not_the_zips(tmp_path: Path) -> None:
    hooks_in(tmp_path, "  smoke:\n    script: ./smoke.sh\n")
    (tmp_path / "smoke.sh").write_text("true")
    (tmp_path / "smoke.sh").chmod(0o755)
    (tmp_path / "lambda").mkdir()
    (tmp_path / "lambda" / "old.zip").write_bytes(b"old")
    (hook,) = read(tmp_path)
    check(hook)
    body = package(tmp_path, hook, tmp_path / "lambda")
    assert body == package(tmp_path, hook, tmp_path / "lambda"), "the same files make the same zip"
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert sorted(archive.namelist()) == ["files/smoke.sh", "files/turnout.yml", "hook.json", "shim.py"]
        assert archive.getinfo("files/smoke.sh").external_attr >> 16 & 0o777 == 0o755
        assert json.loads(archive.read("hook.json"))["settings"]["commands"] == ["./smoke.sh"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  m:\n    container: web\n    command: [go]\n", "turnout.yml:4: m is a container"),
        ("  m:\n    http: ${GREEN_URL}/\n", "turnout.yml:4: m uses ${GREEN_URL}"),
        ("  m:\n    script: go\n    timeout: 1000\n", "m may take 1000 s; a Lambda function has 900"),
    ],
)
def test_what_a_function_cannot_do_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (hook,) = read(hooks_in(tmp_path, text))
    with pytest.raises(SetupError) as refused:
        check(hook)
    assert said in str(refused.value)


def test_a_folder_without_a_hook_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no turnout\.yml"):
        read(tmp_path)


def test_a_variable_that_a_function_does_not_know_refuses() -> None:
    assert filled("${A}/x", {"A": "b"}) == "b/x"
    with pytest.raises(Refused, match="TEST_URL is not known here"):
        filled("${TEST_URL}/x", {})

"""The receipt's page in a real Chromium: drawn in light and dark, without a network, deaf to what is smuggled in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.receipts import BEGAN, native, receipt
from tests.pure.test_receipt_page import HOSTILE
from tests.real.conftest import CACHE, Live, found, part
from turnout.cli.demo.versions import Version
from turnout.cli.receipt_page import render

pytestmark = pytest.mark.real

LIGHT, DARK = {"blue": "#0969da", "green": "#1a7f37"}, {"blue": "#58a6ff", "green": "#3fb950"}


def browse(*paths: Path) -> list[dict[str, Any]]:
    """What `browse.py` saw of each page."""
    python = part("Playwright", CACHE / "playwright" / "bin" / "python")
    chromium = part("chromium", found("chromium"))
    script = Path(__file__).with_name("browse.py")
    done = subprocess.run(
        [python, str(script), chromium, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen


def page(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(render(document, BEGAN + 200))
    return path


def check(seen: dict[str, Any], path: Path) -> None:
    assert seen["console"] == []
    assert seen["requests"] == [path.as_uri()], "nothing but the page itself"
    assert seen["narrow"] <= 390, "nothing sticks out of a narrow window"


def test_a_page_is_drawn_in_both_colour_schemes_and_asks_for_nothing(tmp_path: Path) -> None:
    whole, empty = page(tmp_path / "whole.html", receipt()), page(tmp_path / "empty.html", native())
    seen, of_ecs = browse(whole, empty)
    check(seen, whole)
    check(of_ecs, empty)
    for scheme, colours in (("light", LIGHT), ("dark", DARK)):
        for colour, value in colours.items():
            painted, count = seen["drawn"][scheme][colour]
            assert painted == value
            assert count > 500, f"{colour} is drawn in {scheme}"
        assert seen["drawn"][scheme]["bad"][1] > 20, "the failed requests"
    assert "10 % of the traffic goes to green" in seen["tip"]
    assert "healthy" in seen["tip"]


def test_names_and_reasons_that_are_scripts_are_shown_and_not_run(tmp_path: Path) -> None:
    document = receipt(applicationName=HOSTILE, description=HOSTILE, error={"code": HOSTILE, "message": HOSTILE})
    for step in document["steps"]:
        step["name"] = HOSTILE
        step["waits"] = [{"at": step["startedAt"], "why": HOSTILE}]
    document["green"]["taskDefinition"] = HOSTILE
    path = page(tmp_path / "hostile.html", document)
    (seen,) = browse(path)
    check(seen, path)
    assert seen["pwned"] is None
    assert seen["images"] == 0
    assert "<img src=x onerror=" in seen["tip"]


def test_the_page_of_a_release_shows_what_was_measured(live: Live, tmp_path: Path) -> None:
    live.follow(live.release(Version("page", "#8250df", "for the picture")))
    path = tmp_path / "page.html"
    done = live.run(
        sys.executable, "-m", "turnout", "receipt", "--html", "-o", str(path), "--home", str(live.scene.home)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(path), path.as_uri()]
    (seen,) = browse(path)
    check(seen, path)
    assert seen["drawn"]["light"]["green"][1] > 200
    assert "requests" in seen["tip"], "there was a sample in the middle"

"""The documentation, held by the code: every verb, option, make target and file that a page names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from turnout import __version__
from turnout.cli import VERBS, app

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
MAKEFILE = (CHECKOUT / "Makefile").read_text()
TARGETS = {target for line in re.findall(r"^([\w\- ]+):(?!=)", MAKEFILE, re.MULTILINE) for target in line.split()}


def options() -> Iterator[tuple[str, str]]:
    """(verb, option) of everything that the command line takes."""
    group = typer.main.get_command(app)
    for verb, command in group.commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield from ((verb, name) for name in parameter.opts)


def section(verb: str) -> str:
    """What docs/cli.md says of a verb."""
    page = (CHECKOUT / "docs" / "cli.md").read_text()
    _, _, rest = page.partition(f"## `turnout {verb}`")
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("verb", [verb.__name__ for verb, _ in VERBS])
def test_every_verb_is_documented(verb: str) -> None:
    assert section(verb), "run `make docs`"


@pytest.mark.parametrize(("verb", "option"), list(options()))
def test_every_option_is_documented(verb: str, option: str) -> None:
    assert f"`{option}" in section(verb) or f", {option}" in section(verb), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_verbs_and_options_that_exist(page: Path) -> None:
    known = {verb.__name__ for verb, _ in VERBS}
    documented = dict.fromkeys(known, "")
    for verb, option in options():
        documented[verb] += f" {option} "
    for verb, rest in re.findall(r"(?:`|\$ |\$\()turnout ([a-z]+)((?: [^\n`)]*)?)", page.read_text()):
        assert verb in known
        for option in re.findall(r" (--?[a-z][a-z-]*)", rest.partition("|")[0]):
            assert f" {option} " in documented[verb] + " --help -h --no-remote ", f"turnout {verb} has no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_make_targets_that_exist(page: Path) -> None:
    named = set(re.findall(r"`(?:[A-Z]+=\S+ )?make ([a-z][a-z-]*)", page.read_text()))
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_only_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"(?:\]\(|src=\"|srcset=\")(?!https?:|#)([^)#\"]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_makefile_fits_on_one_screen() -> None:
    assert MAKEFILE.count("\n") <= 65


def test_generated_pages_are_up_to_date() -> None:
    """`make docs` would change nothing."""
    from docs import generate

    assert (CHECKOUT / "docs" / "cli.md").read_text() == generate.cli_page()
    assert (CHECKOUT / "docs" / "operations.md").read_text() == generate.operations_page()


def test_the_changelog_tells_of_the_version_of_the_package() -> None:
    assert f"## [{__version__}]" in (CHECKOUT / "CHANGELOG.md").read_text()

"""turnout.yml: what a hook is, or what is wrong and on which line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from turnout.codedeploy.hooks.resolving import name_of
from turnout.codedeploy.hooks.words import tail_of
from turnout.hookfile import filled, parse_hooks
from turnout.hookplace import HookPlace, place_in, with_place
from turnout.yamlfile import YamlError

WHOLE = """\
version: 1
hooks:
  smoke:
    script: ./smoke.sh
    timeout: 300
    environment: {PAGES: "/ /health"}
  migrate:
    container: web
    command: [python3, manage.py, migrate]
  once:
    image: tools@sha256:1
    command: [check]
  acceptance:
    http: ${TEST_URL}/acceptance
    headers: {Authorization: Bearer 1}
    metadata: {build: "${COMMIT_ID}"}
    expect: [200, 202]
    retries: 5
    interval: 10
    timeout: 20
"""


def test_the_file_that_the_page_shows_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
    (shown,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if block.startswith("version:"))
    assert {hook.kind for hook in parse_hooks(shown).values()} == {"script", "container", "http"}


def test_each_kind_has_its_settings() -> None:
    hooks = parse_hooks(WHOLE)
    assert [(name, hook.kind, hook.timeout_s) for name, hook in hooks.items()] == [
        ("smoke", "script", 300),
        ("migrate", "container", 3600),
        ("once", "container", 3600),
        ("acceptance", "http", 20),
    ]
    assert hooks["smoke"].settings == {"commands": ["./smoke.sh"], "environment": {"PAGES": "/ /health"}}
    assert hooks["migrate"].settings["container"] == "web"
    assert hooks["once"].settings["image"] == "tools@sha256:1"
    acceptance = hooks["acceptance"]
    assert acceptance.settings["method"] == "POST"
    assert (acceptance.settings["retries"], acceptance.settings["interval_s"]) == (5, 10)
    assert acceptance.variables() == {"TEST_URL", "COMMIT_ID"}
    assert acceptance.where == "turnout.yml:14"


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ("{}", "4: hooks.x must have exactly one of script, container, image, http; found none of them"),
        ("{script: a, http: 'http://a'}", "4: hooks.x must have exactly one of"),
        ("{script: a, retries: 3}", "4: hooks.x.retries is not known here; there can be script, timeout, environment"),
        ("{script: ''}", "4: hooks.x.script is empty"),
        ("{script: {a: b}}", "4: hooks.x.script must be a string, found a mapping"),
        ("{script: a, timeout: 0}", "4: hooks.x.timeout must be a whole number of seconds from 1 to 3600, found '0'"),
        ("{script: a, timeout: 2h}", "4: hooks.x.timeout must be a whole number"),
        ("{script: a, environment: {1A: b}}", "4: hooks.x.environment.1A is no name of an environment variable"),
        ("{script: a, environment: {TEST_URL: b}}", "4: hooks.x.environment.TEST_URL is set by turnout itself"),
        ("{container: web}", "4: hooks.x.container needs a command beside it"),
        ("{container: web, command: []}", "4: hooks.x.command is empty"),
        ("{http: /smoke}", "4: hooks.x.http must be a URL that begins with http://"),
        ("{http: 'ftp://a'}", "4: hooks.x.http must be a URL"),
        ("{http: 'http://a/${TESTURL}'}", "4: hooks.x.http names the variable ${TESTURL}; there are APPLICATION_NAME"),
        ("{http: 'http://a', method: FETCH}", "4: hooks.x.method must be one of POST, GET"),
        ("{http: 'http://a', expect: [2xx]}", "4: hooks.x.expect[0] must be an HTTP status, 100 to 599, found '2xx'"),
        ("{http: 'http://a', expect: []}", "4: hooks.x.expect lists no status"),
        ("{http: 'http://a', headers: {a b: c}}", "4: hooks.x.headers.a b is no name of an HTTP header"),
        (f"{{script: a, timeout: {'9' * 5000}}}", "4: hooks.x.timeout must be a whole number of seconds"),
        ("{script: a, timeout: ٣}", "4: hooks.x.timeout must be a whole number of seconds from 1 to 3600, found '٣'"),
        ('{script: "a\\0b"}', '4: hooks.x.script must not hold the character NUL ("\\0")'),
        ('{script: a, environment: {A: "\\0"}}', "4: hooks.x.environment.A must not hold the character NUL"),
        ("{? [a, b] : c}", "4: hooks.x has a key that is a list; it must be a string"),
        ("{http: 'http://a:99999/'}", "4: hooks.x.http is no URL: Port out of range 0-65535"),
        ("{http: 'http://[::1/'}", "4: hooks.x.http is no URL: Invalid IPv6 URL"),
        ("{http: 'http://a', headers: {a: é}}", "4: hooks.x.headers.a must be one line of ASCII characters"),
        ("{http: 'http://a', timeout: 301}", "4: hooks.x.timeout must be a whole number of seconds from 1 to 300"),
    ],
)
def test_what_is_wrong_with_a_hook_is_said_with_its_line(hook: str, problem: str) -> None:
    with pytest.raises(YamlError) as raised:
        parse_hooks(f"# of the shop\nversion: 1\nhooks:\n  x: {hook}\n")
    assert f"turnout.yml:{problem}" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "turnout.yml:1: the file is empty"),
        ("hooks: {x: {script: a}}", "has no version; it must be 1"),
        ("version: 2\nhooks: {x: {script: a}}", "version must be 1, found '2'"),
        ("version: 1", "has no hooks"),
        ("version: 1\nhook: {x: {script: a}}", "turnout.yml:2: hook is not known here; there can be version, hooks"),
        ("version: 1\nhooks: [a]", "turnout.yml:2: hooks must be a mapping, found a list"),
        ("version: 1\nhooks:\n  x: {script: a}\n  x: {script: b}\n", "turnout.yml:4: hooks.x is given twice"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(text: str, problem: str) -> None:
    with pytest.raises(YamlError) as raised:
        parse_hooks(text)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("smoke", "smoke"),
        ("smoke:PROD", "smoke"),
        ("arn:aws:lambda:us-east-1:000000000000:function:smoke", "smoke"),
        ("arn:aws:lambda:us-east-1:000000000000:function:smoke:PROD", "smoke"),
    ],
)
def test_a_hook_is_found_by_the_name_in_its_arn(function: str, name: str) -> None:
    assert name_of(function) == name


@pytest.mark.parametrize("text", ["version: 0.0\n", '{"version": 0.0}'])
@pytest.mark.parametrize("place", [HookPlace("b", "k.zip", "deploy/turnout.yml"), HookPlace("b", "dir/turnout.yml")])
def test_the_place_of_a_hook_file_travels_at_the_end_of_the_appspec(text: str, place: HookPlace) -> None:
    assert place_in(with_place(text, place)) == place


def test_an_appspec_without_a_comment_has_no_hook_file() -> None:
    assert place_in("version: 0.0\n# turnout.yml is not here\n") is None
    with pytest.raises(ValueError, match="is not s3"):
        place_in("version: 0.0\n# turnout.yml: here\n")


def test_a_variable_that_is_not_known_stays_as_it_is() -> None:
    assert filled("${TEST_URL}/${COMMIT_ID}", {"TEST_URL": "http://a"}) == "http://a/${COMMIT_ID}"


def test_the_end_of_an_output_begins_with_a_whole_line() -> None:
    assert tail_of("x" * 5000 + "\nlast\n") == "last"
    assert tail_of("short\n") == "short"

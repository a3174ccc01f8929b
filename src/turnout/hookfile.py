"""turnout.yml: what the hooks that an AppSpec names are, where they are no Lambda functions. Pure.

    version: 1
    hooks:
      smoke:                          # the name in the AppSpec's Hooks
        script: ./smoke.sh            # or a list of commands
        timeout: 300
        environment: {PAGES: "/ /health"}
      migrate:
        container: web                # of the task definition that is deployed; or image: REPOSITORY@DIGEST
        command: [python3, manage.py, migrate]
      acceptance:
        http: ${TEST_URL}/acceptance
        retries: 5

A key that nobody would read is an error: a misspelt option must not be lost silently. docs/hooks.md tells the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from turnout.hookplace import HOOK_FILE
from turnout.yamlfile import Spot, parse_yaml

LAMBDA, SCRIPT, CONTAINER, HTTP = "lambda", "script", "container", "http"

LONGEST_S = 3600
"""CodeDeploy's limit of any hook."""
MOST_RETRIES = 1000
CALL_TIMEOUT_S, CALL_INTERVAL_S = 10, 5

VARIABLES = (
    "APPLICATION_NAME",
    "DEPLOYMENT_ID",
    "DEPLOYMENT_GROUP_NAME",
    "DEPLOYMENT_GROUP_ID",
    "LIFECYCLE_EVENT",
    "LIFECYCLE_EVENT_HOOK_EXECUTION_ID",
    "CLUSTER_NAME",
    "SERVICE_NAME",
    "TASK_DEFINITION",
    "COMMIT_ID",
    "PRODUCTION_URL",
    "TEST_URL",
    "GREEN_URL",
)
"""What a hook is told. The first five are CodeDeploy's own names, of the scripts that it runs on servers."""
NOT_ALWAYS = ("COMMIT_ID", "PRODUCTION_URL", "TEST_URL", "GREEN_URL")

_OWN = {"script": SCRIPT, "container": CONTAINER, "image": CONTAINER, "http": HTTP}
"""The member that says what a hook is → its kind."""
_MEMBERS = {
    "script": ("script", "timeout", "environment"),
    "container": ("container", "command", "timeout", "environment"),
    "image": ("image", "command", "timeout", "environment"),
    "http": ("http", "method", "headers", "metadata", "expect", "timeout", "retries", "interval"),
}
_METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE", "HEAD")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Hook:
    """One hook, as a deployment freezes it. Which settings there are depends on the kind."""

    name: str
    kind: str
    timeout_s: float = LONGEST_S
    """Of an HTTP hook: of one call."""
    settings: dict[str, Any] = field(default_factory=dict)
    where: str = HOOK_FILE
    """turnout.yml:7"""

    def wire(self) -> dict[str, Any]:
        return asdict(self)

    def variables(self) -> set[str]:
        """The variables without which it cannot be: they stand in its texts."""
        texts = [self.settings.get("url", ""), *self.settings.get("headers", {}).values()]
        return {name for text in [*texts, *self.settings.get("metadata", {}).values()] for name in variables_in(text)}


def variables_in(text: str) -> list[str]:
    return _VARIABLE.findall(text)


def filled(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its ${VARIABLES}; one that is not known stays as it is."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), text)


def parse_hooks(text: str, file: str = HOOK_FILE) -> dict[str, Hook]:
    """Name → hook. Raises YamlError with file and line."""
    root = parse_yaml(text, file)
    top = root.members()
    _only(top, ("version", "hooks"))
    if "version" not in top:
        raise root.error("has no version; it must be 1")
    if top["version"].text() != "1":
        raise top["version"].error(f"must be 1, found {top['version'].text()!r}")
    if "hooks" not in top or top["hooks"].is_empty:
        raise root.error("has no hooks: name at least one, as the AppSpec's Hooks do")
    return {name: _hook(name, spot) for name, spot in top["hooks"].members().items()}


def _hook(name: str, spot: Spot) -> Hook:
    members = spot.members()
    own = [member for member in _OWN if member in members]
    if len(own) != 1:
        found = f"found {' and '.join(own)}" if own else "found none of them"
        raise spot.error(f"must have exactly one of {', '.join(_OWN)}; {found}")
    _only(members, _MEMBERS[own[0]])
    settings = {"script": _script, "container": _container, "image": _container, "http": _http}[own[0]](members)
    longest_s = 300 if own[0] == "http" else LONGEST_S
    default_s = CALL_TIMEOUT_S if own[0] == "http" else LONGEST_S
    timeout_s = _number(members, "timeout", default_s, 1, longest_s)
    return Hook(name, _OWN[own[0]], timeout_s, settings, f"{spot.file}:{spot.line}")


def _script(members: dict[str, Spot]) -> dict[str, Any]:
    spot = members["script"]
    is_text = not spot.is_list
    commands = (spot.text(),) if is_text else spot.texts()
    if not any(command.strip() for command in commands):
        raise spot.error("is empty: write the command that decides by its exit code")
    return {"commands": list(commands), "environment": _environment(members)}


def _container(members: dict[str, Spot]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for member in ("container", "image"):
        if member in members:
            if not members[member].text().strip():
                raise members[member].error("is empty")
            chosen[member] = members[member].text()
    if "command" not in members:
        raise next(members[m] for m in chosen).error(
            "needs a command beside it (a list of words): the container would serve, and never end"
        )
    command = members["command"].texts()
    if not command:
        raise members["command"].error("is empty")
    return {**chosen, "command": list(command), "environment": _environment(members)}


def _http(members: dict[str, Spot]) -> dict[str, Any]:
    spot = members["http"]
    url = spot.text().strip()
    if not re.match(r"(https?://[^/\s]|\$\{(PRODUCTION|TEST|GREEN)_URL\})\S*\Z", url):
        raise spot.error(
            "must be a URL that begins with http://, https://, ${TEST_URL}, ${GREEN_URL} or ${PRODUCTION_URL},"
            f" found {url!r}"
        )
    _check_variables(spot)
    _check_url(spot, url)
    headers = members["headers"].members() if "headers" in members else {}
    for name, header in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise header.error("is no name of an HTTP header")
        if not re.fullmatch(r"[\t -~]*", header.text()):
            raise header.error("must be one line of ASCII characters, as headers are")
        _check_variables(header)
    metadata = members["metadata"].members() if "metadata" in members else {}
    for value in metadata.values():
        _check_variables(value)
    expect = [_status(item) for item in members["expect"].items()] if "expect" in members else []
    if "expect" in members and not expect:
        raise members["expect"].error("lists no status; leave it out for any 2xx")
    return {
        "url": url,
        "method": members["method"].one_of(*_METHODS) if "method" in members else "POST",
        "headers": {name: header.text() for name, header in headers.items()},
        "metadata": {name: value.text() for name, value in metadata.items()},
        "expect": expect,
        "retries": int(_number(members, "retries", 0, 0, MOST_RETRIES)),
        "interval_s": _number(members, "interval", CALL_INTERVAL_S, 1, LONGEST_S),
    }


def _environment(members: dict[str, Spot]) -> dict[str, str]:
    if "environment" not in members:
        return {}
    found = members["environment"].members()
    for name, value in found.items():
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise value.error("is no name of an environment variable")
        if name in VARIABLES:
            raise value.error(f"is set by turnout itself; choose another name than {name}")
    return {name: value.text() for name, value in found.items()}


def _status(item: Spot) -> int:
    text = item.text()
    if not re.fullmatch(r"[1-5][0-9]{2}", text):
        raise item.error(f"must be an HTTP status, 100 to 599, found {text!r}")
    return int(text)


def _number(members: dict[str, Spot], name: str, default: int, least: int, most: int) -> float:
    if name not in members:
        return default
    text = members[name].text()
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        unit = "" if name == "retries" else " of seconds"
        raise members[name].error(f"must be a whole number{unit} from {least} to {most}, found {text[:40]!r}")
    return int(text)


def _check_variables(spot: Spot) -> None:
    for name in variables_in(spot.text()):
        if name not in VARIABLES:
            raise spot.error(f"names the variable ${{{name}}}; there are {', '.join(VARIABLES)}")


def _check_url(spot: Spot, url: str) -> None:
    """What shows only when it is taken apart: a port that is none, a bracket that is not closed."""
    if not url.isprintable():
        raise spot.error("holds a character that no URL can have")
    try:
        urlsplit(_VARIABLE.sub("x", url) if url.startswith("http") else "http://x").port  # noqa: B018 - it raises
    except ValueError as error:
        raise spot.error(f"is no URL: {error}") from error


def _only(members: dict[str, Spot], known: tuple[str, ...]) -> None:
    for name, spot in members.items():
        if name not in known:
            raise spot.error(f"is not known here; there can be {', '.join(known)}")

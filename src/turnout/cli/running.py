"""The engine that runs on a home, as seen from outside: who and where it is, and the few questions that are ours."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from turnout.config import home_from
from turnout.errors import SetupError

ANSWER_WITHIN_S = 30.0
KILLED = "the engine in {home} was killed, and its tasks may still serve."


class NoEngine(SetupError):
    """Nobody holds the home, or not yet."""


@dataclass(frozen=True)
class Running:
    """What engine.json says while an engine runs. `started_at` is unix seconds."""

    pid: int
    endpoint: str
    port: int
    home: str
    region: str
    version: str
    speed: float
    started_at: float
    runtime: str = ""
    ssh_endpoint: str = ""
    ssh_fingerprint: str = ""
    known_hosts: str = ""


def find_running(home: Path) -> Running | None:
    """The engine of a home; None if there is none, or none that is ready.

    engine.json alone is no proof: a killed engine leaves it behind, and its pid may be somebody else's by now. The file
    lock is: the kernel lets go of it with the process.
    """
    try:
        document = json.loads((home / "engine.json").read_text())
        holder = (home / "lock").read_text()
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    known = {field.name for field in fields(Running)}
    running = Running(**{name: value for name, value in document.items() if name in known})
    if not is_held(home) or not holder.endswith(f"pid {running.pid}"):
        return None
    return running


def require_running(home: Path) -> Running:
    """The engine of a home. Raises NoEngine that says how to start one."""
    if (running := find_running(home)) is None:
        option = "" if home == home_from() else f" --home {home}"
        if was_killed(home):
            raise NoEngine(f"{KILLED.format(home=home)} `turnout up --detach{option}` takes them over.")
        raise NoEngine(f"no engine is running in {home}. Start one with `turnout up --detach{option}`.")
    return running


def was_killed(home: Path) -> bool:
    """Whether the last engine of a home did not end by itself: what it started may still serve."""
    return (home / "engine.json").exists() and not is_held(home)


def is_held(home: Path) -> bool:
    """Whether a living engine holds the home."""
    try:
        with (home / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def wait_until_gone(running: Running, within_s: float) -> bool:
    """Whether an engine has ended within a time: it lets go of its home first, and its process ends after that."""
    deadline = time.monotonic() + within_s
    while is_held(Path(running.home)) or _is_alive(running.pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        # A child of ours that has ended stays a zombie, which counts as alive, until we have taken note of it.
        os.waitpid(pid, os.WNOHANG)
        os.kill(pid, 0)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()
    except ProcessLookupError:
        return False
    return True


def credentials(endpoint: str, environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """(key id, secret) for an engine: the first of TURNOUT_KEYS, or any at all when it verifies no signatures.

    AWS_ACCESS_KEY_ID counts only where AWS_ENDPOINT_URL says that it is meant for this engine (in a build, and after
    `turnout env`): a user's own AWS keys have no business with it.
    """
    if keys := keys_from(environment):
        return next(iter(keys.items()))
    if environment.get("AWS_ENDPOINT_URL") == endpoint:
        return environment.get("AWS_ACCESS_KEY_ID", "test"), environment.get("AWS_SECRET_ACCESS_KEY", "test")
    return "test", "test"


def keys_from(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """TURNOUT_KEYS ("KEYID:SECRET,KEYID:SECRET") as key id → secret. Raises SetupError."""
    pairs = [pair.strip() for pair in environment.get("TURNOUT_KEYS", "").split(",") if pair.strip()]
    keys = dict(pair.split(":", 1) for pair in pairs if ":" in pair)
    if len(keys) != len(pairs) or not all(key and secret for key, secret in keys.items()):
        raise SetupError("TURNOUT_KEYS must read KEYID:SECRET, or several of them separated by commas.")
    return keys


def ask(running: Running, path: str) -> Any:
    """A question that is ours ("health", "receipts/us-east-1/d-…"): the JSON document, or None if there is none."""
    # Not through the proxy that the environment may name: the engine is on this machine.
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    opener = build_opener(ProxyHandler({}))
    url = f"{running.endpoint}/_turnout/{path}"
    try:
        with opener.open(Request(url, headers=_signed(running, url)), timeout=ANSWER_WITHIN_S) as response:
            return json.load(response)
    except HTTPError as error:
        with error:
            if error.code == 404:
                return None
            raise SetupError(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}") from error
    except (URLError, OSError) as error:
        raise SetupError(f"the engine at {running.endpoint} does not answer: {error}") from error


def _signed(running: Running, url: str) -> dict[str, str]:
    """The headers that say who asks, if there is a key: an engine that verifies signatures wants them here, too."""
    key_id, secret = credentials(running.endpoint)
    if key_id == "test":
        return {}
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", url)
    SigV4Auth(Credentials(key_id, secret), "turnout", running.region).add_auth(request)
    return dict(request.headers.items())

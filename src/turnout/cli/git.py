"""The git commands that the command line runs, each in a folder of its own choosing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from turnout.errors import SetupError

ANYBODY: Mapping[str, str] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "turnout demo",
    "GIT_AUTHOR_EMAIL": "demo@turnout.invalid",
    "GIT_COMMITTER_NAME": "turnout demo",
    "GIT_COMMITTER_EMAIL": "demo@turnout.invalid",
    "GIT_TERMINAL_PROMPT": "0",
    "no_proxy": "*",
    "NO_PROXY": "*",
}
"""For a repository of ours: nothing of the user's configuration (identity, signing, hooks, proxies) takes part."""


def git(folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What `git words…` prints in a folder. Raises SetupError with what it says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            env=inherited | dict(environment or {}),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise SetupError("git is not installed, or not on PATH.") from error
    if done.returncode:
        raise SetupError(f"`git {' '.join(words)}` in {folder} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def is_repository(folder: Path) -> bool:
    """Whether a folder is the top of a git work tree."""
    return (folder / ".git").exists()


def ensure_remote(folder: Path, name: str, url: str) -> str:
    """Point the remote `name` to `url`: "created", "unchanged" or "updated"."""
    remotes = git(folder, "remote").splitlines()
    if name not in remotes:
        git(folder, "remote", "add", name, url)
        outcome = "created"
    elif git(folder, "remote", "get-url", name) == url:
        return "unchanged"
    else:
        git(folder, "remote", "set-url", name, url)
        outcome = "updated"
    # The engine is on this machine: a proxy that the environment names must not be asked for it.
    git(folder, "config", f"remote.{name}.proxy", "")
    return outcome

"""Real parts from outside: missing is a reason to skip on somebody's laptop, and a failure in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def part(name: str, path: Path | None) -> str:
    """The path of a real part. Without it: skipped here, failed in CI."""
    if path is None or not path.exists():
        lacking(f"{name} is not there: `make test` installs it")
    return str(path)


def lacking(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def found(name: str) -> Path | None:
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    return Path(path) if path else None

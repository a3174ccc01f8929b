"""The images that a Dockerfile is based on, as far as it names them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_FROM = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?|^\s*COPY\s+(?:--\S+\s+)*?--from=(\S+)",
    re.IGNORECASE | re.MULTILINE,
)
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


def bases(rest: Sequence[str]) -> list[str]:
    """Those of a `docker build`, whose words are given; stages of the Dockerfile itself, and scratch, are none."""
    file, values = None, {}
    for number, argument in enumerate(rest):
        value = rest[number + 1] if number + 1 < len(rest) else ""
        option, equals, given = argument.partition("=")
        if option in ("-f", "--file"):
            file = given if equals else value
        elif option == "--build-arg":
            name, _, text = (given if equals else value).partition("=")
            values[name] = text or os.environ.get(name, "")
    try:
        text = Path(file or Path(rest[-1]) / "Dockerfile").read_text()
    except (OSError, UnicodeDecodeError):
        return []
    values = {**{name: value.strip("\"'") for name, value in _ARG.findall(text)}, **values}

    def value_of(found: re.Match[str]) -> str:
        return values.get(found[1] or found[3], found[2] or "")

    names: dict[str, None] = {}
    stages = {"scratch"}
    for base, stage, copied in _FROM.findall(text):
        name = _VARIABLE.sub(value_of, base or copied)
        if name.lower() not in stages and not name.isdecimal():
            names[name] = None
        if stage:
            stages.add(stage.lower())
    return list(names)

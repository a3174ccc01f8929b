"""What is going to change, as a diff of two documents. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

AROUND = 2
"""Lines of context."""
FILLED_IN: Mapping[str, Any] = {"cpu": 0, "hostPort": 0, "protocol": "tcp", "essential": True}
"""What AWS writes where nothing was said: it is no difference."""


def difference(before: Mapping[str, Any], after: Mapping[str, Any], names: tuple[str, str]) -> list[str]:
    """Lines of a unified diff; none if both say the same."""
    one, other = (json.dumps(_said(document), indent=2, sort_keys=True).splitlines() for document in (before, after))
    return list(unified_diff(one, other, *names, n=AROUND, lineterm=""))


def _said(value: Any) -> Any:
    """Without nulls, empty members and what AWS fills in; containers and variables by name, whatever their order."""
    if isinstance(value, Mapping):
        parts = {name: _said(part) for name, part in value.items()}
        return {n: p for n, p in parts.items() if p not in (None, [], {}) and FILLED_IN.get(n, ...) != p}
    if isinstance(value, list | tuple):
        parts_ = [_said(part) for part in value]
        is_named = all(isinstance(part, Mapping) and "name" in part for part in parts_)
        return sorted(parts_, key=lambda part: str(part["name"])) if is_named else parts_
    return value

"""Variables: `#{namespace.key}` in the configuration of an action. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

REFERENCE = re.compile(r"#\{([A-Za-z0-9@\-_]+)\.([A-Za-z0-9@\-_]+)\}")

OWN = "codepipeline"
"""The namespace of the execution itself: PipelineExecutionId."""
PIPELINE = "variables"
"""The namespace of the pipeline's own variables (V2)."""

Namespaces = Mapping[str, Mapping[str, str]]


class Unresolved(Exception):
    """A reference that nothing of this execution has produced."""

    def __init__(self, reference: str, known: Namespaces) -> None:
        names = sorted(f"{space}.{key}" for space, values in known.items() for key in values)
        super().__init__(f"{reference} is not a variable of this execution; there are {', '.join(names)}")


def resolve(text: str, known: Namespaces, *, is_json: bool = False) -> str:
    """`text` with every reference replaced. In JSON text the values are escaped: a commit message may hold quotes."""

    def value_of(match: re.Match[str]) -> str:
        namespace, key = match.groups()
        value = known.get(namespace, {}).get(key)
        if value is None:
            raise Unresolved(match.group(), known)
        return json.dumps(value)[1:-1] if is_json else value

    return REFERENCE.sub(value_of, text)

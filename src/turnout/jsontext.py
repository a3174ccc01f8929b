"""JSON as rows, requests and answers hold it, by orjson: the same values as `json`, several times as fast.

What orjson takes otherwise than Python (half a character, NaN, nesting by the thousand, numbers of more than 64 bits)
is left to Python, so that nothing that has once been written becomes unreadable.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_LONG = re.compile("[0-9]{19}")
_LONG_BYTES = re.compile(rb"[0-9]{19}")


def quickly_read(text: str | bytes) -> Any:
    """What orjson makes of it; None for `null` and for what is left to Python, which also tells better what is wrong.

    orjson makes fractions of numbers that are beyond 64 bits.
    """
    if _LONG_BYTES.search(text) if isinstance(text, bytes) else _LONG.search(text):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def read(text: str | bytes) -> Any:
    """A document of a row. Raises ValueError, with Python's words."""
    document = quickly_read(text)
    return json.loads(text) if document is None else document


def written(document: Any) -> bytes:
    """A document without spaces, in UTF-8. NaN and infinity, which JSON has no words for, become null."""
    try:
        return orjson.dumps(document, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:  # half a character has no bytes in UTF-8, and an escape in JSON
        return json.dumps(document, separators=(",", ":")).encode()

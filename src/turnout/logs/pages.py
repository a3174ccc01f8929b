"""Pages of events: where a reader stands, as a token, and how much fits. Pure.

A page holds at most 1 MB and 10,000 events. GetLogEvents returns the same token at the end of a stream.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from turnout.errors import AwsError
from turnout.logs.batch import size_of
from turnout.logs.tables import Place

MAX_BYTES = 1_048_576
MAX_EVENTS = 10_000

_STREAM_TOKEN = re.compile(r"(?P<way>[fb])/(?P<at>\d{20})(?P<id>\d{36})/s")


def place_of(row: sqlite3.Row) -> Place:
    return Place(row["at"], row["id"])


def that_fit(rows: Sequence[sqlite3.Row]) -> Sequence[sqlite3.Row]:
    """As many as fit into a page, one at least."""
    size = 0
    for count, row in enumerate(rows):
        size += size_of(row["message"])
        if size > MAX_BYTES and count:
            return rows[:count]
    return rows


def stream_token(way: str, place: Place) -> str:
    """GetLogEvents' token: `way` is "f" for what comes behind the place, "b" for what comes before it."""
    return f"{way}/{place.at:020d}{place.id:036d}/s"


def read_stream_token(token: str) -> tuple[str, Place]:
    match = _STREAM_TOKEN.fullmatch(token)
    if match is None:
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
    return match["way"], Place(int(match["at"]), int(match["id"]))


def token(state: Any) -> str:
    """An opaque token that carries a JSON value."""
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode()


def read_token(text: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(text))
    except ValueError as error:
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.") from error

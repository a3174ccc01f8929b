"""Reading log events: one stream back and forth, or a group through a filter."""

from __future__ import annotations

import sqlite3

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.logs.batch import size_of
from turnout.logs.pages import (
    MAX_BYTES,
    MAX_EVENTS,
    place_of,
    read_stream_token,
    read_token,
    stream_token,
    that_fit,
    token,
)
from turnout.logs.pattern import read_pattern
from turnout.logs.streams import Streams
from turnout.logs.tables import BEGINNING, END, Place, Stream

MAX_SCANNED = 20_000
"""Events that one FilterLogEvents looks at: a search never holds the loop for long. AWS's pages may be empty, too."""


class Events(Streams):
    """A reader stands at a place (time, id); what a filter leaves out, it has still read."""

    def get_log_events(self, call: Call) -> Answer:
        group = self._named_group(call)
        oldest_ms = self._oldest_ms(self._get_group(call.region, group))
        stream = self._stream_of(call, group)
        # `endTime` is exclusive here, and inclusive in FilterLogEvents.
        first = Place(max(call.get("startTime", 0), oldest_ms), 0)
        last = Place(call["endTime"], 0) if "endTime" in call.input else END
        way, at = "f" if call.get("startFromHead") else "b", None
        if given := call.get("nextToken"):
            way, at = read_stream_token(given)
        newest_first = way == "b"
        if at is not None:
            first, last = (first, min(last, at)) if newest_first else (max(first, at), last)
        found = self._tables.events([stream], first, last, call.get("limit", MAX_EVENTS), newest_first=newest_first)
        rows = that_fit(found)
        ends = sorted(place_of(row) for row in rows) or [at or first]
        return {
            "events": [_read(row) for row in (reversed(rows) if newest_first else rows)],
            "nextForwardToken": stream_token("f", ends[-1]),
            "nextBackwardToken": stream_token("b", ends[0]),
        }

    def filter_log_events(self, call: Call) -> Answer:
        group = self._named_group(call)
        oldest_ms = self._oldest_ms(self._get_group(call.region, group))
        pattern = read_pattern(call.get("filterPattern") or "")
        newest_first = call.get("startFromHead") is False
        first = Place(max(call.get("startTime", 0), oldest_ms), 0)
        last = Place(call["endTime"] + 1, 0) if "endTime" in call.input else END
        if given := call.get("nextToken"):
            newest_first, *at = read_token(given)
            first, last = (first, min(last, Place(*at))) if newest_first else (max(first, Place(*at)), last)
        limit = call.get("limit", MAX_EVENTS)
        streams = [s for s in self._filtered_streams(call, group) if s.last_at is not None and s.last_at >= first.at]
        rows = self._tables.events(streams, first, last, MAX_SCANNED, newest_first=newest_first)
        matched: list[sqlite3.Row] = []
        size = read = 0
        for row in rows:
            if pattern.matches(row["message"]):
                size += size_of(row["message"])
                if matched and (len(matched) == limit or size > MAX_BYTES):
                    break
                matched.append(row)
            read += 1
        has_more = read < len(rows) or len(rows) == MAX_SCANNED
        place = place_of(rows[read - 1]) if has_more else BEGINNING
        return {
            "events": [_found(row) for row in matched],
            "searchedLogStreams": [],
            "nextToken": token([newest_first, place.at, place.id]) if has_more else None,
        }

    def _filtered_streams(self, call: Call, group: str) -> list[Stream]:
        if call.get("logStreamNames") and call.get("logStreamNamePrefix"):
            message = "logStreamNames and logStreamNamePrefix cannot be specified together."
            raise AwsError("InvalidParameterException", message)
        if names := call.get("logStreamNames"):
            return [self._tables.get_stream(call.region, group, name) for name in names]
        return self._tables.streams(call.region, group, call.get("logStreamNamePrefix") or "")


def _read(row: sqlite3.Row) -> Answer:
    return {"timestamp": row["at"], "message": row["message"], "ingestionTime": row["ingested_at"]}


def _found(row: sqlite3.Row) -> Answer:
    return {"logStreamName": row["stream"], "eventId": f"{row['id']:056d}", **_read(row)}

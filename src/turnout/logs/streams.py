"""Log streams: the operations on them, and PutLogEvents."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.logs.batch import accept, size_of
from turnout.logs.groups import Groups
from turnout.logs.pages import read_token, token
from turnout.logs.tables import Stream
from turnout.names import arn

MAX_STREAMS = 50
"""In one page of DescribeLogStreams."""


class Streams(Groups):
    """A stream can only be made in a group that there is, and goes with it: so writing need not ask for the group."""

    def create_log_stream(self, call: Call) -> Answer:
        group, name = call["logGroupName"], call["logStreamName"]
        oldest_ms = self._oldest_ms(self._get_group(call.region, group))
        if self._tables.find_stream(call.region, group, name):
            raise AwsError("ResourceAlreadyExistsException", "The specified log stream already exists")
        with self._store.transaction() as tx:
            self._tables.add_stream(tx, call.region, group, name, self._now_ms())
            self._tables.forget_before(tx, call.region, group, oldest_ms)
        return {}

    def delete_log_stream(self, call: Call) -> Answer:
        stream = self._stream_of(call, call["logGroupName"])
        with self._store.transaction() as tx:
            self._tables.delete_stream(tx, stream)
        return {}

    def describe_log_streams(self, call: Call) -> Answer:
        group = self._named_group(call)
        prefix, by_time = call.get("logStreamNamePrefix"), call.get("orderBy") == "LastEventTime"
        if prefix and by_time:
            message = "Cannot order by LastEventTime with a logStreamNamePrefix."
            raise AwsError("InvalidParameterException", message)
        self._get_group(call.region, group)

        def place(stream: Stream) -> list[int | str]:
            return [stream.last_at or 0, stream.name] if by_time else [stream.name]

        descending = bool(call.get("descending"))
        found = sorted(self._tables.streams(call.region, group, prefix or ""), key=place, reverse=descending)
        if given := call.get("nextToken"):
            behind = read_token(given)
            found = [s for s in found if (place(s) < behind if descending else place(s) > behind)]
        limit = call.get("limit", MAX_STREAMS)
        page = found[:limit]
        return {
            "logStreams": [_described(stream) for stream in page],
            "nextToken": token(place(page[-1])) if len(found) > limit else None,
        }

    def put_log_events(self, call: Call) -> Answer:
        stream = self._stream_of(call, call["logGroupName"])
        events = call["logEvents"]
        now_ms = self._now_ms()
        accepted = accept(events, now_ms)
        kept = events[accepted.first : accepted.last]
        if kept:
            with self._store.transaction() as tx:
                self._tables.append(tx, stream, kept, now_ms, sum(size_of(event["message"]) for event in kept))
        return {"nextSequenceToken": _sequence_token(stream), "rejectedLogEventsInfo": accepted.rejected}

    def _stream_of(self, call: Call, group: str) -> Stream:
        stream = self._tables.find_stream(call.region, group, call["logStreamName"])
        if stream is None:
            self._get_group(call.region, group)  # says so if the group is what is missing
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return stream


def _described(stream: Stream) -> Answer:
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created_at,
        "firstEventTimestamp": stream.first_at,
        "lastEventTimestamp": stream.last_at,
        "lastIngestionTime": stream.ingested_at,
        "uploadSequenceToken": _sequence_token(stream),
        "arn": arn("logs", stream.region, f"log-group:{stream.group}:log-stream:{stream.name}"),
        "storedBytes": 0,  # AWS reports zero for streams since 2019; the group's is real
    }


def _sequence_token(stream: Stream) -> str:
    """AWS ignores it since 2023, and still returns one."""
    return f"{stream.id:056d}"

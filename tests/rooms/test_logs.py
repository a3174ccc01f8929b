"""Log streams and events, through boto3. Times on the wire are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World

GROUP, STREAM = "/ecs/web", "web/app/1"
DAY_MS = 86_400_000


@pytest.fixture
def logs(world: World) -> Any:
    logs = world.boto("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return logs


def now_ms(world: World) -> int:
    return int(world.clock.now() * 1000)


def put(world: World, logs: Any, *messages: str, stream: str = STREAM, ago_ms: int = 0) -> None:
    """One event per message, a millisecond apart, the first `ago_ms` before now."""
    at = now_ms(world) - ago_ms
    events = [{"timestamp": at + n, "message": message} for n, message in enumerate(messages)]
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


def code_of(act: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as raised:
        act(**params)
    return str(raised.value.response["Error"]["Code"])


def test_lines_are_read_in_the_order_of_their_times(world: World, logs: Any) -> None:
    put(world, logs, "third")
    put(world, logs, "first", "second", ago_ms=60_000)
    answer = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, startFromHead=True)
    assert messages(answer) == ["first", "second", "third"]
    assert answer["events"][0] == {
        "timestamp": now_ms(world) - 60_000,
        "message": "first",
        "ingestionTime": now_ms(world),
    }


def test_without_start_from_head_the_latest_lines_come_first_page(world: World, logs: Any) -> None:
    put(world, logs, *"abcde")
    page = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, limit=2)
    assert messages(page) == ["d", "e"]
    before = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, limit=2, nextToken=page["nextBackwardToken"])
    assert messages(before) == ["b", "c"]


def test_the_end_of_a_stream_returns_the_token_that_was_sent(world: World, logs: Any) -> None:
    where = {"logGroupName": GROUP, "logStreamName": STREAM, "startFromHead": True}
    put(world, logs, *"abc")
    page = logs.get_log_events(**where, limit=2)
    rest = logs.get_log_events(**where, nextToken=page["nextForwardToken"])
    assert messages(rest) == ["c"]
    end = logs.get_log_events(**where, nextToken=rest["nextForwardToken"])
    assert messages(end) == []
    assert end["nextForwardToken"] == rest["nextForwardToken"]

    world.tick(1)
    put(world, logs, "d")
    assert messages(logs.get_log_events(**where, nextToken=end["nextForwardToken"])) == ["d"]


def test_an_empty_stream_can_be_followed(world: World, logs: Any) -> None:
    where = {"logGroupName": GROUP, "logStreamName": STREAM}
    token = logs.get_log_events(**where)["nextForwardToken"]
    put(world, logs, "hello")
    assert messages(logs.get_log_events(**where, nextToken=token)) == ["hello"]


def test_the_end_time_is_outside_for_a_stream_and_inside_for_a_filter(world: World, logs: Any) -> None:
    put(world, logs, *"abc")
    at = now_ms(world)
    span = {"startTime": at + 1, "endTime": at + 2}
    assert messages(logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, **span)) == ["b"]
    assert messages(logs.filter_log_events(logGroupName=GROUP, **span)) == ["b", "c"]


def test_a_filter_reads_all_streams_of_a_group_by_time(world: World, logs: Any) -> None:
    logs.create_log_stream(logGroupName=GROUP, logStreamName="web/app/2")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="cron/1")
    put(world, logs, "two", stream="web/app/2", ago_ms=10)
    put(world, logs, "one", ago_ms=20)
    put(world, logs, "three", stream="cron/1")
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["one", "two", "three"]
    assert messages(logs.filter_log_events(logGroupName=GROUP, startFromHead=False)) == ["three", "two", "one"]
    assert messages(logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="web/")) == ["one", "two"]
    assert messages(logs.filter_log_events(logGroupName=GROUP, logStreamNames=["cron/1"])) == ["three"]


def test_every_match_is_found_once_over_all_pages(world: World, logs: Any) -> None:
    put(world, logs, *(f"line {n} {'odd' if n % 2 else 'even'}" for n in range(30)))
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="odd", PaginationConfig={"PageSize": 4}
    )
    events = [event for page in pages for event in page["events"]]
    assert [event["message"] for event in events] == [f"line {n} odd" for n in range(1, 30, 2)]
    assert len({event["eventId"] for event in events}) == 15


def test_who_asks_again_from_the_last_time_sees_every_line_once(world: World, logs: Any) -> None:
    """So does `aws logs tail --follow`: it asks from the time of the newest line, and drops the ids it has seen."""
    seen: list[str] = []
    newest: dict[str, int] = {}
    for lines in (("a", "b"), ("c",), (), ("d", "e")):
        if lines:
            put(world, logs, *lines)
        since = max(newest.values(), default=0)
        answer = logs.filter_log_events(logGroupName=GROUP, interleaved=True, startTime=since)
        assert "nextToken" not in answer
        for event in answer["events"]:
            if event["eventId"] not in newest:
                seen.append(event["message"])
                newest[event["eventId"]] = event["timestamp"]
        world.tick(1)
    assert seen == ["a", "b", "c", "d", "e"]


def test_a_page_stays_under_a_megabyte(world: World, logs: Any) -> None:
    for _ in range(3):
        put(world, logs, "x" * 500_000)
    where = {"logGroupName": GROUP, "logStreamName": STREAM, "startFromHead": True}
    page = logs.get_log_events(**where)
    assert len(page["events"]) == 2
    assert len(logs.get_log_events(**where, nextToken=page["nextForwardToken"])["events"]) == 1
    assert len(logs.filter_log_events(logGroupName=GROUP)["events"]) == 2


def test_a_pattern_over_json_is_refused(logs: Any) -> None:
    pattern = '{ $.level = "error" }'
    assert code_of(logs.filter_log_events, logGroupName=GROUP, filterPattern=pattern) == "InvalidParameterException"


def test_a_stream_tells_when_its_lines_came(world: World, logs: Any) -> None:
    put(world, logs, "a", "b", ago_ms=1000)
    at = now_ms(world)
    stream = logs.describe_log_streams(logGroupName=GROUP)["logStreams"][0]
    assert stream["logStreamName"] == STREAM
    assert stream["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:{STREAM}"
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (at - 1000, at - 999)
    assert (stream["creationTime"], stream["lastIngestionTime"]) == (at, at)
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == 2 * 27


def test_streams_are_listed_by_name_or_by_their_last_line(world: World, logs: Any) -> None:
    for name in ("b", "a", "c"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
    put(world, logs, "x", stream="a")
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 2})
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == ["a", "b", "c", STREAM]
    latest = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1)
    assert [s["logStreamName"] for s in latest["logStreams"]] == ["a"]
    assert "nextToken" in latest


def test_a_deleted_group_takes_its_streams_along(world: World, logs: Any) -> None:
    put(world, logs, "old")
    logs.delete_log_group(logGroupName=GROUP)
    assert code_of(logs.describe_log_streams, logGroupName=GROUP) == "ResourceNotFoundException"
    logs.create_log_group(logGroupName=GROUP)
    assert logs.describe_log_streams(logGroupName=GROUP)["logStreams"] == []


def test_a_deleted_stream_takes_its_lines_along(world: World, logs: Any) -> None:
    put(world, logs, "old")
    logs.delete_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == []


def test_what_is_missing_is_named(logs: Any) -> None:
    none = {"logGroupName": "/none", "logStreamName": "s"}
    events = [{"timestamp": 0, "message": "x"}]
    assert code_of(logs.create_log_stream, **none) == "ResourceNotFoundException"
    assert code_of(logs.put_log_events, **none, logEvents=events) == "ResourceNotFoundException"
    assert code_of(logs.get_log_events, **none) == "ResourceNotFoundException"
    assert code_of(logs.filter_log_events, logGroupName="/none") == "ResourceNotFoundException"
    assert code_of(logs.delete_log_group, logGroupName="/none") == "ResourceNotFoundException"
    there = {"logGroupName": GROUP, "logStreamName": STREAM}
    assert code_of(logs.create_log_stream, **there) == "ResourceAlreadyExistsException"


def test_lines_out_of_time_are_left_out_and_counted(world: World, logs: Any) -> None:
    at = now_ms(world)
    times = [at - 15 * DAY_MS, at, at + 3 * 3_600_000]
    answer = logs.put_log_events(
        logGroupName=GROUP, logStreamName=STREAM, logEvents=[{"timestamp": t, "message": str(t)} for t in times]
    )
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == [str(at)]


def test_lines_out_of_order_are_refused(world: World, logs: Any) -> None:
    at = now_ms(world)
    events = [{"timestamp": at, "message": "b"}, {"timestamp": at - 1, "message": "a"}]
    where = {"logGroupName": GROUP, "logStreamName": STREAM}
    assert code_of(logs.put_log_events, **where, logEvents=events) == "InvalidParameterException"


def test_lines_older_than_the_retention_are_gone(world: World, logs: Any) -> None:
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=3)
    put(world, logs, "old", ago_ms=4 * DAY_MS)
    put(world, logs, "new")
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["new"]
    logs.create_log_stream(logGroupName=GROUP, logStreamName="next")
    logs.delete_retention_policy(logGroupName=GROUP)
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["new"]


def test_regions_are_apart(world: World, logs: Any) -> None:
    put(world, logs, "here")
    assert code_of(world.boto("logs", "eu-central-1").filter_log_events, logGroupName=GROUP) == (
        "ResourceNotFoundException"
    )


def test_a_group_is_found_by_its_arn_too(world: World, logs: Any) -> None:
    put(world, logs, "x")
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    assert messages(logs.filter_log_events(logGroupIdentifier=arn)) == ["x"]


def test_lines_survive_the_engine(world: World, logs: Any) -> None:
    put(world, logs, "kept")
    world.reboot()
    assert messages(world.boto("logs").filter_log_events(logGroupName=GROUP)) == ["kept"]

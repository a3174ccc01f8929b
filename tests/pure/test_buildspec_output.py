"""What of a build's output is sent, and what nobody gets to see."""

from __future__ import annotations

from turnout.codebuild.output import (
    MOST_BATCH_BYTES,
    MOST_BATCH_EVENTS,
    MOST_EVENT_BYTES,
    READ_BYTES,
    Mask,
    batches_of,
    messages_in,
    size_to_send,
)

NOTHING = Mask.of([])


def test_only_whole_lines_are_sent_until_the_end() -> None:
    assert size_to_send(b"one\ntwo", NOTHING, is_end=False) == 4
    assert size_to_send(b"two", NOTHING, is_end=False) == 0
    assert size_to_send(b"two", NOTHING, is_end=True) == 3


def test_an_endless_line_is_cut_but_never_inside_a_secret() -> None:
    mask = Mask.of(["s3cret"])
    for shift in range(40):
        text = b"x" * (READ_BYTES - 30 + shift) + b"s3cret" + b"y" * 60
        read = text[:READ_BYTES]
        size = size_to_send(read, mask, is_end=False)
        assert 0 < size < READ_BYTES
        assert b"s3cret" not in mask.apply(text[:size]) + mask.apply(text[size:])
        assert mask.apply(text[:size]) + mask.apply(text[size:]) == text.replace(b"s3cret", b"***")


def test_every_line_of_a_secret_is_hidden_and_the_longest_first() -> None:
    mask = Mask.of(["abc\nabcdef\n", "  ", ""])
    assert mask.apply(b"abcdef abc ab") == b"*** *** ab"


def test_messages_are_never_empty_nor_too_long() -> None:
    assert list(messages_in(b"a\r\n\nb")) == ["a", " ", "b"]
    assert [len(message) for message in messages_in(b"x" * (MOST_EVENT_BYTES + 1))] == [MOST_EVENT_BYTES, 1]
    assert list(messages_in(b"\xff")) == ["\ufffd"]


def test_batches_fit_what_cloudwatch_logs_takes() -> None:
    assert [len(batch) for batch in batches_of(iter(["x"] * (MOST_BATCH_EVENTS + 1)))] == [MOST_BATCH_EVENTS, 1]
    large = ["x" * MOST_EVENT_BYTES] * 9
    assert all(sum(map(len, batch)) <= MOST_BATCH_BYTES for batch in batches_of(iter(large)))
    assert list(batches_of(iter([]))) == []

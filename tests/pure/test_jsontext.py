"""JSON of rows and answers: nothing is read otherwise than Python's json reads it."""

from __future__ import annotations

import json

import pytest

from turnout.jsontext import read, written

DOCUMENTS = [
    None,
    {},
    {"a": [1, 1.5, -0.0, True, None, "é\N{ROCKET}\x00"]},
    {"seconds": 1700000000.123, "largest": 2**63 - 1, "beyond": 2**64, "far beyond": -(2**70)},
    {"half": "\ud800"},
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_written_is_read_as_it_was_by_us_and_by_python(document: object) -> None:
    text = written(document)
    assert read(text) == read(text.decode()) == json.loads(text) == document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_rows_that_python_wrote_are_read(document: object) -> None:
    assert read(json.dumps(document)) == document


def test_a_number_of_more_than_64_bits_stays_whole() -> None:
    assert read(f'{{"n": {2**64 + 1}}}') == {"n": 2**64 + 1}


def test_what_is_no_json_is_refused_in_pythons_words() -> None:
    with pytest.raises(json.JSONDecodeError, match="Expecting property name"):
        read("{")


def test_what_json_has_no_words_for_becomes_null() -> None:
    assert written([float("nan"), float("inf")]) == b"[null,null]"

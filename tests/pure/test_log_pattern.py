import pytest

from turnout.errors import AwsError
from turnout.logs.pattern import read_pattern


@pytest.mark.parametrize(
    ("pattern", "line", "is_match"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR disk", "disk ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"disk is full"', "the disk is full!", True),
        ('"disk is full"', "is the disk full", False),
        ("ERROR -retry", "ERROR, will retry", False),
        ('ERROR -"will retry"', "ERROR", True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        (r'"say \"hi\""', 'they say "hi"', True),
        ('-"a b"', "a b", False),
    ],
)
def test_a_line_matches_as_on_cloudwatch(pattern: str, line: str, is_match: bool) -> None:
    assert read_pattern(pattern).matches(line) is is_match


@pytest.mark.parametrize("pattern", ['{ $.a = "b" }', "[a, b]", "%a|b%", '"open', "?a b"])
def test_a_pattern_that_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(AwsError) as raised:
        read_pattern(pattern)
    assert raised.value.code == "InvalidParameterException"

"""Every answer of every room fits botocore's output shape: `World` checks each one that any test sees."""

from __future__ import annotations

import pytest

from tests.fakes.shapes import check_answer
from turnout.aws import Call


@pytest.mark.parametrize(
    "answer",
    [
        {"application": {"applicationName": 3}},
        {"application": {"surprise": "x"}},
        {"application": {"computePlatform": "Moon"}},
        {"application": {"createTime": "yesterday"}},
        {"application": {"linkedToGitHub": 1}},
    ],
)
def test_an_answer_that_aws_could_not_give_is_caught(answer: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        check_answer(Call("codedeploy", "GetApplication", "us-east-1"), answer)

"""What a clean-up says, and how it waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from turnout.cli.cleaning import patience, ranges


@pytest.mark.parametrize(
    ("numbers", "told"),
    [((), ""), ((3,), "3"), ((2, 1, 3), "1–3"), ((1, 2, 5, 7, 8), "1–2, 5, 7–8")],
)
def test_revisions_are_told_as_ranges(numbers: tuple[int, ...], told: str) -> None:
    assert ranges(numbers) == told


class Throttled:
    """Refuses so many times with an error code, and then answers."""

    def __init__(self, times: int, code: str = "ThrottlingException") -> None:
        self.left, self.code = times, code

    def __call__(self, **params: Any) -> str:
        self.left -= 1
        if self.left >= 0:
            raise ClientError({"Error": {"Code": self.code, "Message": "Rate exceeded"}}, "DeleteTaskDefinitions")
        return params["name"]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(patience, "time", SimpleNamespace(sleep=slept.append))
    return slept


def test_a_call_that_is_throttled_is_asked_again_after_waits_that_double(slept: list[float]) -> None:
    told: list[str] = []
    assert patience.patiently(Throttled(7), told.append, name="web") == "web"
    assert slept == [1, 2, 4, 8, 16, 30, 30]
    assert told[0] == "AWS asks for patience: again in 1 s"


def test_patience_ends(slept: list[float]) -> None:
    with pytest.raises(ClientError, match="Rate exceeded"):
        patience.patiently(Throttled(1000), lambda text: None, name="web")
    assert len(slept) == patience.MOST_TRIES - 1


def test_what_is_not_a_matter_of_time_is_not_asked_again(slept: list[float]) -> None:
    with pytest.raises(ClientError):
        patience.patiently(Throttled(1, "AccessDeniedException"), lambda text: None, name="web")
    assert slept == []

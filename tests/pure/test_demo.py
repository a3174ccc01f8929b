"""The demo's verdict: it must not call anything right that went wrong."""

from dataclasses import replace
from typing import Any

from turnout.cli.demo.versions import VERSIONS, Outcome, Version
from turnout.cli.load import Tally
from turnout.cli.releases import Release

GOOD, BROKEN = VERSIONS[1], VERSIONS[2]


def release(status: str) -> Release:
    return Release("hello", "e-1", status, "c" * 40, "a subject", "PutActionRevision", 1.0, 9.0)


def outcome(version: Version, status: str, serving: str | None, **changed: Any) -> Outcome:
    tally = Tally(answers={serving or "v1": 100})
    made = Outcome(version, "v1", release(status), {"status": status}, {}, {}, 3.0, 5.0, tally, serving)
    return replace(made, **changed)


def test_a_version_that_serves_without_a_lost_request_is_as_it_should_be() -> None:
    good = outcome(GOOD, "Succeeded", "v2")
    assert (good.wrong, good.result) == ([], "live")


def test_a_lost_request_is_wrong_and_its_reason_is_told() -> None:
    lost = outcome(GOOD, "Succeeded", "v2", tally=Tally(answers={"v2": 9}, failures={"503 from the balancer": 1}))
    assert lost.wrong == ["1 failed requests: 503 from the balancer"]


def test_a_release_that_succeeded_while_another_version_answers_is_wrong() -> None:
    assert outcome(GOOD, "Succeeded", "v1").wrong == ["v1 answers instead of v2"]


def test_a_release_that_leaves_two_versions_answering_is_wrong() -> None:
    assert outcome(GOOD, "Succeeded", "v1 and v2").wrong == ["v1 and v2 answers instead of v2"]


def test_a_release_without_a_receipt_is_wrong() -> None:
    assert outcome(GOOD, "Succeeded", "v2", receipt=None).wrong == ["there is no receipt"]


def test_a_broken_version_that_was_rolled_back_is_as_it_should_be() -> None:
    refused = outcome(BROKEN, "Failed", "v1", rollback={"status": "Succeeded"}, live_after_s=None)
    assert (refused.wrong, refused.result) == ([], "rolled back, v1 serves")


def test_a_broken_version_that_was_not_rolled_back_is_wrong() -> None:
    assert outcome(BROKEN, "Failed", "v1").wrong == ["its rollback ended before it began, not Succeeded"]


def test_a_broken_version_that_answered_a_client_is_wrong() -> None:
    tally = Tally(answers={"v1": 90, "v3": 2})
    assert outcome(BROKEN, "Failed", "v1", rollback={"status": "Succeeded"}, tally=tally).wrong == [
        "2 clients got an answer of v3"
    ]


def test_a_broken_version_that_went_live_is_wrong_in_every_respect() -> None:
    assert len(outcome(BROKEN, "Succeeded", "v3", tally=Tally(answers={"v3": 1})).wrong) == 5

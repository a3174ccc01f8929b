"""The receipt as a page: it stands alone, says the same as the document, and lets nobody speak through it."""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.receipts import BEGAN, native, receipt
from turnout.cli.receipt import write_page
from turnout.cli.receipt_page import GENERATOR, render
from turnout.cli.receipt_page.picture import picture
from turnout.cli.receipt_page.times import Times
from turnout.errors import SetupError

HOSTILE = """</script><script>window.pwned = 1</script><img src=x onerror="window.pwned=2">'"&<!--"""


class Read(HTMLParser):
    """A page's elements with their attributes, and its text by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    @property
    def text(self) -> str:
        return " ".join(" ".join(data for tag, data in self.texts if tag not in ("script", "style")).split())


def read(document: dict[str, Any], now: float = BEGAN + 200) -> Read:
    return Read(render(document, now, UTC))


def drawn(document: dict[str, Any], now: float = BEGAN + 200) -> dict[str, Any]:
    made = picture(document, Times(document, now, UTC))
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    return made


def test_a_page_fetches_nothing_and_runs_no_script_but_ours() -> None:
    page = read(receipt())
    assert not [a for _, attributes in page.tags for a in ("src", "href", "srcset", "action") if a in attributes]
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert [a.get("type") for t, a in page.tags if t == "script"] == ["application/json", None, None]


def test_a_page_says_what_the_document_says() -> None:
    text = read(receipt()).text
    for said in (
        "Succeeded d-ABCDEF123",
        "shop / live",
        "Green serves",
        "requests 10,200",
        "failed or lost 2",
        "errors of the application (5xx) 3",
        "switch, to green's first answer 4.0 ms",
        "took 100 s",
        "blue what served: shop:1",
        "Blue was proven drained: no request in 251 ms.",
        "Long connections (cut): 7 moved, 3 left, 0 cut.",
        "0 of 2 tasks running",
        "10 % of the traffic goes to green",
        "commit 0123456789ab",
        "created 2026-09-21 14:13:19 UTC by user",
    ):
        assert said in text


def test_hooks_are_told_with_the_end_of_what_they_wrote_as_text() -> None:
    hook = {"event": "AfterInstall", "name": HOSTILE, "kind": "script", "status": "Failed", "executionId": "1"}
    hook |= {"errorCode": "ScriptFailed", "message": "it ended with 7", "output": HOSTILE, "startedAt": 1, "endedAt": 2}
    page = read(receipt(hooks=[hook]))
    assert f"Hook at AfterInstall: {HOSTILE} (script), Failed: it ended with 7" in page.text
    assert page.text.count(HOSTILE) >= 2


@pytest.mark.parametrize(
    "place",
    [
        "deploymentId", "applicationName", "deploymentGroupName", "deploymentConfigName", "description", "status",
        "trafficNote", "creator", "region", "commitId",
    ],
)  # fmt: skip
def test_whatever_a_user_names_stays_text(place: str) -> None:
    plain, hostile = read(receipt()), read(receipt(**{place: HOSTILE}))
    assert [tag for tag, _ in hostile.tags if tag in ("script", "img")] == ["script"] * 3
    if place != "trafficNote":
        assert len(hostile.tags) == len(plain.tags)
    if place != "commitId":  # of which 12 characters are shown
        assert HOSTILE in "".join(data for _, data in hostile.texts)


def test_reasons_errors_alarms_and_steps_stay_text() -> None:
    document = receipt(
        status="Failed",
        error={"code": HOSTILE, "message": HOSTILE},
        alarms=[{"name": HOSTILE, "at": BEGAN, "reason": HOSTILE}],
        rollback={"deploymentId": "d-2", "triggeringDeploymentId": None, "message": HOSTILE},
    )
    step = document["steps"][1]
    step |= {"name": HOSTILE, "status": HOSTILE, "error": {"code": HOSTILE, "message": HOSTILE}}
    step["waits"] = [{"at": BEGAN + 1, "why": HOSTILE}]
    document["blue"]["taskDefinition"] = document["blue"]["images"][0]["container"] = HOSTILE
    document["service"] = {"cluster": HOSTILE, "name": HOSTILE}
    document["samples"][0]["blue"]["running"] = HOSTILE
    page = read(document)
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"] * 3
    data = next(text for tag, text in page.texts if tag == "script")
    assert not re.search(r"[<>&]", data)
    assert json.loads(data)["steps"][1]["whys"] == [[1.0, HOSTILE]]


def test_the_page_of_a_running_deployment_says_so_and_what_it_waits_for() -> None:
    document = receipt(status="InProgress", isFinal=False, endedAt=None, traffic=None)
    document["steps"][2] |= {"status": "InProgress", "endedAt": None}
    page = read(document, now=BEGAN + 60).text
    assert "still running: the page shows it as of 2026-09-21 14:14:20 UTC" in page
    assert "It is at AllowTraffic: 10 % of the traffic goes to green." in page
    assert "so far 60 s" in page
    made = drawn(document, now=BEGAN + 60)
    assert made["end"] == 60
    assert made["steps"][2]["to"] == 60


def test_a_deployment_that_has_not_begun_and_one_of_ecs_without_traffic_have_a_page() -> None:
    waiting = receipt(
        status="Created", isFinal=False, startedAt=None, endedAt=None, blue=None, green=None, weights=[], traffic=None,
        switch=None, drained=None, longConnections=None, samples=[],
        steps=[{**step, "status": "Pending", "startedAt": None, "endedAt": None, "waits": []} for step in
               receipt()["steps"]],
    )  # fmt: skip
    assert "Under way: 0 % of the traffic goes to green." in read(waiting).text
    text = read(native()).text
    assert "prod / web" in text
    assert "The traffic was not measured." in text
    assert drawn(native())["spans"] == []


def test_receipts_of_former_versions_have_a_page_without_samples() -> None:
    former = receipt()
    del former["samples"], former["controller"], former["serviceDeploymentArn"]
    assert "requests 10,200" in read(former).text


def test_the_picture_has_rates_and_seconds_since_the_beginning() -> None:
    made = drawn(receipt())
    assert (made["began"], made["end"], made["zone"], made["offset"]) == (BEGAN, 100, "UTC", 0)
    assert made["weights"] == [[0, 100, 0], [20, 90, 10], [80, 0, 100]]
    assert made["spans"][1] == [2, 4]
    assert (made["blue"]["rate"][0], made["green"]["rate"][20]) == (100, 10)
    assert (made["green"]["failed"][30], made["green"]["errors"][30]) == (2, 3)
    assert made["green"]["p50"][0] is None
    assert made["steps"][1] == {
        "name": "Install", "isOurs": False, "status": "Succeeded", "from": 0.1, "to": 20,
        "whys": [[1, "0 of 2 tasks running"], [8, "2 of 2 tasks running, 0 of 2 healthy"]],
    }  # fmt: skip


def test_weights_that_are_not_of_a_hundred_are_told_in_percent() -> None:
    document = receipt(weights=[{"at": BEGAN, "blue": 995, "green": 5}, {"at": BEGAN + 1, "blue": 0, "green": 0}])
    assert drawn(document)["weights"] == [[0, 99.5, 0.5], [1, 0, 0]]


def test_times_of_day_are_told_in_one_zone_that_is_named() -> None:
    times = Times(receipt(), BEGAN, timezone(timedelta(hours=2), "CEST"))
    assert (times.full(BEGAN), times.offset_s, times.zone_name) == ("2026-09-21 16:13:20 CEST", 7200, "CEST")


def test_a_page_is_written_over_a_page_and_over_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_page(receipt(), None)
    made = tmp_path / "receipt-d-ABCDEF123.html"
    assert GENERATOR in made.read_text()
    assert capsys.readouterr().out == f"{made.name}\n{made.as_uri()}\n"
    write_page(receipt(status="Failed"), None)
    assert "Failed" in made.read_text()
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(SetupError, match=r"mine\.html is there already"):
        write_page(receipt(), Path("mine.html"))
    assert (tmp_path / "mine.html").read_text() == "mine"
    with pytest.raises(SetupError, match=r"cannot write the page to nowhere/a\.html: No such file"):
        write_page(receipt(), Path("nowhere/a.html"))
    capsys.readouterr()
    write_page(receipt(), Path("-"))
    assert capsys.readouterr().out.startswith("<!doctype html>")

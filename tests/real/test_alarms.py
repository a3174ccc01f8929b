"""Alarms on what real clients got: the deployment stops, and everybody is back on blue; no request is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.alarming import ERROR, SLOW, Shop
from tests.real.alarming import shop as opened
from turnout.cli.demo.scene import load_on

pytestmark = pytest.mark.real

BACK_WITHIN_S = 2.0
"""What is promised, on a machine that has nothing else to do."""
CANARY = ("--config", "CodeDeployDefault.ECSCanary10Percent15Minutes")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with opened(speed=20) as made:
        made.alarm("errors", "HTTPCode_Target_5XX_Count", 5, Statistic="Sum")
        made.alarm("slow", "TargetResponseTime", 0.3, ExtendedStatistic="p99")
        yield made


def check_stopped(shop: Shop, alarm: str) -> dict[str, Any]:
    """The last deployment was stopped by an alarm and rolled back; its receipt."""
    rollback, stopped = shop.deployments()[:2]
    assert (stopped["status"], stopped["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert stopped["rollbackInfo"]["rollbackDeploymentId"] == rollback["deploymentId"]
    assert (rollback["creator"], rollback["status"]) == ("codeDeployRollback", "Succeeded")
    receipt = shop.receipt(stopped["deploymentId"])
    ((told),) = receipt["alarms"]
    assert told["name"] == alarm
    changes: list[dict[str, Any]] = shop.clients.told(f"weights/{receipt['listener']['arn']}")
    green = receipt["green"]["targetGroup"]["arn"]
    last = changes[-1]
    assert last["weights"][green] == 0
    assert changes[-2]["weights"][green] > 0
    assert last["at"] >= told["at"] > changes[-2]["at"], "first the weights, then the alarm, then back"
    took_s = last["at"] - told["at"]
    print(f"{alarm}: weights back {took_s * 1000:.0f} ms after the alarm (promised: {BACK_WITHIN_S:g} s)")
    assert took_s < 30
    return receipt


def test_a_version_that_answers_errors_is_stopped_in_its_canary(shop: Shop) -> None:
    with load_on(shop.made, kept=8, fresh=2) as load:
        shop.watch("errors")
        code, said = shop.deploy("good", "self.send(200, f'hello {release.version}')")
        assert code == 0, said
        code, said = shop.deploy("bad", ERROR, *CANARY)
        assert code == 1, said
        receipt = check_stopped(shop, "errors")
        steps = {step["name"]: step["status"] for step in receipt["steps"]}
        assert steps["AllowTraffic"] == "Failed"
        assert receipt["traffic"]["green"]["errors"] >= 5
        assert receipt["traffic"]["blue"]["errors"] == 0
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert set(tally.errors) == {"bad 500"}
    assert tally.version == "good"
    assert tally.answers["good"] > tally.answers["bad"]


def test_a_version_that_is_slow_is_stopped_while_blue_is_kept(shop: Shop) -> None:
    """A bake: all of the traffic goes to green, and the alarm on p99 is waited for."""
    with load_on(shop.made, kept=8, fresh=2) as load:
        shop.watch("slow", kept_minutes=60)
        code, said = shop.deploy("slow", SLOW)
        assert code == 1, said
        receipt = check_stopped(shop, "slow")
        assert {"blue": 0, "green": 100}.items() <= receipt["weights"][-1].items()
        assert receipt["alarms"][0]["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [0.")
    tally = load.tally()
    assert dict(tally.failures) == {}
    assert dict(tally.errors) == {}
    assert set(tally.answers) >= {"slow"}
    assert tally.version != "slow"


def test_what_is_published_is_what_clients_got_also_over_a_kill_of_the_engine(shop: Shop) -> None:
    metrics = ("RequestCount", "HTTPCode_Target_2XX_Count")
    before = [shop.sum_of(metric) for metric in metrics]
    with load_on(shop.made, kept=8, fresh=2) as load:
        shop.until(lambda: load.tally().requests > 200)
        shop.kill()
        killed_at = load.tally().requests
        shop.until(lambda: load.tally().requests > killed_at + 200)
        shop.start()
        shop.until(lambda: load.tally().requests > killed_at + 400)
    tally = load.tally()
    assert dict(tally.failures) == {}
    shop.until(lambda: [shop.sum_of(m) - was for m, was in zip(metrics, before, strict=True)] == [tally.requests] * 2)

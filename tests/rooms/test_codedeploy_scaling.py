"""A service that is scaled while its traffic shifts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.bluegreen import A, B
from tests.rooms.deploying import Deploying

CANARY = "CodeDeployDefault.ECSCanary10Percent15Minutes"
BACK = {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    shop.create_group(autoRollbackConfiguration=BACK)
    yield shop
    shop.close()


def test_a_service_that_is_scaled_in_a_canary_and_becomes_steady_is_shifted(shop: Deploying) -> None:
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    shop.ecs.capacity, shop.ecs.desired = 2, 5
    shop.wake_green()
    shop.tick(240)
    assert shop.info(deployment_id)["status"] == "InProgress"
    assert shop.balancer.weights() == {B: 10, A: 90}
    receipt = shop.receipts.find("us-east-1", deployment_id)
    assert receipt is not None
    (shift,) = [step for step in receipt["steps"] if step["name"] == "AllowTraffic"]
    whys = [wait["why"] for wait in shift["waits"]]
    assert "10 % of the traffic goes to green; scaling: 2 of 5 tasks of blue run, 2 of 5 tasks of green run" in whys
    shop.ecs.capacity = 100
    shop.tick(900)
    assert shop.info(deployment_id)["status"] == "Succeeded"


def test_a_service_that_is_not_steady_five_minutes_after_it_was_scaled_fails_the_deployment(shop: Deploying) -> None:
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    shop.ecs.capacity, shop.ecs.desired = 2, 5
    shop.wake_green()
    shop.tick(150)
    shop.reboot()
    shop.tick(160)
    info = shop.info(deployment_id)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "TIMEOUT")
    assert (
        "steady state after it was scaled to 5 tasks. This time out period is 5 minutes"
        in (info["errorInformation"]["message"])
    )
    assert shop.balancer.weights() == {A: 100, B: 0}


def test_a_task_that_is_replaced_in_a_canary_is_no_scaling(shop: Deploying) -> None:
    deployment_id = shop.deploy(deploymentConfigName=CANARY)
    shop.tick(90)
    shop.ecs.capacity = 1
    shop.wake_green()
    shop.tick(600)
    assert shop.info(deployment_id)["status"] == "InProgress"

"""Samples of a deployment: what every colour carried, span by span, whatever becomes of the engine meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.deploying import APPSPEC, Deploying
from tests.rooms.shifting import HOOK, ROLE, Shop
from turnout.loadbalancer.picture import group_name
from turnout.loadbalancer.proxy import GroupCounters
from turnout.samples import EVERY_S, MOST

REGION = "us-east-1"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deploying]:
    shop = Deploying(tmp_path)
    yield shop
    shop.close()


def sample(shop: Any, times: int = 1, every_s: float = EVERY_S) -> None:
    """Time passes, and what is due is sampled."""
    samples = shop.samples
    for _ in range(times):
        shop.tick(every_s)
        shop.run(samples.take())


def test_a_deployment_is_sampled_while_it_runs_and_its_receipt_keeps_the_samples(shop: Deploying) -> None:
    shop.create_group(wait_minutes=1)
    deployment_id = shop.deploy()
    sample(shop, 8)
    running = shop.receipts.find(REGION, deployment_id)
    assert len(running["samples"]) == 8
    assert running["traffic"]["blue"]["requests"] == 80
    blue, green = (running["samples"][-1][colour] for colour in ("blue", "green"))
    assert (blue["running"], blue["healthy"], green["running"], green["healthy"]) == (2, 2, 2, 2)
    assert blue["inFlight"] == 2
    shop.tick(200)
    final = shop.receipts.find(REGION, deployment_id)
    assert final["isFinal"]
    assert final["samples"][:8] == running["samples"]
    assert len(final["samples"]) == 9, "a last one when it ended"
    assert final["traffic"]["blue"]["requests"] == 90
    spans = [(one["startedAt"], one["endedAt"]) for one in final["samples"]]
    assert all(ended == started for (_, ended), (started, _) in pairwise(spans))
    assert shop.store.all("SELECT * FROM samples") == shop.store.all("SELECT * FROM sampled") == []


def test_nothing_is_counted_twice_or_left_out_when_the_engine_is_killed(world: World) -> None:
    shop = Shop(world)
    shop.create()
    blue = group_name(shop.blue)
    counted = world.proxy.counted
    counted[blue] = GroupCounters(1000, 1000)
    arn = shop.deploy()
    world.tick(1)
    for requests in (1100, 1250):
        counted[blue] = GroupCounters(requests, requests)
        world.tick(1)
        world.run(world.engine.samples.take())
    counted[blue] = GroupCounters(1300, 1300)
    world.reboot()
    world.tick(1)
    world.run(world.engine.samples.take())
    receipt = world.engine.receipts.find(REGION, arn.rsplit("/", 1)[1])
    assert [one["blue"]["requests"] for one in receipt["samples"]] == [100, 150, 50]
    assert receipt["traffic"]["blue"]["requests"] == 300


def test_what_envoy_carried_before_it_was_started_again_is_not_forgotten(world: World) -> None:
    shop = Shop(world)
    shop.create()
    blue = group_name(shop.blue)
    arn = shop.deploy()
    world.tick(1)
    world.proxy.counted[blue] = GroupCounters(100, 100)
    world.tick(1)
    world.run(world.engine.samples.take())
    world.proxy.epoch = "2"
    world.proxy.counted[blue] = GroupCounters(7, 7)
    world.tick(1)
    world.run(world.engine.samples.take())
    traffic = world.engine.receipts.find(REGION, arn.rsplit("/", 1)[1])["traffic"]
    assert (traffic["blue"]["requests"], traffic["blue"]["isWhole"]) == (107, False)


def test_an_hour_of_bake_leaves_no_more_samples_than_a_minute(shop: Deploying) -> None:
    shop.create_group(wait_minutes=60)
    deployment_id = shop.deploy()
    sample(shop, MOST - 1)
    assert len(shop.receipts.find(REGION, deployment_id)["samples"]) == MOST - 1
    sample(shop)
    receipt = shop.receipts.find(REGION, deployment_id)
    assert len(receipt["samples"]) == MOST / 2
    assert receipt["traffic"]["blue"]["requests"] == 10 * MOST
    sample(shop, 2)
    spans = [one["endedAt"] - one["startedAt"] for one in shop.receipts.find(REGION, deployment_id)["samples"]]
    assert spans == [2 * EVERY_S] * (MOST // 2 + 1), "and they are taken more rarely from then on"


def test_a_silent_balancer_neither_ends_the_sampling_nor_the_deployment(shop: Deploying) -> None:
    shop.create_group()
    deployment_id = shop.deploy()
    sample(shop, 2)
    shop.balancer.is_silent = True
    shop.tick(16)  # the drain is over, but not proven
    shop.balancer.is_silent = False
    shop.tick(20)
    shop.balancer.is_silent = True
    shop.tick(60)
    receipt = shop.receipts.find(REGION, deployment_id)
    assert receipt["status"] == "Succeeded"
    assert receipt["trafficNote"] == "Envoy does not answer"
    assert receipt["traffic"]["blue"] == {
        "requests": 20, "failed": 0, "errors": 2, "p50Ms": 2.5, "p99Ms": 9.0, "isWhole": False,
    }  # fmt: skip


def test_the_loop_sleeps_until_a_deployment_begins_and_again_when_it_has_ended(shop: Deploying) -> None:
    shop.create_group(wait_minutes=1)
    taken: list[float] = []
    third = asyncio.Event()
    take = shop.samples.take

    async def counted() -> None:
        await take()
        taken.append(shop.clock.now())
        shop.clock.advance(EVERY_S)
        if len(taken) == 3:
            third.set()

    shop.samples.take = counted  # type: ignore[method-assign]

    async def story() -> str:
        loop = asyncio.create_task(shop.samples.run_forever())
        for _ in range(5):
            await asyncio.sleep(0)
        assert taken == []
        deployment_id: str = (
            await shop.aws.call(
                "codedeploy",
                "CreateDeployment",
                REGION,
                applicationName="shop",
                deploymentGroupName="live",
                revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": APPSPEC}},
            )
        )["deploymentId"]
        await shop.runner.tick()
        shop.clock.advance(EVERY_S)
        async with asyncio.timeout(10):
            await third.wait()
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
        return deployment_id

    deployment_id = shop.run(story())
    assert len(shop.receipts.find(REGION, deployment_id)["samples"]) >= 3


def test_the_loop_goes_on_after_the_database_could_not_be_read(
    shop: Deploying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnout.samples.AFTER_ERROR_S", 0.0)
    again = asyncio.Event()
    one, asked = shop.store.one, []

    def unreadable(sql: str, *parameters: Any) -> Any:
        if "min(taken_at" not in sql:
            return one(sql, *parameters)
        asked.append(sql)
        if len(asked) == 1:
            raise sqlite3.OperationalError("disk I/O error")
        again.set()
        return None

    monkeypatch.setattr(shop.store, "one", unreadable)

    async def story() -> None:
        loop = asyncio.create_task(shop.samples.run_forever())
        async with asyncio.timeout(10):
            await again.wait()
        assert not loop.done()
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop

    shop.run(story())


def test_a_deployment_that_ecs_shifts_leaves_a_receipt_of_the_same_shape(world: World, shop: Deploying) -> None:
    shop.create_group()
    other = shop.deploy()
    shop.tick(60)
    native = Shop(world)
    native.create("CANARY", bakeTimeInMinutes=1)
    arn = native.deploy()
    world.tick(1)
    deployment_id = arn.rsplit("/", 1)[1]
    running = world.engine.receipts.find(REGION, deployment_id)
    assert (running["isFinal"], running["status"], running["controller"]) == (False, "IN_PROGRESS", "ECS")
    assert world.engine.receipts.list(REGION)[0]["deploymentId"] == deployment_id
    world.tick(900)
    receipt = world.engine.receipts.find(REGION, deployment_id)
    assert receipt.keys() == shop.receipts.find(REGION, other).keys()
    assert (receipt["isFinal"], receipt["status"], receipt["error"]) == (True, "SUCCESSFUL", None)
    assert receipt["deploymentConfigName"] == "CANARY"
    assert receipt["serviceDeploymentArn"] == arn
    assert [(w["blue"], w["green"]) for w in receipt["weights"]] == [(100, 0), (95, 5), (0, 100)]
    assert receipt["switch"]["ms"] == 0.0
    assert (receipt["drained"]["colour"], receipt["drained"]["isProven"]) == ("blue", True)
    assert receipt["blue"]["targetGroup"]["name"] == "blue"
    assert receipt["green"]["images"][0]["image"] == "shop:2"
    assert receipt["traffic"]["green"]["isWhole"]
    shift = next(step for step in receipt["steps"] if step["name"] == "PRODUCTION_TRAFFIC_SHIFT 5 % bake")
    assert shift["waits"][0]["why"].startswith("5 % of the traffic goes to the new revision")


def test_the_hooks_of_a_deployment_of_ecs_are_in_its_receipt_with_what_they_wrote(world: World) -> None:
    """A function that is asked twice, a pause that a person ends, and a function that refuses."""
    shop = Shop(world)
    late, pause = {"lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}, {"lifecycleStages": ["POST_SCALE_UP"]}
    last = {"lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"]}
    function = {"hookTargetArn": HOOK, "roleArn": ROLE}
    shop.create(lifecycleHooks=[function | late, {"targetType": "PAUSE"} | pause, function | last])
    wrote = "checking\n1 page is wrong"
    shop.functions.wrote = f"{wrote}\n"
    shop.functions.answers = [{"hookStatus": "IN_PROGRESS"}, {"hookStatus": "SUCCEEDED"}, {"hookStatus": "FAILED"}]
    arn = shop.deploy()
    deployment_id = arn.rsplit("/", 1)[1]
    world.tick(10)
    (paused,) = world.engine.receipts.find(REGION, deployment_id)["hooks"]
    assert (paused["event"], paused["kind"], paused["status"]) == ("POST_SCALE_UP", "pause", "AWAITING_ACTION")
    shop.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=paused["executionId"])
    world.tick(900)
    receipt = world.engine.receipts.find(REGION, deployment_id)
    assert (receipt["isFinal"], receipt["status"]) == (True, "ROLLBACK_SUCCESSFUL")
    assert [(h["event"], h["name"], h["kind"], h["status"], h["errorCode"], h["output"]) for h in receipt["hooks"]] == [
        ("POST_SCALE_UP", "PAUSE", "pause", "SUCCEEDED", None, ""),
        ("POST_TEST_TRAFFIC_SHIFT", "check", "lambda", "SUCCEEDED", None, wrote),
        ("POST_PRODUCTION_TRAFFIC_SHIFT", "check", "lambda", "FAILED", "HOOK_EXECUTION_FAILURE", wrote),
    ]
    assert "returned FAILED" in receipt["hooks"][2]["message"]
    assert receipt["hooks"][0]["message"] == "CONTINUE was asked for"
    assert all(hook["startedAt"] <= hook["endedAt"] for hook in receipt["hooks"])


def test_the_rollback_of_ecs_is_a_part_of_its_deployments_receipt(world: World) -> None:
    native = Shop(world)
    native.create()
    native.sick(native.green)
    deployment_id = native.deploy().rsplit("/", 1)[1]
    world.tick(900)
    receipt = world.engine.receipts.find(REGION, deployment_id)
    assert (receipt["isFinal"], receipt["status"]) == (True, "ROLLBACK_SUCCESSFUL")
    assert "does not become healthy" in receipt["error"]["message"]
    assert "does not become healthy" in receipt["rollback"]["message"]
    assert [s["name"] for s in receipt["steps"] if s["name"].startswith("rollback: ")] == [
        "rollback: PRODUCTION_TRAFFIC_SHIFT",
        "rollback: CLEAN_UP proof",
        "rollback: CLEAN_UP",
    ]
    assert receipt["drained"]["colour"] == "green"
    assert world.engine.receipts.list(REGION)[0]["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_rolling_update_leaves_a_receipt_that_tells_its_tasks(world: World) -> None:
    shop = Shop(world)
    shop.ecs.create_service(cluster="shop", serviceName="web", taskDefinition=shop.register(), desiredCount=2)
    world.tick(60)
    shop.deploy()
    world.run(world.engine.samples.take())
    world.tick(60)
    newest, first = world.engine.receipts.list(REGION)
    assert (newest["deploymentConfigName"], newest["status"], newest["isFinal"]) == ("ROLLING", "SUCCESSFUL", True)
    assert first["blue"] is None, "it replaced nothing"
    receipt = world.engine.receipts.find(REGION, newest["deploymentId"])
    assert receipt["traffic"] is None
    last = receipt["samples"][-1]
    assert last["green"] == {"running": 2, "desired": 2, "healthy": None}
    assert last["blue"]["running"] == 0

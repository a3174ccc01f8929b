"""A service that scales by what real clients ask for: out under load, with a release in the middle, and in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.real.alarming import GREETING, Shop
from tests.real.alarming import shop as opened
from turnout.cli.demo.scene import load_on
from turnout.names import resource_of

pytestmark = pytest.mark.real

TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/hello/hello",
    "ScalableDimension": "ecs:service:DesiredCount",
}


CANARY = ("--config", "CodeDeployDefault.ECSCanary10Percent15Minutes")


def counts(shop: Shop) -> tuple[int, int]:
    """(desired, running) tasks."""
    (service,) = shop.clients("ecs").describe_services(cluster="hello", services=["hello"])["services"]
    return service["desiredCount"], service["runningCount"]


def activities(shop: Shop) -> list[dict[str, Any]]:
    found = shop.clients("application-autoscaling").describe_scaling_activities(ServiceNamespace="ecs")
    listed: list[dict[str, Any]] = found["ScalingActivities"]
    return listed


def track(shop: Shop, target: float) -> None:
    """Between 1 and 4 tasks, by requests in a minute of each."""
    (group,) = shop.clients("elbv2").describe_target_groups(Names=["hello-blue"])["TargetGroups"]
    label = f"{shop.balancer}/{resource_of(group['TargetGroupArn'])}"
    metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
    client = shop.clients("application-autoscaling")
    client.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=4)
    client.put_scaling_policy(
        **TARGET,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": target,
            "PredefinedMetricSpecification": metric,
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 60,
        },
    )


def test_a_service_scales_out_in_the_middle_of_a_canary_and_in_afterwards_and_loses_nothing() -> None:
    """A minute takes two seconds: ten clients that rest 40 ms bring some 400 requests in it."""
    with opened(speed=30) as shop, ThreadPoolExecutor() as pool:
        before, _ = counts(shop)
        assert before < 4
        with load_on(shop.made, kept=8, fresh=2) as load:
            release = pool.submit(shop.deploy, "second", GREETING, *CANARY)
            shop.until(lambda: "second" in load.tally().answers)
            track(shop, 20.0)
            shop.until(lambda: counts(shop)[0] == 4)
            assert shop.deployments()[0]["status"] == "InProgress"
            code, said = release.result()
            assert code == 0, said
            shop.until(lambda: counts(shop) == (4, 4))
            assert load.tally().version == "second"
        assert dict(load.tally().failures) == {}
        with load_on(shop.made, kept=1, fresh=0) as load:
            # A tenth of the load is left: the service follows it down, by the group that serves now.
            shop.until(lambda: counts(shop)[0] <= 2, within_s=180)
            shop.until(lambda: counts(shop)[1] <= 2)
        tally = load.tally()
        assert dict(tally.failures) == {}
        assert set(tally.answers) == {"second"}
        done = activities(shop)
        assert (done[-1]["StatusCode"], "AlarmHigh" in done[-1]["Cause"]) == ("Successful", True)
        assert "AlarmLow" in done[0]["Cause"]
        for activity in reversed(done):
            print(activity["Description"], activity["StatusCode"], activity["Cause"])

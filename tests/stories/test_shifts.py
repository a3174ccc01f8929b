"""How traffic is shifted: AWS's five configurations for ECS and custom ones, all at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from tests.stories.bluegreen import BlueGreen
from tests.stories.stage import ALL_AT_ONCE, Stage

LINEAR_30 = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 30, "linearInterval": 2}}
CANARY_33 = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 33, "canaryInterval": 3}}
CUSTOM: dict[str, dict[str, Any]] = {"linear-30": LINEAR_30, "canary-33": CANARY_33}

SHAPES: dict[str, tuple[list[int], int]] = {
    ALL_AT_ONCE: ([100], 0),
    "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": ([*range(10, 101, 10)], 1),
    "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": ([*range(10, 101, 10)], 3),
    "CodeDeployDefault.ECSCanary10Percent5Minutes": ([10, 100], 5),
    "CodeDeployDefault.ECSCanary10Percent15Minutes": ([10, 100], 15),
    "linear-30": ([30, 60, 90, 100], 2),
    "canary-33": ([33, 100], 3),
}
"""Configuration → green's percentages in their order, and the minutes between two of them."""


@pytest.fixture(scope="module")
def deployed(stage: Stage) -> dict[str, tuple[BlueGreen, str]]:
    """Configuration → a service that was deployed with it under load, and the deployment."""
    for name, routing in CUSTOM.items():
        stage.clients("codedeploy").create_deployment_config(
            deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig=routing
        )
    made = {config: BlueGreen(stage) for config in SHAPES}
    with ExitStack() as stack:
        for service in made.values():
            stack.enter_context(service.ready().load(kept=3, fresh=1, rest_s=0.1))
        ids = {config: service.deploy("v2", config) for config, service in made.items()}
        for config, service in made.items():
            service.wait(ids[config])
    return {config: (service, ids[config]) for config, service in made.items()}


@pytest.mark.parametrize("config", SHAPES)
def test_a_configuration_shifts_in_its_shape_and_loses_nothing(
    deployed: dict[str, tuple[BlueGreen, str]], stage: Stage, config: str
) -> None:
    service, deployment = deployed[config]
    shares, minutes = SHAPES[config]
    receipt = service.receipt(deployment)
    assert receipt["deploymentConfigName"] == config
    shifts = receipt["weights"][1:]
    assert [(shift["green"], shift["blue"]) for shift in shifts] == [(share, 100 - share) for share in shares]
    began = next(step["startedAt"] for step in receipt["steps"] if step["name"] == "AllowTraffic")
    due = [began + number * minutes * 60 / stage.speed for number in range(len(shares))]
    early = [shift["at"] - at for shift, at in zip(shifts, due, strict=True)]
    assert min(early) > -0.01, "no increment comes before its time"
    assert sum(flow["failed"] for flow in receipt["traffic"].values()) == 0
    assert receipt["traffic"]["green"]["requests"] > 0
    assert service.weights() == {"a": 0, "b": 100}
    assert service.task_sets() == [("PRIMARY", "b")]


def test_the_next_deployment_goes_the_other_way(deployed: dict[str, tuple[BlueGreen, str]]) -> None:
    service, _ = deployed[ALL_AT_ONCE]
    with service.load() as load:
        deployment = service.deploy("v3")
        service.wait(deployment)
        service.until_all_is(load, "v3")
    assert service.receipt(deployment)["blue"]["targetGroup"]["arn"] == service.b
    assert service.weights() == {"a": 100, "b": 0}
    assert service.task_sets() == [("PRIMARY", "a")]

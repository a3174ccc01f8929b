"""What a deployment group of CodeDeploy becomes when ECS shifts its service by itself."""

from typing import Any

import pytest

from turnout.cli.difference import difference
from turnout.cli.migration import action_for_ecs, configuration_for, notes_for
from turnout.cli.shifts import Shift

FUNCTIONS = "arn:aws:lambda:eu-west-1:123456789012:function:"
ROLE = "arn:aws:iam::123456789012:role/ecs"
LINEAR = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 10, "linearInterval": 3}}
CANARY = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 25, "canaryInterval": 5}}


def made(group: dict[str, Any], routing: dict[str, Any], *hooks: tuple[str, str]) -> dict[str, Any]:
    return configuration_for(group, Shift.of_config(routing), hooks, ROLE, FUNCTIONS)


@pytest.mark.parametrize(
    ("routing", "strategy"),
    [
        ({"type": "AllAtOnce"}, {"strategy": "BLUE_GREEN"}),
        (
            CANARY,
            {
                "strategy": "CANARY",
                "canaryConfiguration": {"canaryPercent": 25.0, "canaryBakeTimeInMinutes": 5},
            },
        ),
        (
            LINEAR,
            {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 3}},
        ),
    ],
)
def test_each_deployment_configuration_has_a_strategy(routing: dict[str, Any], strategy: dict[str, Any]) -> None:
    assert made({}, routing) == {**strategy, "bakeTimeInMinutes": 0}


def test_hooks_become_lifecycle_hooks_at_the_stage_that_corresponds() -> None:
    found = made({}, CANARY, ("AfterAllowTestTraffic", "look"), ("BeforeAllowTraffic", FUNCTIONS + "ask"))
    hooks = [(hook["hookTargetArn"], hook["lifecycleStages"]) for hook in found["lifecycleHooks"]]
    assert hooks == [
        (FUNCTIONS + "look", ["POST_TEST_TRAFFIC_SHIFT"]),
        (FUNCTIONS + "ask", ["PRE_PRODUCTION_TRAFFIC_SHIFT"]),
    ]
    assert {hook["roleArn"] for hook in found["lifecycleHooks"]} == {ROLE}
    (note,) = notes_for({}, Shift.of_config(CANARY), [("AfterInstall", "look")])
    assert "return" in note


def test_alarms_and_the_way_back_come_along() -> None:
    group = {
        "alarmConfiguration": {"enabled": True, "alarms": [{"name": "errors"}]},
        "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]},
    }
    found = made(group, CANARY)
    assert found["alarms"] == {"alarmNames": ["errors"], "enable": True, "rollback": True}
    assert found["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}


def test_what_ecs_cannot_do_is_said() -> None:
    ending = {"action": "KEEP_ALIVE", "terminationWaitTimeInMinutes": 2880}
    group = {
        "blueGreenDeploymentConfiguration": {"terminateBlueInstancesOnDeploymentSuccess": ending},
        "triggerConfigurations": [{"triggerName": "mail", "triggerTargetArn": "arn:aws:sns:eu-west-1:1:team"}],
    }
    by_one = Shift("TimeBasedLinear", 1.0, 1)
    said = " ".join(notes_for(group, by_one, []))
    assert all(word in said for word in ("KEEP_ALIVE", "1440 min", "3 %", "EventBridge"))
    assert configuration_for(group, by_one, [], ROLE, FUNCTIONS)["linearConfiguration"]["stepPercent"] == 3.0


def test_an_action_of_a_pipeline_reads_the_same_artifact() -> None:
    kind = {"category": "Deploy", "owner": "AWS", "provider": "CodeDeployToECS", "version": "1"}
    inputs = [{"name": "Source"}, {"name": "Build"}]
    action = {"name": "Go", "actionTypeId": kind, "runOrder": 2, "inputArtifacts": inputs}
    found = action_for_ecs({**action, "configuration": {"Image1ArtifactName": "Build"}}, "prod", "web")
    assert (found["actionTypeId"]["provider"], found["inputArtifacts"], found["runOrder"]) == (
        "ECS",
        [{"name": "Build"}],
        2,
    )


def test_a_diff_tells_nothing_of_what_aws_fills_in_or_orders_otherwise() -> None:
    port = {"containerPort": 80, "hostPort": 0, "protocol": "tcp"}
    before = {"cpu": "256", "containerDefinitions": [{"name": "a", "cpu": 0, "portMappings": [port], "links": []}]}
    after = {"containerDefinitions": [{"name": "a", "portMappings": [{"containerPort": 80}]}], "cpu": "256"}
    assert difference(before, after, ("now", "then")) == []
    changed = [line for line in difference(before, {**after, "cpu": "512"}, ("now", "then")) if "cpu" in line]
    assert changed == ['-  "cpu": "256"', '+  "cpu": "512"']

"""CodePipeline's ECS action through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import actions_of, executions_of
from tests.fakes.seed import action, build, pipeline, source


class RollingEcs:
    """A service whose rollout the test ends."""

    def __init__(self, yard: PipelineWorld) -> None:
        self._yard = yard
        self.definitions: dict[str, dict[str, Any]] = {}
        self.caused: dict[str, str] = {}
        self.deployments: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []
        container = {"name": "web", "image": "repo@sha256:0", "memory": 64}
        first = self._register({"family": "web", "containerDefinitions": [container, {**container, "name": "side"}]})
        self._deploy(first, "COMPLETED")

    def _register(self, given: dict[str, Any]) -> str:
        arn = f"arn:aws:ecs:us-east-1:000000000000:task-definition/web:{len(self.definitions) + 1}"
        self.definitions[arn] = {**given, "taskDefinitionArn": arn, "revision": 1, "status": "ACTIVE"}
        return arn

    def _deploy(self, arn: str, state: str) -> None:
        for deployment in self.deployments:
            deployment["status"] = "ACTIVE"
        counts = {"desiredCount": 1, "runningCount": 0}
        name = f"ecs-svc/{len(self.deployments) + 1}"
        self.deployments.insert(
            0, {"id": name, "taskDefinition": arn, "status": "PRIMARY", "rolloutState": state, **counts}
        )

    def describe_services(self, call: Any) -> Any:
        arn = "arn:aws:ecs:us-east-1:000000000000:service/c/web"
        now = self.deployments[0]["taskDefinition"]
        found = {"serviceArn": arn, "taskDefinition": now, "deployments": self.deployments}
        return {"services": [found] if call["services"] == ["web"] else []}

    def describe_task_definition(self, call: Any) -> Any:
        return {"taskDefinition": json.loads(json.dumps(self.definitions[call["taskDefinition"]]))}

    def register_task_definition(self, call: Any) -> Any:
        assert not {"taskDefinitionArn", "revision", "status"} & call.input.keys()
        if call.cause not in self.caused:
            self.caused[call.cause] = self._register(call.input)
        return {"taskDefinition": {"taskDefinitionArn": self.caused[call.cause]}}

    def update_service(self, call: Any) -> Any:
        if call["taskDefinition"] != self.deployments[0]["taskDefinition"]:
            self._deploy(call["taskDefinition"], "IN_PROGRESS")
        return {}

    def list_service_deployments(self, call: Any) -> Any:
        return {"serviceDeployments": self.outcomes}

    def roll_back(self) -> None:
        """As the circuit breaker does: the former deployment is PRIMARY again, nothing is left of the other."""
        number = self.deployments[0]["id"].removeprefix("ecs-svc/")
        reason = "ECS deployment circuit breaker: tasks failed to start."
        revision = f"arn:aws:ecs:us-east-1:000000000000:service-revision/c/web/{number}"
        self.outcomes = [
            {"targetServiceRevisionArn": revision, "status": "ROLLBACK_SUCCESSFUL", "statusReason": reason}
        ]
        self.deployments.pop(0)
        self.deployments[0]["status"] = "PRIMARY"
        self.end("COMPLETED")

    def end(self, state: str) -> None:
        self.deployments[0] |= {"rolloutState": state, "rolloutStateReason": f"it is {state}"}
        topic = "ecs.taskset/us-east-1/arn:aws:ecs:us-east-1:000000000000:task-set/c/web/ecs-svc/2"
        with self._yard.store.transaction() as tx:
            self._yard.runs.wake(tx, topic)
        self._yard.tick()


@pytest.fixture
def ecs(yard: PipelineWorld) -> RollingEcs:
    made = RollingEcs(yard)
    yard.aws.own("ecs", made)
    return made


def deploying(yard: PipelineWorld, definitions: str | None, **configuration: str) -> Any:
    """A pipeline whose build left `definitions` behind as imagedefinitions.json."""
    known = {"ClusterName": "c", "ServiceName": "web", **configuration}
    stage = action("Deploy", "ECS", "Deploy", known, input=["BuildArtifact"])
    client = yard.boto("codepipeline")
    client.create_pipeline(pipeline=pipeline(("Source", [source()]), ("Build", [build()]), ("Deploy", [stage])))
    yard.tick()
    yard.codebuild.succeed("web:1", {"a": "b"} if definitions is None else {"imagedefinitions.json": definitions})
    return client


NEW = json.dumps([{"name": "web", "imageUri": "repo@sha256:1"}])


def test_a_service_is_updated_to_the_new_image_and_waited_for(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW)
    registered = list(ecs.definitions.values())[1]["containerDefinitions"]
    assert [container["image"] for container in registered] == ["repo@sha256:1", "repo@sha256:0"]
    assert actions_of(client)["Deploy"]["status"] == "InProgress"
    assert actions_of(client)["Deploy"]["externalExecutionId"] == "ecs-svc/2"
    ecs.end("COMPLETED")
    assert executions_of(client) == ["Succeeded"]


def test_a_rollout_that_fails_is_red(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW)
    ecs.end("FAILED")
    assert "it is FAILED" in actions_of(client)["Deploy"]["errorDetails"]["message"]


def test_a_rollout_that_was_rolled_back_is_red(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW)
    ecs.roll_back()
    message = actions_of(client)["Deploy"]["errorDetails"]["message"]
    assert message == "Deployment ecs-svc/2 of web failed: ECS deployment circuit breaker: tasks failed to start."


def test_a_deployment_that_another_one_replaced_is_red(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW)
    ecs._deploy(next(iter(ecs.definitions)), "IN_PROGRESS")
    ecs.end("IN_PROGRESS")
    assert "Another deployment" in actions_of(client)["Deploy"]["errorDetails"]["message"]


def test_a_rollout_has_the_time_that_its_configuration_gives(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW, DeploymentTimeout="5")
    yard.tick(299)
    assert actions_of(client)["Deploy"]["status"] == "InProgress"
    yard.tick(1)
    assert "timed out after 5 minutes" in actions_of(client)["Deploy"]["errorDetails"]["message"]


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (None, "Did not find the image definition file imagedefinitions.json in the input artifacts ZIP file."),
        ("{}x", "imagedefinitions.json is not like"),
        ('[{"name": "web"}]', "imagedefinitions.json is not like"),
        ('[{"name": "other", "imageUri": "x"}]', "has no container other, only web, side"),
    ],
)
def test_a_wrong_image_definition_file_is_told(
    yard: PipelineWorld, ecs: RollingEcs, definitions: str | None, message: str
) -> None:
    client = deploying(yard, definitions)
    assert message in actions_of(client)["Deploy"]["errorDetails"]["message"]
    assert len(ecs.definitions) == 1


def test_a_service_that_does_not_exist_is_told(yard: PipelineWorld, ecs: RollingEcs) -> None:
    client = deploying(yard, NEW, ServiceName="lost")
    assert "no service lost in cluster c" in actions_of(client)["Deploy"]["errorDetails"]["message"]

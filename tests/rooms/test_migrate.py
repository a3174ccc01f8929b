"""`turnout migrate`: from CodeDeploy to ECS's own blue/green and back, by AWS's API alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.rooms.test_codedeploy_together import Stack
from tests.rooms.test_verbs import sets
from tests.rooms.verbs import Verbs
from turnout.cli.infrastructure_role import TRUST
from turnout.cli.watching import Exit

GROUP = {"applicationName": "shop", "currentDeploymentGroupName": "live"}


@pytest.fixture
def verbs(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Verbs:
    return Verbs(world, monkeypatch, capsys, tmp_path)


@pytest.fixture
def stack(world: World) -> Stack:
    stack = Stack(world)
    world.boto("iam").create_role(RoleName="web-ecs", AssumeRolePolicyDocument=json.dumps(TRUST))
    return stack


def service(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.ecs.describe_services(cluster="prod", services=["web"])["services"][0]
    return found


def pipeline(world: World) -> None:
    def stage(name: str, category: str, provider: str, **configuration: str) -> dict[str, Any]:
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        action: dict[str, Any] = {"name": name, "actionTypeId": kind, "configuration": configuration}
        action["outputArtifacts" if category == "Source" else "inputArtifacts"] = [{"name": "code"}]
        return {"name": name, "actions": [action]}

    world.boto("s3").create_bucket(Bucket="artifacts")
    world.boto("codecommit").create_repository(repositoryName="web")
    files = {"TaskDefinitionTemplateArtifact": "code", "AppSpecTemplateArtifact": "code"}
    files |= {"ApplicationName": "shop", "DeploymentGroupName": "live"}
    world.boto("codepipeline").create_pipeline(
        pipeline={
            "name": "web",
            "roleArn": "arn:aws:iam::000000000000:role/pipeline",
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "stages": [
                stage("Source", "Source", "CodeCommit", RepositoryName="web", BranchName="main"),
                stage("Deploy", "Deploy", "CodeDeployToECS", **files),
            ],
        }
    )


def deploy_action(world: World) -> dict[str, Any]:
    declared = world.boto("codepipeline").get_pipeline(name="web")["pipeline"]
    action: dict[str, Any] = declared["stages"][1]["actions"][0]
    return action


def test_a_rehearsal_shows_the_diff_and_each_step_with_its_way_back_and_changes_nothing(
    stack: Stack, verbs: Verbs
) -> None:
    before = service(stack)
    status, said = verbs("migrate")
    assert status == 0, said
    assert '+    "type": "ECS"' in said
    assert "`turnout migrate --back`" in said
    assert service(stack) == before
    assert not {name for name, _ in verbs.clients.calls if name.startswith(("Create", "Update", "Modify"))}


def test_a_service_is_led_to_ecs_with_its_pipeline_and_released_there_by_the_same_verb(
    stack: Stack, verbs: Verbs, world: World
) -> None:
    pipeline(world)
    stack.codedeploy.update_deployment_group(
        **GROUP, deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes"
    )
    status, said = verbs("migrate", "--apply")
    assert status == Exit.SERVES, said
    found = service(stack)
    assert found["deploymentController"] == {"type": "ECS"}
    configuration = found["deploymentConfiguration"]
    assert configuration["strategy"] == "CANARY"
    assert configuration["canaryConfiguration"] == {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}
    assert configuration["deploymentCircuitBreaker"]["rollback"] is True
    action = deploy_action(world)
    assert action["actionTypeId"]["provider"] == "ECS"
    assert action["configuration"] == {
        "ClusterName": "prod",
        "ServiceName": "web",
        "FileName": "imagedefinitions.json",
    }
    assert stack.weights() == {"a": 0, "b": 100}
    status, said = verbs("deploy", verbs.write("2"), "--application", "shop")
    assert status == 0, said
    assert stack.weights() == {"a": 100, "b": 0}
    status, said = verbs("migrate", "--apply")
    assert (status, "released by ECS already" in said) == (2, True)


def test_the_way_back_is_codedeploy_with_what_serves_and_the_pipeline_as_it_was(
    stack: Stack, verbs: Verbs, world: World
) -> None:
    pipeline(world)
    before = deploy_action(world)
    assert verbs("migrate", "--apply")[0] == Exit.SERVES
    status, said = verbs("migrate", "--back")
    assert (status, service(stack)["deploymentController"]) == (0, {"type": "ECS"}), said
    status, said = verbs("migrate", "--back", "--apply")
    assert status == 0, said
    assert service(stack)["deploymentController"] == {"type": "CODE_DEPLOY"}
    assert deploy_action(world) == before
    assert stack.weights() == {"a": 0, "b": 100}
    assert verbs("deploy", verbs.write("2"))[0] == Exit.SERVES
    assert stack.weights() == {"a": 100, "b": 0}


def test_what_ecs_released_before_the_way_back_can_be_rolled_back(stack: Stack, verbs: Verbs) -> None:
    assert verbs("deploy", verbs.write("2"))[0] == Exit.SERVES
    assert verbs("migrate", "--apply")[0] == Exit.SERVES
    assert verbs("deploy", verbs.write("3"))[0] == Exit.SERVES
    assert verbs("migrate", "--back", "--apply")[0] == 0
    status, said = verbs("rollback")
    assert (status, sets(stack)) == (Exit.SERVES, {"PRIMARY": "2"}), said


def test_a_wait_for_somebody_becomes_a_pause_and_the_wait_before_termination_a_bake(stack: Stack, verbs: Verbs) -> None:
    stack.codedeploy.update_deployment_group(
        **GROUP,
        blueGreenDeploymentConfiguration={
            "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 7},
        },
    )
    status, said = verbs("migrate")
    assert status == 0, said
    assert '"bakeTimeInMinutes": 7' in said
    assert '"targetType": "PAUSE"' in said
    assert '"timeoutInMinutes": 30' in said


def test_a_version_that_does_not_become_healthy_ends_red_with_codedeploys_tasks_serving(
    stack: Stack, verbs: Verbs, world: World
) -> None:
    pipeline(world)
    resolved = world.run(world.runtime.resolve("app:1", "us-east-1"))
    world.runtime.cannot_start[resolved] = "no such file"
    status, said = verbs("migrate", "--apply")
    assert (status, "`turnout migrate --back`" in said) == (Exit.SERVES_NOT, True), said
    assert stack.weights() == {"a": 100, "b": 0}
    assert deploy_action(world)["actionTypeId"]["provider"] == "CodeDeployToECS"
    world.runtime.cannot_start.clear()
    assert verbs("migrate", "--back", "--apply")[0] == 0
    assert verbs("deploy", verbs.write("2"))[0] == Exit.SERVES


def test_an_interrupted_migration_is_finished_by_the_same_command(stack: Stack, verbs: Verbs, world: World) -> None:
    pipeline(world)
    verbs.interrupt(1)
    status, said = verbs("migrate", "--apply")
    assert (status, "goes on when it has ended" in said) == (Exit.UNDER_WAY, True), said
    assert deploy_action(world)["actionTypeId"]["provider"] == "CodeDeployToECS"
    assert verbs("migrate", "--apply")[0] == 0
    assert deploy_action(world)["actionTypeId"]["provider"] == "ECS"


def test_a_service_that_is_not_at_rest_or_whose_listener_has_two_rules_is_left_alone(
    stack: Stack, verbs: Verbs
) -> None:
    verbs.interrupt(30)
    verbs("deploy", verbs.write("2"), "--config", "CodeDeployDefault.ECSCanary10Percent5Minutes")
    status, said = verbs("migrate", "--apply")
    assert (status, "is under way" in said) == (2, True)
    verbs("stop")
    stack.elb.create_rule(
        ListenerArn=stack.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/api/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": stack.groups["a"]}],
    )
    status, said = verbs("migrate", "--apply")
    assert (status, "ECS moves exactly one" in said) == (2, True), said
    assert service(stack)["deploymentController"] == {"type": "CODE_DEPLOY"}


def test_a_role_that_ecs_may_not_assume_is_refused(stack: Stack, verbs: Verbs, world: World) -> None:
    world.boto("iam").create_role(RoleName="other", AssumeRolePolicyDocument="{}")
    status, said = verbs("migrate", "--role", "other")
    assert (status, "does not trust ecs.amazonaws.com" in said) == (2, True)

"""The clients that people use, over sockets, against an engine that has really released something."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import CACHE, Live, found, part
from turnout.cli.demo.versions import Version

pytestmark = pytest.mark.real

EVENTS = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
]


@pytest.fixture(scope="module")
def deployment(live: Live) -> str:
    """A release that has come all the way by `git push`: its deployment id."""
    release = live.follow(live.release(Version("clients", "#8250df", "for the clients")))
    assert release.status == "Succeeded", release.failure
    assert release.deployment
    return release.deployment


@pytest.fixture(scope="module")
def ecs_deploy() -> str:
    return part("ecs-deploy", CACHE / "ecs-deploy" / "bin" / "ecs")


def ask(live: Live, *command: str) -> Any:
    done = live.run(*command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")


def test_the_aws_cli_reads_the_pipeline_and_its_executions(live: Live, aws: str, deployment: str) -> None:
    state = ask(live, aws, "codepipeline", "get-pipeline-state", "--name", "hello")
    assert [stage["latestExecution"]["status"] for stage in state["stageStates"]] == ["Succeeded"] * 3
    action = state["stageStates"][2]["actionStates"][0]["latestExecution"]
    assert (action["externalExecutionId"], action["summary"]) == (deployment, "Deployment Succeeded")
    execution = f"pipelineExecutionId={state['stageStates'][2]['latestExecution']['pipelineExecutionId']}"
    command = ("codepipeline", "list-action-executions", "--pipeline-name", "hello", "--filter", execution)
    details = ask(live, aws, *command)["actionExecutionDetails"]
    assert [(d["actionName"], d["status"]) for d in reversed(details)] == [
        ("Source", "Succeeded"),
        ("Build", "Succeeded"),
        ("Deploy", "Succeeded"),
    ]


def test_the_aws_cli_waits_for_a_deployment_and_reads_its_target(live: Live, aws: str, deployment: str) -> None:
    ask(live, aws, "deploy", "wait", "deployment-successful", "--deployment-id", deployment)
    target = ask(
        live, aws, "deploy", "get-deployment-target", "--deployment-id", deployment, "--target-id", "hello:hello"
    )["deploymentTarget"]["ecsTarget"]
    assert [(e["lifecycleEventName"], e["status"]) for e in target["lifecycleEvents"]] == [
        (name, "Succeeded") for name in EVENTS
    ]


def test_the_aws_cli_follows_the_build_in_cloudwatch_logs(live: Live, aws: str, deployment: str) -> None:
    found = ask(live, aws, "logs", "filter-log-events", "--log-group-name", "/aws/codebuild/hello")
    said = "\n".join(event["message"] for event in found["events"])
    assert "Entering phase BUILD" in said
    assert "Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED" in said


def test_aws_ecs_deploy_releases_a_task_definition_with_an_appspec(
    live: Live, aws: str, deployment: str, tmp_path: Path
) -> None:
    ecs = live.clients("ecs")
    service = ecs.describe_services(cluster="hello", services=["hello"])["services"][0]
    current = ecs.describe_task_definition(taskDefinition=service["taskSets"][0]["taskDefinition"])["taskDefinition"]
    wanted = {
        "family": "hello",
        "networkMode": "bridge",
        "requiresCompatibilities": ["EC2"],
        "containerDefinitions": current["containerDefinitions"],
    }
    (tmp_path / "taskdef.json").write_text(json.dumps(wanted))
    done = live.run(
        aws, "ecs", "deploy", "--cluster", "hello", "--service", "hello",
        "--task-definition", str(tmp_path / "taskdef.json"),
        "--codedeploy-appspec", str(live.scene.work_tree / "appspec.yml"),
        "--codedeploy-application", "hello", "--codedeploy-deployment-group", "hello",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Successfully deployed" in done.stdout
    after = ecs.describe_services(cluster="hello", services=["hello"])["services"][0]
    primary = next(task_set for task_set in after["taskSets"] if task_set["status"] == "PRIMARY")
    assert primary["taskDefinition"] != service["taskSets"][0]["taskDefinition"]


CHECK = 'python3 -c \'import os, urllib.request as u; u.urlopen("http://127.0.0.1:" + os.environ["PORT"])\''


@pytest.fixture(scope="module")
def rolling(live: Live, deployment: str) -> Iterator[str]:
    """A service that is updated by rolling, whose one container is checked from inside; stable."""
    ecs = live.clients("ecs")
    service = ecs.describe_services(cluster="hello", services=["hello"])["services"][0]
    primary = next(one for one in service["taskSets"] if one["status"] == "PRIMARY")
    known = ecs.describe_task_definition(taskDefinition=primary["taskDefinition"])["taskDefinition"]
    check = {"command": ["CMD-SHELL", CHECK], "interval": 5, "retries": 1, "startPeriod": 0}
    container = {**known["containerDefinitions"][0], "name": "app", "healthCheck": check, "stopTimeout": 1}
    ecs.register_task_definition(family="rolling", networkMode="bridge", containerDefinitions=[container])
    ecs.create_service(
        cluster="hello",
        serviceName="rolling",
        taskDefinition="rolling",
        desiredCount=1,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}},
    )
    settled(live, "rolling")  # the waiter services-stable does not ask for the health of a first deployment
    yield "rolling"
    ecs.delete_service(cluster="hello", service="rolling", force=True)
    ecs.get_waiter("services_inactive").wait(cluster="hello", services=["rolling"], WaiterConfig={"Delay": 1})


def settled(live: Live, service: str) -> dict[str, Any]:
    """The primary deployment, once it is complete or has failed."""
    deadline = time.monotonic() + 60
    while True:
        (found,) = live.clients("ecs").describe_services(cluster="hello", services=[service])["services"]
        primary = dict(found["deployments"][0])
        if primary["rolloutState"] != "IN_PROGRESS":
            return primary
        assert time.monotonic() < deadline, primary
        time.sleep(0.2)


def tasks_of(live: Live, service: str) -> list[dict[str, Any]]:
    ecs = live.clients("ecs")
    arns = ecs.list_tasks(cluster="hello", serviceName=service)["taskArns"]
    return list(ecs.describe_tasks(cluster="hello", tasks=arns)["tasks"])


def test_the_service_is_stable_because_its_container_is_healthy(live: Live, rolling: str) -> None:
    (task,) = tasks_of(live, rolling)
    assert (task["healthStatus"], task["containers"][0]["healthStatus"]) == ("HEALTHY", "HEALTHY")


def test_ecs_deploy_waits_for_a_rolling_update(live: Live, ecs_deploy: str, rolling: str) -> None:
    done = live.run(ecs_deploy, "deploy", "hello", rolling, "-e", "app", "WHO", "me")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deployment successful" in done.stdout
    (task,) = tasks_of(live, rolling)
    definition = live.clients("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    assert task["healthStatus"] == "HEALTHY"
    assert {"name": "WHO", "value": "me"} in definition["taskDefinition"]["containerDefinitions"][0]["environment"]


def test_ecs_deploy_fails_when_containers_are_never_healthy_and_rolls_back(
    live: Live, aws: str, ecs_deploy: str, rolling: str
) -> None:
    (before,) = tasks_of(live, rolling)
    sick = ("-h", "app", "echo not today; exit 3", "5", "2", "1", "0")
    done = live.run(ecs_deploy, "deploy", "hello", rolling, *sick, "--no-deregister")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Deployment failed" in done.stderr
    assert settled(live, rolling)["rolloutState"] == "FAILED"
    assert "ECS deployment circuit breaker: tasks failed to start." in settled(live, rolling)["rolloutStateReason"]
    ecs = live.clients("ecs")
    stopped = ecs.list_tasks(cluster="hello", serviceName=rolling, desiredStatus="STOPPED")["taskArns"]
    reasons = [
        (task["stoppedReason"], task["containers"][0].get("reason"))
        for task in ecs.describe_tasks(cluster="hello", tasks=stopped)["tasks"]
    ]
    assert ("Task failed container health checks", "Health check failed: exit code 3: not today") in reasons
    assert before["taskArn"] in {task["taskArn"] for task in tasks_of(live, rolling)}
    (newest, *_) = ecs.list_service_deployments(cluster="hello", service=rolling)["serviceDeployments"]
    assert newest["status"] == "STOPPED"
    former = before["taskDefinitionArn"].rsplit("/", 1)[1]
    done = live.run(ecs_deploy, "deploy", "hello", rolling, "--task", former, "--no-deregister")
    assert done.returncode == 0, done.stdout + done.stderr
    waited = live.run(aws, "ecs", "wait", "services-stable", "--cluster", "hello", "--services", rolling)
    assert waited.returncode == 0, waited.stderr


def test_the_javascript_sdk_sees_what_botocore_sees(live: Live, deployment: str) -> None:
    node = part("Node", found("node"))
    modules = part("the AWS SDK for JavaScript", CACHE / "node")
    seen = ask(live, node, str(Path(__file__).parent / "sdk.mjs"), modules, "hello", "hello", "hello")
    assert seen["stages"] == ["Source", "Build", "Deploy"]
    assert seen["states"] == ["Succeeded"] * 3
    assert seen["waited"] == "SUCCESS"
    assert seen["status"] == "Succeeded"
    assert seen["createdIsDate"]
    assert seen["createTimeIsDate"]
    assert seen["events"] == [[name, "Succeeded"] for name in EVENTS]
    assert seen["unknown"]["name"] == "PipelineNotFoundException"
    assert seen["unknown"]["status"] == 400


def test_boto3_waiters_and_paginators_work(live: Live, deployment: str) -> None:
    codedeploy = live.clients("codedeploy")
    codedeploy.get_waiter("deployment_successful").wait(deploymentId=deployment)
    pages = codedeploy.get_paginator("list_deployments").paginate(applicationName="hello", deploymentGroupName="hello")
    assert deployment in [found for page in pages for found in page["deployments"]]


def test_git_clones_what_was_pushed(live: Live, deployment: str, tmp_path: Path) -> None:
    url = live.clients("codecommit").get_repository(repositoryName="hello")["repositoryMetadata"]["cloneUrlHttp"]
    done = live.run("git", "clone", "-q", url, str(tmp_path / "clone"))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "clone" / "release.json").read_text())["version"] == "clients"


def test_git_is_told_that_a_repository_does_not_exist(live: Live, tmp_path: Path) -> None:
    done = live.run("git", "clone", "-q", f"{live.running.endpoint}/v1/repos/nothing", str(tmp_path / "clone"))
    assert done.returncode != 0
    assert "not found" in done.stderr


def test_an_unowned_operation_of_an_owned_service_says_so(live: Live, aws: str) -> None:
    done = live.run(aws, "codebuild", "list-sandboxes")
    assert done.returncode != 0
    assert "codebuild.ListSandboxes is not implemented by turnout" in done.stderr

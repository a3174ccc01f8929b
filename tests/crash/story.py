"""One commit, all the way, in one process: the stack, a push, and what must be true at the end."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import World
from turnout.cli.names import names_for
from turnout.cli.stack.balancer import Balancer
from turnout.cli.stack.ground import Ground
from turnout.cli.stack.parts import Wishes
from turnout.cli.stack.releasing import Releasing

NAME = "hello"
GROUP = {"applicationName": NAME, "deploymentGroupName": NAME}
TASK_DEFINITION = {
    "family": NAME,
    "networkMode": "bridge",
    "requiresCompatibilities": ["EC2"],
    "containerDefinitions": [
        {
            "name": NAME,
            "image": "<IMAGE1_NAME>",
            "memory": 64,
            "stopTimeout": 2,
            "portMappings": [{"containerPort": 8000, "hostPort": 0}],
        }
    ],
}
APPSPEC = """version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: hello, ContainerPort: 8000}
"""
BUILDSPEC = """version: 0.2
phases:
  build:
    commands:
      - printf '{"ImageURI":"hello:%s"}' "$(cat version)" > imageDetail.json
artifacts:
  files: [appspec.yml, taskdef.json, imageDetail.json]
"""


class Clients:
    """The clients that the command line's own bootstrap uses, in-process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.region = "us-east-1"

    def __call__(self, service: str) -> Any:
        return self._world.boto(service)


class PaperBalancer(Balancer):
    """On paper every port is bound."""

    def silent(self, listener_arn: str) -> str | None:
        return None


def stage(world: World) -> None:
    """The stack as `turnout bootstrap` makes it, serving hello:0."""
    words = (Clients(world), names_for(NAME), Wishes(), lambda kind, name, is_created: None)
    ground, balancing, releasing = Ground(*words), PaperBalancer(*words), Releasing(*words)
    ground.repository()
    push(world, "0")
    ground.bucket()
    topic = ground.topic()
    ground.build(ground.role("build"))
    blue = balancing.target_group(f"{NAME}-blue")
    balancing.target_group(f"{NAME}-green")
    balancer = balancing.balancer()["LoadBalancerArn"]
    production = balancing.listener("production", balancer, 80, blue)
    test = balancing.listener("test", balancer, 8080, blue)
    releasing.cluster()
    first = json.loads(json.dumps(TASK_DEFINITION).replace("<IMAGE1_NAME>", "hello:bootstrap"))
    releasing.service(lambda: first, NAME, 8000, blue)
    releasing.application()
    releasing.deployment_group(ground.role("deploy"), production, test, topic)
    releasing.pipeline(ground.role("pipeline"))
    world.until(lambda: is_at_rest(world))
    assert serving(world) == "hello:0"


def push(world: World, version: str) -> None:
    """A commit on main that carries a version. Safe to repeat: a client does so when it got no answer."""
    codecommit = world.boto("codecommit")
    try:
        head = codecommit.get_branch(repositoryName=NAME, branchName="main")["branch"]["commitId"]
    except codecommit.exceptions.BranchDoesNotExistException:
        head = None
    files = {"version": version, "buildspec.yml": BUILDSPEC, "appspec.yml": APPSPEC}
    files["taskdef.json"] = json.dumps(TASK_DEFINITION)
    if head and codecommit.get_file(repositoryName=NAME, filePath="version")["fileContent"] == version.encode():
        return
    codecommit.create_commit(
        repositoryName=NAME,
        branchName="main",
        putFiles=[{"filePath": path, "fileContent": text.encode()} for path, text in files.items()],
        commitMessage=f"version {version}",
        **({"parentCommitId": head} if head else {}),
    )


def is_at_rest(world: World) -> bool:
    """Nothing is under way, and every task that runs is meant to."""
    if any(world.runs.of_kind(kind, is_open=True) for kind in ("codepipeline", "codebuild", "codedeploy")):
        return False
    service = _service(world)
    return (
        len(service["taskSets"]) == 1
        and service["taskSets"][0]["stabilityStatus"] == "STEADY_STATE"
        and sum(c.state.is_running for c in world.runtime.containers.values()) == service["desiredCount"]
    )


def _service(world: World) -> dict[str, Any]:
    return dict(world.boto("ecs").describe_services(cluster=NAME, services=[NAME])["services"][0])


def serving(world: World) -> str:
    """The image behind the production listener, as far as every room agrees on it."""
    elbv2, ecs = world.boto("elbv2"), world.boto("ecs")
    balancer = elbv2.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]["LoadBalancerArn"]
    listeners = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    production = next(listener for listener in listeners if listener["Port"] == 80)
    groups = production["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    live = [group["TargetGroupArn"] for group in groups if group["Weight"]]
    (task_set,) = (s for s in _service(world)["taskSets"] if s["status"] == "PRIMARY")
    assert live == [task_set["loadBalancers"][0]["targetGroupArn"]], "the weights are on the PRIMARY task set"
    health = elbv2.describe_target_health(TargetGroupArn=live[0])["TargetHealthDescriptions"]
    assert [target["TargetHealth"]["State"] for target in health] == ["healthy"]
    definition = ecs.describe_task_definition(taskDefinition=task_set["taskDefinition"])["taskDefinition"]
    return str(definition["containerDefinitions"][0]["image"])


def ledger(world: World) -> dict[str, Any]:
    """What a release has left behind: nothing may be there twice, and nothing may be missing."""
    codedeploy = world.boto("codedeploy")
    ids = codedeploy.list_deployments(**GROUP)["deployments"]
    executions = world.boto("codepipeline").list_pipeline_executions(pipelineName=NAME)["pipelineExecutionSummaries"]
    builds = world.boto("codebuild").list_builds_for_project(projectName=NAME)["ids"]
    return {
        "deployments": [codedeploy.get_deployment(deploymentId=i)["deploymentInfo"]["status"] for i in ids],
        "executions": [execution["status"] for execution in executions],
        "builds": [b["buildStatus"] for b in world.boto("codebuild").batch_get_builds(ids=builds)["builds"]],
        "definitions": len(world.boto("ecs").list_task_definitions(familyPrefix=NAME)["taskDefinitionArns"]),
        "receipts": [receipt["isFinal"] for receipt in world.engine.receipts.list("us-east-1")],
        "serving": serving(world),
    }

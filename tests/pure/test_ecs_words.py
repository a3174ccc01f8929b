"""The small pure parts of the room ecs: rules, workloads, states, pages, output."""

from __future__ import annotations

from typing import Any

import pytest

from turnout.aws import Call
from turnout.ecs.definition_rules import check_definition
from turnout.ecs.launch import spec_for
from turnout.ecs.output import batches, stream_for
from turnout.ecs.pages import page
from turnout.ecs.targets import is_failing, is_healthy, targets_for
from turnout.ecs.workloads import ports_for, unhonoured, workload_for
from turnout.errors import AwsError
from turnout.runtimes import Port


def definition(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"family": "web", "containerDefinitions": list(containers), **more}


def container(**more: Any) -> dict[str, Any]:
    return {"name": "app", "image": "app", "memory": 64, **more}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (definition(), "Container list cannot be empty."),
        (definition(container(image="")), "Container.image should not be null or empty."),
        (
            definition({"name": "app", "image": "app"}),
            "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified.",
        ),
        (definition(container(), container()), "Container names must be unique. The name app is used more than once."),
        (definition(container(essential=False)), "Task definition does not have any essential containers."),
        (
            definition(container(portMappings=[{"containerPort": 80, "hostPort": 81}]), networkMode="awsvpc"),
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            definition(container(), requiresCompatibilities=["FARGATE"]),
            "Fargate only supports network mode ‘awsvpc’.",
        ),
        (
            definition(container(), requiresCompatibilities=["FARGATE"], networkMode="awsvpc", memory="512"),
            "Fargate requires that 'cpu' be defined at the task level.",
        ),
        (
            definition(
                container(), requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="4 GB"
            ),
            "No Fargate configuration exists for given values: 256 CPU, 4096 memory."
            " See the Amazon ECS documentation for the valid values.",
        ),
        (
            definition(container(dependsOn=[{"containerName": "db", "condition": "START"}])),
            "Invalid dependsOn of container 'app'. There is no container 'db'.",
        ),
    ],
)
def test_what_aws_refuses_is_refused_in_its_words(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsError) as refused:
        check_definition(asked)
    assert refused.value.message == message
    assert refused.value.code == "ClientException"


@pytest.mark.parametrize(("mode", "port"), [("bridge", Port(80, 0)), ("host", Port(80, 80)), ("awsvpc", Port(80, 0))])
def test_every_task_gets_host_ports_of_its_own_but_in_host_mode(mode: str, port: Port) -> None:
    assert ports_for(container(portMappings=[{"containerPort": 80}]), mode) == (port,)


@pytest.mark.parametrize(
    "member",
    [
        {"repositoryCredentials": {"credentialsParameter": "b"}},
        {"logConfiguration": {"logDriver": "splunk"}},
        {"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]},
    ],
)
def test_what_cannot_be_honoured_is_named(member: dict[str, Any]) -> None:
    refusal = unhonoured(container(**member), ())
    assert refusal is not None
    assert next(iter(member)).removesuffix("Configuration")[:3] in refusal


def test_overrides_win_over_the_definition_and_only_what_is_honoured_is_handed_over() -> None:
    defined = container(command=["serve"], memory=32, ulimits=[{"name": "core", "softLimit": 0, "hardLimit": 0}])
    override = {"command": ["migrate"], "memory": 64}
    registered = {**definition(defined, cpu="256"), "taskDefinitionArn": "arn"}
    spec = spec_for(
        "us-east-1",
        "default",
        registered,
        "EC2",
        overrides={"cpu": ".5 vCPU", "containerOverrides": [{"name": "app", **override}]},
    )
    workload = workload_for("t" * 32, spec, defined, "app@sha256:1", {}, ("ulimits", "mountPoints"))
    assert workload.command == ("migrate",)
    assert workload.name == f"{'t' * 32}-app"
    assert (workload.task_cpu_units, workload.memory_mib) == (512, 64)
    assert workload.options == {"ulimits": defined["ulimits"]}


def test_a_target_is_the_instance_or_under_awsvpc_the_address() -> None:
    balancer = {"targetGroupArn": "tg", "containerName": "app", "containerPort": 80}
    known = {"app": {"ports": [[80, 61001, "tcp"]], "host": "127.0.0.1"}}
    (target,) = targets_for([balancer], known, "bridge", "i-1")
    assert (target.id, target.port) == ("i-1", 61001)
    (target,) = targets_for([balancer], known, "awsvpc", "i-1")
    assert (target.id, target.port) == ("127.0.0.1", 61001)


@pytest.mark.parametrize(
    ("health", "is_fine"),
    [
        ({"state": "healthy"}, True),
        ({"state": "unused", "reason": "Target.NotInUse"}, True),
        ({"state": "unused", "reason": "Target.NotRegistered"}, False),
        ({"state": "initial"}, False),
        ({"state": "unhealthy"}, False),
        ({}, False),
    ],
)
def test_only_a_healthy_target_or_an_unlistened_group_is_fine(health: dict[str, Any], is_fine: bool) -> None:
    assert is_healthy(["tg"], {"tg": health}) is is_fine
    assert is_failing(["tg"], {"tg": health}) is (health.get("state") == "unhealthy")


def test_a_list_is_told_in_pages() -> None:
    items = [f"arn:{number}" for number in range(5)]
    first = page(Call("ecs", "ListServices", "r", {"maxResults": 2}), "arns", items)
    second = page(Call("ecs", "ListServices", "r", {"maxResults": 4, "nextToken": first["nextToken"]}), "arns", items)
    assert first["arns"] + second["arns"] == items
    assert "nextToken" not in second
    with pytest.raises(AwsError, match="Invalid token"):
        page(Call("ecs", "ListServices", "r", {"nextToken": "?"}), "arns", items)


def test_output_goes_to_the_awslogs_stream_or_to_a_group_of_the_cluster() -> None:
    options = {"awslogs-group": "/web", "awslogs-stream-prefix": "blue", "awslogs-region": "eu-west-1"}
    logging = {"logDriver": "awslogs", "options": options}
    spec = {"region": "us-east-1", "cluster": "shop", "family": "web"}
    own = stream_for(spec, container(logConfiguration=logging), "t1")
    assert (own.region, own.group, own.stream, own.creates_group) == ("eu-west-1", "/web", "blue/app/t1", False)
    default = stream_for(spec, container(), "t1")
    assert (default.group, default.stream, default.creates_group) == ("/turnout/ecs/shop/web", "ecs/app/t1", True)


def test_lines_become_batches_that_put_log_events_takes() -> None:
    made = batches([(2.0, "b"), (1.0, "a"), (3.0, "")])
    assert made == [[{"timestamp": 1000, "message": "a"}, {"timestamp": 2000, "message": "b"}]]
    assert [len(batch) for batch in batches([(1.0, "x" * 400_000)] * 3)] == [2, 1]

"""How quickly the API answers: p50 of three calls, against moto's server and MiniStack, side by side in one run.

Each system holds what such a call returns after one release: a deployment, a service, a listener.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from bench.stage import REGION, Engine, answers_on, free_port, process, wait_until

CALLS = 300
CACHE = Path(__file__).parents[1] / ".cache"
"""Peers to measure against live in virtual environments of their own, and are never dependencies."""


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


Calls = dict[str, Request]


def measure(
    engine: Engine, deployment_id: str, cluster: str, service: str, load_balancer: str
) -> dict[str, dict[str, float]]:
    """system → call → p50 in ms. The engine's own resources are those of a released stack."""
    codedeploy, ecs, elbv2 = (engine.client(name) for name in ("codedeploy", "ecs", "elbv2"))
    ours: Calls = {
        "GetDeployment": _recorded(codedeploy, "get_deployment", deploymentId=deployment_id),
        "DescribeListeners": _recorded(elbv2, "describe_listeners", LoadBalancerArn=load_balancer),
        "DescribeServices": _recorded(ecs, "describe_services", cluster=cluster, services=[service]),
    }
    medians: dict[str, dict[str, float]] = {"turnout": {}, "moto": {}, "MiniStack": {}}
    with moto_server() as moto, ministack() as mini:
        systems = {"turnout": ours, "moto": _prepared(moto), "MiniStack": _prepared(mini)}
        for call in ours:
            for system, calls in systems.items():
                if call in calls:
                    medians[system][call] = _median_ms(calls[call])
    return medians


def _median_ms(request: Request) -> float:
    """The same request again and again over one connection: what the client library costs is left out."""
    parts = urlsplit(request.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    times = []
    for _ in range(20 + CALLS):
        began = time.perf_counter()
        connection.request(request.method, parts.path or "/", request.body, request.headers)
        answer = connection.getresponse()
        answer.read()
        times.append(1000 * (time.perf_counter() - began))
        if answer.status != 200:
            raise RuntimeError(f"{request.url} answered {answer.status}")
    connection.close()
    return statistics.median(times[20:])


def _recorded(client: Any, operation: str, **params: Any) -> Request:
    """The request that boto3 makes of a call."""
    made: list[Request] = []

    def keep(request: Any, **_: Any) -> None:
        headers = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in request.headers.items()}
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        made.append(Request(request.method, request.url, headers, body))

    client.meta.events.register("before-send", keep)
    getattr(client, operation)(**params)
    return made[-1]


def _prepared(endpoint: str) -> Calls:
    """The same three calls on a stack that is made through the API of another system."""

    def client(name: str) -> Any:
        return boto3.client(name, REGION, endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test")

    codedeploy, ecs, elbv2, ec2, iam = map(client, ("codedeploy", "ecs", "elbv2", "ec2", "iam"))
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    balancer = elbv2.create_load_balancer(Name="bench", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.create_target_group(Name="bench", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    elbv2.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    ecs.create_cluster(clusterName="bench")
    ecs.register_task_definition(family="bench", containerDefinitions=[{"name": "web", "image": "web", "memory": 64}])
    ecs.create_service(cluster="bench", serviceName="bench", taskDefinition="bench", desiredCount=0)
    calls: Calls = {
        "DescribeListeners": _recorded(elbv2, "describe_listeners", LoadBalancerArn=balancer),
        "DescribeServices": _recorded(ecs, "describe_services", cluster="bench", services=["bench"]),
    }
    try:
        codedeploy.create_application(applicationName="bench", computePlatform="ECS")
    except ClientError:
        return calls  # MiniStack has no CodeDeploy
    codedeploy.create_deployment_group(applicationName="bench", deploymentGroupName="bench", serviceRoleArn=role)
    deployment = codedeploy.create_deployment(
        applicationName="bench",
        deploymentGroupName="bench",
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}},
    )["deploymentId"]
    return {**calls, "GetDeployment": _recorded(codedeploy, "get_deployment", deploymentId=deployment)}


@contextmanager
def moto_server() -> Iterator[str]:
    port = free_port()
    with process([str(CACHE / "moto" / "bin" / "moto_server"), "-p", str(port)]):
        wait_until(lambda: answers_on(port), 20, "moto's server")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def ministack() -> Iterator[str]:
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "GATEWAY_PORT": str(port), "HOME": "/tmp"}
    with process([str(CACHE / "ministack" / "bin" / "ministack")], env=environment):
        wait_until(lambda: answers_on(port), 30, "MiniStack")
        yield f"http://127.0.0.1:{port}"

"""Many at once: 200 services, and what a deployment costs the engine when it is one, and when it is one of fifty.

CPU-seconds are the engine's own, without Envoy and the tasks, and without what the engine uses anyway for so many
services at rest. Under load all the while; a lost request is one that `turnout.cli.load` calls failed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.stage import REGION, Engine, cpu_s, memory_mb, wait_until
from turnout.cli.demo.scene import example
from turnout.cli.load import Load

SERVICES = 200
TOGETHER = 50
ALONE = 5
"""Deployments one after the other, of which the median counts."""
LISTENED = 10
"""Services of those that are deployed together that have clients of their own."""
EACH = 50
"""Services behind one listener, told apart by their host names: AWS allows 100 rules."""
REST_S, IDLE_S, WITHIN_S = 30, 20, 900
CLUSTER = "many"
FIRST_PORT = 28200
"""Below the range from which the kernel gives ports to connections: a client must not sit on a listener's."""


@dataclass(frozen=True)
class Many:
    services: int
    together: int
    idle_percent: float
    """Of one core, with all services at rest."""
    memory_mb: float
    alone_cpu_s: float
    """Engine CPU-seconds of a deployment that is alone."""
    together_cpu_s: float
    """The same of each of those that are made together."""
    alone_took_s: float
    together_took_s: float
    """Until the last of them has ended."""
    requests: int
    lost: int
    reasons: dict[str, int]

    @property
    def growth(self) -> float:
        return self.together_cpu_s / self.alone_cpu_s


def measure(engine: Engine, services: int = SERVICES, together: int = TOGETHER) -> Many:
    estate = Estate(engine)
    ports = estate.build(services)
    time.sleep(REST_S)
    idle = _rate(engine, IDLE_S)
    with ExitStack() as stack:
        step = max(1, together // LISTENED)
        loads = [
            stack.enter_context(Load("127.0.0.1", ports[n // EACH], name=host(n), kept=2, fresh=1, rest_s=0.1))
            for n in range(0, together, step)
        ]
        alone = [
            _cost(engine, idle, lambda n=number: estate.deploy([n])) for number in range(services - ALONE, services)
        ]
        time.sleep(REST_S)
        cpu, took = _cost(engine, idle, lambda: estate.deploy(range(together)))
        tallies = [load.tally() for load in loads]
    return Many(
        services,
        together,
        100 * idle,
        memory_mb(engine.pid),
        statistics.median(cpu for cpu, _ in alone),
        cpu / together,
        statistics.median(took for _, took in alone),
        took,
        sum(tally.requests for tally in tallies),
        sum(tally.failed for tally in tallies),
        {reason: count for tally in tallies for reason, count in tally.failures.items()},
    )


def _rate(engine: Engine, seconds: float) -> float:
    """CPU-seconds per second."""
    before = cpu_s(engine.pid)
    time.sleep(seconds)
    return (cpu_s(engine.pid) - before) / seconds


def _cost(engine: Engine, idle: float, act: Callable[[], None]) -> tuple[float, float]:
    """(CPU-seconds beyond what is used at rest, seconds) of an act."""
    before, began = cpu_s(engine.pid), time.monotonic()
    act()
    took = time.monotonic() - began
    return cpu_s(engine.pid) - before - idle * took, took


class Estate:
    """One cluster with a service, a pair of target groups, a listener rule and a deployment group for each number."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ecs, self._elbv2, self._codedeploy = (engine.client(n) for n in ("ecs", "elbv2", "codedeploy"))
        self._image = _packed(engine)
        self._listeners: list[str] = []

    def build(self, count: int) -> list[int]:
        """The ports of the listeners."""
        self._ecs.create_cluster(clusterName=CLUSTER)
        self._codedeploy.create_application(applicationName=CLUSTER, computePlatform="ECS")
        task_definition = self._define()
        ec2 = self._engine.client("ec2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
        ports = [self._listener(n, subnets) for n in range(-(-count // EACH))]
        blues = [self._service(number, vpc, task_definition) for number in range(count)]
        for number, blue in enumerate(blues):
            wait_until(lambda blue=blue: self._is_healthy(blue), WITHIN_S, f"service {number}")
            self._group(number)
        return ports

    def _listener(self, number: int, subnets: list[str]) -> int:
        """The port of another balancer, which answers 404 to hosts that nobody has."""
        made = self._elbv2.create_load_balancer(Name=f"many-{number}", Subnets=subnets)["LoadBalancers"][0]
        port, nobody = FIRST_PORT + number, {"StatusCode": "404", "ContentType": "text/plain"}
        listener = self._elbv2.create_listener(
            LoadBalancerArn=made["LoadBalancerArn"],
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": nobody}],
        )["Listeners"][0]
        self._listeners.append(listener["ListenerArn"])
        return port

    def deploy(self, numbers: Sequence[int]) -> None:
        """Release a new version of these services, all at the same time, and wait until every one has ended."""
        revision = _revision(self._define())
        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(lambda number: self._begin(number, revision), numbers))
        for deployment in ids:
            wait_until(lambda deployment=deployment: self._has_ended(deployment), WITHIN_S, deployment)

    def _begin(self, number: int, revision: dict[str, Any]) -> str:
        made = self._codedeploy.create_deployment(
            applicationName=CLUSTER, deploymentGroupName=name(number), revision=revision
        )
        return str(made["deploymentId"])

    def _has_ended(self, deployment: str) -> bool:
        info = self._codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        if info["status"] in ("Failed", "Stopped"):
            raise RuntimeError(f"{deployment}: {info.get('errorInformation')}")
        time.sleep(0.5)  # asking costs the engine as well: seldom enough not to count
        return bool(info["status"] == "Succeeded")

    def _define(self) -> str:
        container = {
            "name": "web",
            "image": self._image,
            "memory": 64,
            "portMappings": [{"containerPort": 8000, "hostPort": 0}],
        }
        made = self._ecs.register_task_definition(family=CLUSTER, containerDefinitions=[container])
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _service(self, number: int, vpc: str, task_definition: str) -> str:
        """Its first target group."""
        blue, _ = (self._target_group(f"{name(number)}-{colour}", vpc) for colour in "ab")
        self._elbv2.create_rule(
            ListenerArn=self._listeners[number // EACH],
            Priority=number + 1,
            Conditions=[{"Field": "host-header", "Values": [host(number)]}],
            Actions=[{"Type": "forward", "TargetGroupArn": blue}],
        )
        self._ecs.create_service(
            cluster=CLUSTER,
            serviceName=name(number),
            taskDefinition=task_definition,
            desiredCount=1,
            launchType="EC2",
            deploymentController={"type": "CODE_DEPLOY"},
            loadBalancers=[{"targetGroupArn": blue, "containerName": "web", "containerPort": 8000}],
        )
        return blue

    def _target_group(self, group: str, vpc: str) -> str:
        arn = self._elbv2.create_target_group(
            Name=group,
            Protocol="HTTP",
            Port=80,
            VpcId=vpc,
            TargetType="instance",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
        self._elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        return str(arn)

    def _is_healthy(self, group: str) -> bool:
        described = self._elbv2.describe_target_health(TargetGroupArn=group)
        states = [target["TargetHealth"]["State"] for target in described["TargetHealthDescriptions"]]
        return bool(states) and set(states) == {"healthy"}

    def _group(self, number: int) -> None:
        pair = {
            "targetGroups": [{"name": f"{name(number)}-{colour}"} for colour in "ab"],
            "prodTrafficRoute": {"listenerArns": [self._listeners[number // EACH]]},
        }
        terminate = {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}
        self._codedeploy.create_deployment_group(
            applicationName=CLUSTER,
            deploymentGroupName=name(number),
            serviceRoleArn="arn:aws:iam::000000000000:role/many",
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            ecsServices=[{"clusterName": CLUSTER, "serviceName": name(number)}],
            loadBalancerInfo={"targetGroupPairInfoList": [pair]},
            blueGreenDeploymentConfiguration={"terminateBlueInstancesOnDeploymentSuccess": terminate},
            autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
        )


def name(number: int) -> str:
    return f"many-{number:03}"


def host(number: int) -> str:
    return f"{name(number)}.example.com"


def _revision(task_definition: str) -> dict[str, Any]:
    info = {"ContainerName": "web", "ContainerPort": 8000}
    properties = {"TaskDefinition": task_definition, "LoadBalancerInfo": info}
    resources = [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}]
    content = json.dumps({"version": 0.0, "Resources": resources})
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}


def _packed(engine: Engine) -> str:
    """The image of the example, by digest."""
    command = [sys.executable, "-m", "turnout", "pack", str(example()), "--tag", "many:1"]
    command += ["--home", str(engine.home), "--region", REGION]
    engine.client("ecr").create_repository(repositoryName="many")
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

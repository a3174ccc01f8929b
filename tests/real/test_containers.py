"""Services of real containers behind a real Envoy: EC2 with bridge networking, FARGATE with addresses of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.containers import ContainerEngine
from turnout.cli.clients import Clients
from turnout.cli.running import Running, ask, find_running
from turnout.cli.up import start_detached, stop
from turnout.config import Config

pytestmark = pytest.mark.real

INIT = {"initProcessEnabled": True}
APP = "appspec-of-the-test"


@dataclass
class Shop:
    """An engine on a home, with containers."""

    home: Path
    clients: Clients
    running: Running
    addresses: dict[str, str] = field(default_factory=dict)
    """Load balancer → where its listener answers."""

    def balance(self, name: str, kind: str) -> tuple[str, str, str]:
        """A load balancer with two groups, the first of which its listener leads to: (listener, first, second)."""
        elb, ec2 = self.clients("elbv2"), self.clients("ec2")
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        arn = elb.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        check = {
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 4,
            "HealthyThresholdCount": 2,
            "HealthCheckPath": "/",
        }
        groups = []
        for colour in ("blue", "green"):
            made = elb.create_target_group(
                Name=f"{name}-{colour}", Protocol="HTTP", Port=80, VpcId=vpc, TargetType=kind, **check
            )
            groups.append(made["TargetGroups"][0]["TargetGroupArn"])
            drain = [{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
            elb.modify_target_group_attributes(TargetGroupArn=groups[-1], Attributes=drain)
        actions = [{"Type": "forward", "TargetGroupArn": groups[0]}]
        made = elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=actions)
        listener = made["Listeners"][0]["ListenerArn"]
        self.addresses[name] = ask(self.running, "health")["listeners"][listener]
        return listener, groups[0], groups[1]

    def register(self, family: str, image: str, *, mode: str = "bridge", **more: Any) -> str:
        container = {
            "name": "web",
            "image": image,
            "portMappings": [{"containerPort": 80}],
            "linuxParameters": INIT,
            "stopTimeout": 5,
            "memory": 64,
            **more,
        }
        sized: dict[str, Any] = {}
        if mode == "awsvpc":
            sized = {"requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        made = self.clients("ecs").register_task_definition(
            family=family, networkMode=mode, containerDefinitions=[container], **sized
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def get(self, name: str) -> str:
        """What the load balancer answers."""
        url = urlsplit(self.addresses[name])
        request = Request(f"http://127.0.0.1:{url.port}/", headers={"Host": url.netloc})
        with urlopen(request, timeout=20) as answer:
            return str(answer.read().decode().strip())

    @contextmanager
    def under_load(self, name: str) -> Iterator[list[str]]:
        """Requests one after the other, each on a connection of its own: what they got, errors included."""
        got: list[str] = []
        enough = threading.Event()

        def work() -> None:
            while not enough.is_set():
                try:
                    got.append(self.get(name))
                except OSError as error:
                    got.append(f"failed: {error}")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield got
        finally:
            enough.set()
            thread.join()

    def tasks(self, service: str) -> list[dict[str, Any]]:
        ecs = self.clients("ecs")
        arns = ecs.list_tasks(cluster="shop", serviceName=service)["taskArns"]
        tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster="shop", tasks=arns)["tasks"] if arns else []
        return tasks


def await_(is_true: Callable[[], bool]) -> None:
    """The engine is another process: it is asked until it says so."""
    enough = threading.Event()
    for _ in range(600):
        if is_true():
            return
        enough.wait(0.1)
    raise AssertionError("did not become true")


@pytest.fixture
def shop(container_engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name, value in container_engine.environment.items():
        monkeypatch.setenv(name, value)
    for version in ("one", "two"):
        container_engine.build(
            f"shop:{version}",
            {"/www/index.html": version},
            dockerfile='CMD ["httpd", "-f", "-p", "80", "-h", "/www"]\n',
        )
    home = tmp_path / "home"
    running = start_detached(Config(home=home, port=0, free_listener_ports=True, runtime="docker"))
    shop = Shop(home, Clients(running), running)
    shop.clients("ecs").create_cluster(clusterName="shop")
    try:
        yield shop
    finally:
        if left := find_running(home):
            stop(left)
        label = {"label": "dev.turnout.home"}
        for one in container_engine.client.containers(all=True, filters=label):
            container_engine.client.remove_container(one["Id"], force=True, v=True)


def test_a_service_of_containers_is_updated_without_a_lost_request_and_outlives_the_engine(
    shop: Shop, container_engine: ContainerEngine
) -> None:
    _, group, _ = shop.balance("rolling", "instance")
    ecs = shop.clients("ecs")
    ecs.create_service(
        cluster="shop",
        serviceName="web",
        desiredCount=2,
        taskDefinition=shop.register("web", "shop:one"),
        loadBalancers=[{"targetGroupArn": group, "containerName": "web", "containerPort": 80}],
    )
    ecs.get_waiter("services_stable").wait(cluster="shop", services=["web"], WaiterConfig={"Delay": 1})
    assert shop.get("rolling") == "one"
    before = {task["taskArn"] for task in shop.tasks("web")}

    os.kill(shop.running.pid, signal.SIGKILL)
    assert shop.get("rolling") == "one"
    running = start_detached(Config(home=shop.home, port=shop.running.port, free_listener_ports=True, runtime="docker"))
    assert running.runtime == f"Docker {container_engine.client.version()['Version']} at {container_engine.socket}" + (
        " (--runtime docker)"
    )
    assert {task["taskArn"] for task in shop.tasks("web")} == before

    with shop.under_load("rolling") as got:
        ecs.update_service(cluster="shop", service="web", taskDefinition=shop.register("web", "shop:two"))
        ecs.get_waiter("services_stable").wait(cluster="shop", services=["web"], WaiterConfig={"Delay": 1})
        await_(lambda: got[-1:] == ["two"])
    assert set(got) == {"one", "two"}

    stop(running)  # a child of ours, which the command could not bury
    assert container_engine.client.containers(filters={"label": "dev.turnout.home"}) == []
    command = [sys.executable, "-m", "turnout", "down", "--remove", "--home", str(shop.home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert container_engine.client.containers(all=True, filters={"label": "dev.turnout.home"}) == []
    assert not shop.home.exists()


def test_fargate_tasks_have_addresses_of_their_own_and_codedeploy_shifts_between_them(shop: Shop) -> None:
    listener, blue, _ = shop.balance("fargate", "ip")
    ecs, codedeploy, logs = shop.clients("ecs"), shop.clients("codedeploy"), shop.clients("logs")
    shop.clients("ssm").put_parameter(Name="greeting", Value="from ssm", Type="SecureString")
    more = {
        "secrets": [{"name": "GREETING", "valueFrom": "greeting"}],
        "healthCheck": {"command": ["CMD-SHELL", "wget -q -O - http://127.0.0.1/"], "interval": 5, "retries": 2},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "/shop",
                "awslogs-region": shop.running.region,
                "awslogs-stream-prefix": "web",
                "awslogs-create-group": "true",
            },
        },
        "entryPoint": ["sh", "-c"],
        "command": ["echo starting $GREETING; exec httpd -f -p 80 -h /www"],
    }
    subnet = shop.clients("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    ecs.create_service(
        cluster="shop",
        serviceName="api",
        desiredCount=2,
        launchType="FARGATE",
        taskDefinition=shop.register("api", "shop:one", mode="awsvpc", **more),
        loadBalancers=[{"targetGroupArn": blue, "containerName": "web", "containerPort": 80}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
        deploymentController={"type": "CODE_DEPLOY"},
    )
    await_(lambda: [one.get("healthStatus") for one in shop.tasks("api")] == ["HEALTHY", "HEALTHY"])
    await_(lambda: ecs.describe_services(cluster="shop", services=["api"])["services"][0]["runningCount"] == 2)
    addresses = {
        detail["value"]
        for task in shop.tasks("api")
        for detail in task["attachments"][0]["details"]
        if detail["name"] == "privateIPv4Address"
    }
    assert len(addresses) == 2
    targets = shop.clients("elbv2").describe_target_health(TargetGroupArn=blue)["TargetHealthDescriptions"]
    assert {(one["Target"]["Id"], one["Target"]["Port"]) for one in targets} == {(one, 80) for one in addresses}
    assert shop.get("fargate") == "one"

    codedeploy.create_application(applicationName=APP, computePlatform="ECS")
    pair = {
        "targetGroups": [{"name": "fargate-blue"}, {"name": "fargate-green"}],
        "prodTrafficRoute": {"listenerArns": [listener]},
    }
    codedeploy.create_deployment_group(
        applicationName=APP,
        deploymentGroupName="api",
        serviceRoleArn="arn:aws:iam::000000000000:role/codedeploy",
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        blueGreenDeploymentConfiguration={
            "terminateBlueInstancesOnDeploymentSuccess": {
                "action": "TERMINATE",
                "terminationWaitTimeInMinutes": 0,
            },
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
        },
        loadBalancerInfo={"targetGroupPairInfoList": [pair]},
        ecsServices=[{"clusterName": "shop", "serviceName": "api"}],
    )
    service = {
        "Type": "AWS::ECS::Service",
        "Properties": {
            "TaskDefinition": shop.register("api", "shop:two", mode="awsvpc", **more),
            "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80},
        },
    }
    appspec = {"version": 0.0, "Resources": [{"TargetService": service}]}
    with shop.under_load("fargate") as got:
        deployment = codedeploy.create_deployment(
            applicationName=APP,
            deploymentGroupName="api",
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(appspec)}},
        )["deploymentId"]
        waiter = codedeploy.get_waiter("deployment_successful")
        waiter.wait(deploymentId=deployment, WaiterConfig={"Delay": 1, "MaxAttempts": 90})
    assert set(got) == {"one", "two"}
    assert shop.get("fargate") == "two"
    assert {task["taskDefinitionArn"].rpartition(":")[2] for task in shop.tasks("api")} == {"2"}
    events = logs.filter_log_events(logGroupName="/shop")["events"]
    assert [event["message"] for event in events] == ["starting from ssm"] * 4


@pytest.mark.parametrize(
    ("image", "more", "told"),
    [
        ("shop:one", {"command": ["tail", "/dev/zero"], "memory": 16}, "OutOfMemoryError: Container killed due to"),
        ("shop:one", {"command": ["nosuch"], "linuxParameters": {}}, 'CannotStartContainerError: exec: "nosuch"'),
        ("127.0.0.1:1/shop:nosuch", {}, "CannotPullContainerError: pull image manifest has been retried 1 time(s)"),
        ("foreign:1", {}, "CannotPullContainerError: image Manifest does not contain descriptor matching platform"),
    ],
)
def test_a_task_that_cannot_run_says_why(
    shop: Shop, container_engine: ContainerEngine, image: str, more: dict[str, Any], told: str
) -> None:
    container_engine.load("foreign:1", architecture="s390x")
    ecs = shop.clients("ecs")
    definition = shop.register("job", image, **more)
    task = ecs.run_task(cluster="shop", taskDefinition=definition)["tasks"][0]["taskArn"]
    waiter = ecs.get_waiter("tasks_stopped")
    waiter.wait(cluster="shop", tasks=[task], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    (found,) = ecs.describe_tasks(cluster="shop", tasks=[task])["tasks"]
    assert told in f"{found['stoppedReason']} {found['containers'][0].get('reason')}"

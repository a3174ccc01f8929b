"""Where the stories play: an engine in a process of its own, images of versions, and services behind real listeners."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real import application
from turnout.cli.clients import Clients
from turnout.cli.load import Load
from turnout.cli.pack import pack_image
from turnout.cli.running import Running, find_running
from turnout.cli.up import start_detached, stop
from turnout.config import Config
from turnout.runtimes.trees import remove_tree

CLUSTER = "stories"
ROLE = "arn:aws:iam::000000000000:role/stories"
OVER = {"Succeeded", "Failed", "Stopped"}
ALL_AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"


def until(is_so: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + within_s
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
    return answer


class Stage:
    """`speed`: configured waits pass so many times faster; health checks and tasks take what they take."""

    def __init__(self, speed: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="turnout-story-"))
        self.config = Config(home=self.folder / "home", port=0, speed=speed, free_listener_ports=True)
        self.speed = speed
        self.running: Running = start_detached(self.config)
        self._images: dict[str, str] = {}
        self._services = 0
        self.connect()
        self.clients("ecs").create_cluster(clusterName=CLUSTER)
        self.clients("ecr").create_repository(repositoryName="app")
        ec2 = self.clients("ec2")
        self.vpc = str(ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
        self.subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]

    def connect(self) -> None:
        self.clients = Clients(self.running)
        for service in ("ecs", "ecr", "ec2", "elbv2", "codedeploy", "cloudwatch"):
            self.clients(service)  # made now: stories that are told at the same time share them

    def kill_engine(self, act: Callable[[], None]) -> None:
        """SIGKILL by `act`, and another engine on the same home and port."""
        act()
        until(lambda: find_running(self.config.home) is None, "the engine is gone")
        self.running = start_detached(
            Config(home=self.config.home, port=self.running.port, speed=self.speed, free_listener_ports=True)
        )
        self.connect()

    def image(self, name: str, **fate: Any) -> str:
        """The image of a version, by digest. `fate`: code, crashes (tests/real/application.py)."""
        if name not in self._images:
            folder = self.folder / "versions" / name
            folder.mkdir(parents=True)
            shutil.copy(application.__file__, folder / "application.py")
            (folder / "version.json").write_text(json.dumps({"name": name, **fate}))
            self._images[name] = pack_image(self.clients, folder, f"app:{name}", "python3 application.py")
        return self._images[name]

    def register(self, family: str, version: str, **fate: Any) -> str:
        """A task definition that runs a version: its ARN."""
        logs = {"awslogs-group": f"/ecs/{family}", "awslogs-create-group": "true"}
        logs |= {"awslogs-region": self.clients.region, "awslogs-stream-prefix": "app"}
        container = {
            "name": "app",
            "logConfiguration": {"logDriver": "awslogs", "options": logs},
            "image": self.image(version, **fate),
            "memory": 64,
            "stopTimeout": 5,
            "portMappings": [{"containerPort": 80, "hostPort": 0}],
        }
        made = self.clients("ecs").register_task_definition(family=family, containerDefinitions=[container])
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def name(self) -> str:
        self._services += 1
        return f"s{self._services}"

    def end(self) -> None:
        if (self.config.home / "engine.json").exists():
            stop(find_running(self.config.home) or start_detached(self.config))
        remove_tree(self.folder)


class Balanced:
    """A load balancer of its own: target groups a and b, a production and a test listener, both on a."""

    def __init__(self, stage: Stage, name: str, delay_s: int) -> None:
        self.stage, self.name = stage, name
        number = int(name.removeprefix("s"))
        self.balancer = self.elb.create_load_balancer(Name=name, Subnets=stage.subnets)["LoadBalancers"][0]
        self.a, self.b = (self._group(f"{name}-{letter}", delay_s) for letter in "ab")
        self.listener = self._listen(20000 + number)
        self.test_listener = self._listen(21000 + number)

    @property
    def elb(self) -> Any:
        return self.stage.clients("elbv2")

    def _group(self, name: str, delay_s: int) -> str:
        made = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=self.stage.vpc, TargetType="instance",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2,
        )  # fmt: skip
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": str(delay_s)}]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        return arn

    def _listen(self, port: int) -> str:
        made = self.elb.create_listener(
            LoadBalancerArn=self.balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.a}],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def port(self, listener: str | None = None) -> int:
        """Where a listener answers on this machine; the production listener's, unless another is named."""
        health, arn = self.stage.clients.told("health"), listener or self.listener
        assert arn not in health["silentListeners"], health["silentListeners"][arn]
        address: str = health["listeners"][arn]
        return int(address.rpartition(":")[2])

    def weights(self, listener: str | None = None) -> dict[str, int]:
        """{"a": …, "b": …} of the default action."""
        (found,) = self.elb.describe_listeners(ListenerArns=[listener or self.listener])["Listeners"]
        return self.weights_of(found["DefaultActions"])

    def weights_of(self, actions: list[dict[str, Any]]) -> dict[str, int]:
        names = {self.a: "a", self.b: "b"}
        return {names[g["TargetGroupArn"]]: g["Weight"] for g in actions[-1]["ForwardConfig"]["TargetGroups"]}

    def rules(self) -> list[dict[str, Any]]:
        return list(self.elb.describe_rules(ListenerArn=self.listener)["Rules"])

    def tag(self, policy: str) -> None:
        tags = [{"Key": "turnout:long-connections", "Value": policy}]
        self.elb.add_tags(ResourceArns=[self.listener], Tags=tags)

    def speaks(self) -> dict[str, Any]:
        """How clients speak to the production listener: options of Load. Plain HTTP, unless a story says otherwise."""
        return {}

    @contextmanager
    def load(self, *, kept: int = 4, fresh: int = 2, rest_s: float = 0.05) -> Iterator[Load]:
        """Clients of the production listener, from the first answer on; none of their requests may be lost."""
        with Load("127.0.0.1", self.port(), kept=kept, fresh=fresh, rest_s=rest_s, **self.speaks()) as load:
            until(lambda: load.tally().requests, "the first answer")
            yield load
        assert dict(load.tally().failures) == {}
        assert dict(load.tally().errors) == {}

    def until_all_is(self, load: Load, version: str) -> None:
        """Until nobody else answers any more."""

        def is_alone() -> bool:
            before = load.tally()
            time.sleep(0.3)
            return set(load.tally().since(before).answers) == {version}

        until(is_alone, f"{version} alone answers", 10)

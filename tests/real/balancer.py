"""A load balancer room with a real Envoy, without the rest of the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.real.application import Application as Application
from tests.real.client import Client as Client
from tests.real.client import answers as answers
from tests.real.client import get as get
from turnout.aws import Answer, Aws
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.config import Config
from turnout.loadbalancer.api import MIGRATIONS, LoadBalancer
from turnout.loadbalancer.envoy import Envoy
from turnout.runner import Runner
from turnout.runs import SCHEMA, Runs
from turnout.store import Store

REGION = "us-east-1"
CHECKS = {"HealthCheckIntervalSeconds": 1, "HealthCheckTimeoutSeconds": 0.5, "HealthyThresholdCount": 2}


class Subnets:
    """EC2, as far as a load balancer asks."""

    def call(self, service: str, operation: str, region: str, params: Any) -> Answer:
        if operation == "DescribeSubnets":
            zones = {"a": "us-east-1a", "b": "us-east-1b"}
            return {"Subnets": [{"SubnetId": k, "AvailabilityZone": v, "VpcId": "vpc-1"} for k, v in zones.items()]}
        return {"SecurityGroups": [{"GroupId": "sg-1"}]}


class Balancer:
    """The room over a home. `asks` is an operation of ELBv2; groups and listeners go by short names."""

    def __init__(self, home: Path, **config: Any) -> None:
        home.mkdir(exist_ok=True)
        self.config = Config(home=home, **{"free_listener_ports": True, **config})
        self.clock = Clock()
        self.store = Store(home / "turnout.sqlite", {"runs": SCHEMA, "elbv2": MIGRATIONS})
        self.runs = Runs(self.store, self.clock)
        self.aws = Aws(Subnets())
        self.envoy = Envoy(self.config)
        self.certificates = Certificates(self.store, self.config.certificate_keys)
        self.names: dict[str, tuple[str, ...]] = {}
        """DNS name of a load balancer → the names that lead to it."""
        words = (self.store, self.runs, self.aws, self.clock, self.config, self.envoy)
        self.room = LoadBalancer(*words, lambda _: False, self.certificates, lambda name: self.names.get(name, ()))
        self.aws.own("elbv2", self.room)
        self.runner = Runner(self.runs, self.room.plans, self.clock)
        self.traffic = self.room.traffic

    async def start(self) -> None:
        await self.room.start()
        self.advancing = asyncio.create_task(self.runner.run_forever())

    async def close(self) -> None:
        """As the engine ends; Envoy goes on."""
        self.advancing.cancel()
        await asyncio.gather(self.advancing, return_exceptions=True)
        await self.room.close()
        self.store.close()

    async def asks(self, operation: str, **members: Any) -> Answer:
        return await self.aws.call("elbv2", operation, REGION, **members)

    async def balancer(self, name: str = "web") -> str:
        made = await self.asks("CreateLoadBalancer", Name=name, Subnets=["a", "b"])
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    async def group(self, name: str, *ports: int, delay_s: int = 0, **settings: Any) -> str:
        given = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", **CHECKS, **settings}
        made = await self.asks("CreateTargetGroup", Name=name, **given)
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay_s)}
        await self.asks("ModifyTargetGroupAttributes", TargetGroupArn=arn, Attributes=[attribute])
        await self.register(arn, *ports)
        return arn

    async def register(self, group: str, *ports: int) -> None:
        if ports:
            targets = [{"Id": "i-1", "Port": port} for port in ports]
            await self.asks("RegisterTargets", TargetGroupArn=group, Targets=targets)

    async def listen(self, balancer: str, port: int, **weights: int) -> str:
        """weights: group ARN → weight."""
        made = await self.asks(
            "CreateListener", LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=forward(**weights)
        )
        return str(made["Listeners"][0]["ListenerArn"])

    async def weigh(self, listener: str, **weights: int) -> None:
        await self.asks("ModifyListener", ListenerArn=listener, DefaultActions=forward(**weights))

    async def states(self, group: str) -> list[tuple[str, str | None]]:
        said = await self.asks("DescribeTargetHealth", TargetGroupArn=group)
        return [(d["TargetHealth"]["State"], d["TargetHealth"].get("Reason")) for d in said["TargetHealthDescriptions"]]

    async def until(self, group: str, *states: str, within_s: float = 10) -> None:
        """Until the targets of a group have these states."""

        async def is_so() -> bool:
            return [state for state, _ in await self.states(group)] == list(states)

        await until(is_so, within_s)

    def port(self, port: int) -> int:
        """Where a port of the API answers."""
        return self.envoy.bound(port).port


def forward(**weights: int) -> list[dict[str, Any]]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]


async def until(is_so: Callable[[], Awaitable[bool]], within_s: float = 10) -> None:
    for _ in range(int(within_s / 0.02)):
        if await is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not become so within {within_s:g} s")


@asynccontextmanager
async def running(home: Path, **config: Any) -> AsyncIterator[Balancer]:
    """A balancer whose Envoy ends with the test."""
    balancer = Balancer(home, **config)
    await balancer.start()
    try:
        yield balancer
    finally:
        await balancer.close()
        await balancer.envoy.stop()


class Load:
    """Clients that ask as fast as they are answered, some on one connection, some on a new one each time."""

    def __init__(self, port: int, *, keeping: int = 6, new: int = 4) -> None:
        self._port = port
        self._counts = (keeping, new)
        self.answers: dict[str, int] = {}
        self.failures: list[str] = []
        self._is_over = False

    async def __aenter__(self) -> Load:
        keeping, new = self._counts
        self._tasks = [asyncio.create_task(self._ask(keeps=number < keeping)) for number in range(keeping + new)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _ask(self, *, keeps: bool) -> None:
        client = Client(self._port)
        while not self._is_over:
            try:
                async with asyncio.timeout(5):
                    code, text = await client.get()
                if code != 200:
                    self.failures.append(f"{code} {text[:80]}")
                self.answers[text] = self.answers.get(text, 0) + 1
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(repr(error))
                await client.close()
            if not keeps:
                await client.close()
        await client.close()


def failure_lines(balancer: Balancer) -> list[dict[str, Any]]:
    """What Envoy logged of failed requests."""
    log = balancer.config.envoy / "failures.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()]

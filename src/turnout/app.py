"""The wiring: every object is made once, here, and handed to those who need it. Nobody else knows everybody."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from typing import Any

from turnout import __version__
from turnout.acm.api import Acm
from turnout.authority import Authority
from turnout.autoscaling.api import AutoScaling
from turnout.aws import Aws
from turnout.awslambda.api import Lambda
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.cloudwatch.api import MIGRATIONS as CLOUDWATCH
from turnout.cloudwatch.api import CloudWatch
from turnout.codebuild.api import MIGRATIONS as CODEBUILD
from turnout.codebuild.api import CodeBuild
from turnout.codecommit.api import MIGRATIONS as CODECOMMIT
from turnout.codecommit.api import CodeCommit
from turnout.codecommit.http import GitHttp
from turnout.codecommit.ssh import GitSsh
from turnout.codecommit.ssh_keys import SshKeys
from turnout.codedeploy.api import MIGRATIONS as CODEDEPLOY
from turnout.codedeploy.api import CodeDeploy
from turnout.codepipeline.api import MIGRATIONS as CODEPIPELINE
from turnout.codepipeline.api import CodePipeline
from turnout.config import Config
from turnout.ecr.api import MIGRATIONS as ECR
from turnout.ecr.api import Ecr
from turnout.ecr.oci import RegistryHttp
from turnout.ecs.api import MIGRATIONS as ECS
from turnout.ecs.api import Ecs
from turnout.gateway.models import OwnedModels
from turnout.gateway.others import Others
from turnout.gateway.server import Gateway
from turnout.loadbalancer.api import MIGRATIONS as LOADBALANCER
from turnout.loadbalancer.api import LoadBalancer
from turnout.loadbalancer.proxy import Proxy
from turnout.logs.api import MIGRATIONS as LOGS
from turnout.logs.api import Logs
from turnout.names import is_arn
from turnout.receipts import SCHEMA as RECEIPTS
from turnout.receipts import Receipts
from turnout.runner import Runner
from turnout.runs import SCHEMA, Runs
from turnout.runtimes import Runtime
from turnout.samples import SCHEMA as SAMPLES
from turnout.samples import Samples
from turnout.store import Store
from turnout.zones import TOPIC, Zones

MIGRATIONS = {
    "runs": SCHEMA,
    "samples": SAMPLES,
    "receipts": RECEIPTS,
    "codecommit": CODECOMMIT,
    "codepipeline": CODEPIPELINE,
    "codebuild": CODEBUILD,
    "codedeploy": CODEDEPLOY,
    "ecr": ECR,
    "ecs": ECS,
    "elbv2": LOADBALANCER,
    "logs": LOGS,
    "cloudwatch": CLOUDWATCH,
}

RECENT_S = 3600.0
"""How long /_turnout/health, and so `turnout status`, tell of an interruption; receipts do for good."""

ALMOST_NOTHING_BYTES = 1 << 20


class Engine:
    """Everything that runs in one process, over one home."""

    def __init__(
        self, config: Config, clock: Clock, runtime: Runtime, proxy: Proxy, *, runtime_words: str = ""
    ) -> None:
        """`runtime_words`: what runs the containers, and why."""
        config.home.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.clock = clock
        self.runtime = runtime
        self.runtime_words = runtime_words or runtime.name
        self.proxy = proxy
        self.store = Store(config.database, MIGRATIONS)
        self.runs = Runs(self.store, clock)
        self.others = Others(config.moto, clock)
        self.aws = Aws(self.others)
        words = (self.store, self.runs, self.aws, clock, config)
        self.cloudwatch = CloudWatch(self.store, self.runs, self.aws, clock, self.others)
        self.zones = Zones(self.others, self.others.is_there)
        self.others.on_records(self._records_changed)
        self.certificates = Certificates(self.store, config.certificate_keys)
        self.loadbalancer = LoadBalancer(
            *words, proxy, self.cloudwatch.is_watched, self.certificates, self.zones.names_leading_to
        )
        self.acm = Acm(
            self.store,
            self.runs,
            clock,
            self.certificates,
            Authority(config.authority),
            self.zones,
            self.loadbalancer.users_of,
        )
        self.codecommit = CodeCommit(*words)
        ssh_keys = SshKeys(self.others)
        self.ssh = GitSsh(self.codecommit, ssh_keys)
        self.codepipeline = CodePipeline(*words)
        self.codebuild = CodeBuild(*words)
        traffic = self.loadbalancer.traffic
        self.samples = Samples(self.runs, self.aws, clock, traffic)
        self.receipts = Receipts(self.runs, self.samples)
        self.codedeploy = CodeDeploy(*words, traffic, self.receipts)
        self.ecs = Ecs(*words, runtime, traffic, self.receipts)
        self.ecr = Ecr(*words)
        self.logs = Logs(self.store, clock, self.others)
        self.autoscaling = AutoScaling(self.store, self.runs, self.aws, clock, self.others)
        self.awslambda = Lambda(self.runs, self.aws, clock, config, self.others)
        owned = (
            self.loadbalancer,
            self.ecs,
            self.codedeploy,
            self.codebuild,
            self.codecommit,
            self.codepipeline,
            self.ecr,
            self.acm,
        )
        for room in owned:
            self.aws.own(room.SERVICE, room)
        shared = (self.logs, self.cloudwatch, self.autoscaling, self.awslambda, ssh_keys)
        for part in shared:
            self.aws.share(part.SERVICE, part)
        self.aws.listen(self.codepipeline.heard)
        self.rooms = (*owned, self.awslambda)
        acting = (*self.rooms, self.cloudwatch, self.autoscaling)
        self.measures = (self.loadbalancer.metrics, self.ecs.metrics)
        self.runner = Runner(self.runs, [plan for room in acting for plan in room.plans], clock)
        models = OwnedModels(room.SERVICE for room in (*owned, *shared))
        pages = {"receipts": self._receipts, "weights": self._weights, "health": self._health, "ports": self._port}
        self.gateway = Gateway(
            self.aws, models, self.others, config, GitHttp(self.codecommit), RegistryHttp(self.ecr), pages
        )

    async def start(self) -> None:
        """Wake the rooms: what is kept in files and processes is compared with the rows, and put right."""
        self.others.start()
        # The balancer's last: a start that is refused for anything else leaves no Envoy behind.
        for room in (*self.rooms[1:], self.rooms[0]):
            await room.start()

    async def close(self) -> None:
        """Let go of everything; Envoy and the tasks go on."""
        await self.ssh.close()
        await self.runner.close()
        for room in self.rooms:
            await room.close()
        await self.runtime.close()
        self.others.close()
        self.store.close()

    async def end_workloads(self, patience_s: float = 5.0) -> None:
        """Stop every task and Envoy: what `turnout down` asks for. SIGTERM first, SIGKILL for who does not listen."""
        running = [name for name in await self.runtime.names() if await self._is_running(name)]
        for name in running:
            await self.runtime.kill(name, "SIGTERM")
        deadline = self.clock.now() + patience_s
        while running and self.clock.now() < deadline:
            await asyncio.sleep(0.05)
            running = [name for name in running if await self._is_running(name)]
        for name in running:
            await self.runtime.kill(name, "SIGKILL")
        await self.proxy.stop()

    def _records_changed(self) -> None:
        """Names lead elsewhere, and a certificate's domains may be validated."""
        self.zones.forget()
        with self.store.transaction() as tx:
            self.runs.wake(tx, TOPIC)
        self.loadbalancer.names_changed()

    async def _is_running(self, name: str) -> bool:
        state = await self.runtime.find(name)
        return state is not None and state.is_running

    def _receipts(self, rest: str) -> dict[str, Any] | list[Any] | None:
        region, _, deployment_id = rest.partition("/")
        if deployment_id:
            return self.receipts.find(region, deployment_id)
        return self.receipts.list(region)

    def _weights(self, listener_arn: str) -> list[Any] | None:
        """Every change of a listener's weights that has been kept."""
        if not is_arn(listener_arn):
            return None
        return self.loadbalancer.traffic.weights_since(listener_arn.split(":")[3], listener_arn, 0.0)

    def _port(self, rest: str) -> dict[str, Any] | None:
        """Why a listener on a port could not answer; null if it can, or does."""
        is_port = rest.isascii() and rest.isdigit() and 0 < int(rest) < 65536
        return {"port": int(rest), "taken": self.proxy.taken(int(rest))} if is_port else None

    def _health(self, rest: str) -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "home": str(self.config.home),
            "speed": self.clock.speed,
            "runtime": self.runtime_words,
            "listeners": self.loadbalancer.ports(),
            "silentListeners": self.loadbalancer.silent_ports(),
            "troubles": list(self._troubles()),
            "interruptions": self.loadbalancer.interruptions.since(self.clock.now() - RECENT_S),
        }

    def _troubles(self) -> Iterator[str]:
        """What this machine lacks, in sentences."""
        free = shutil.disk_usage(self.config.home).free
        if free < ALMOST_NOTHING_BYTES:
            yield f"the disk is full: free some room ({free // 1024} KiB are left in {self.config.home})"
        elif (why := self.store.look_again()) is not None:
            yield why
        if (why := self.clock.trouble) is not None:
            yield why
        if (why := self.proxy.trouble) is not None:
            yield f"Envoy cannot be told what has changed, and goes on as it was: {why}"

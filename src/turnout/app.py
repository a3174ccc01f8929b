"""The wiring: every object is made once, here, and handed to those who need it. Nobody else knows everybody."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from turnout import __version__
from turnout.autoscaling.api import AutoScaling
from turnout.aws import Aws
from turnout.awslambda.api import Lambda
from turnout.clock import Clock
from turnout.cloudwatch.api import MIGRATIONS as CLOUDWATCH
from turnout.cloudwatch.api import CloudWatch
from turnout.codebuild.api import MIGRATIONS as CODEBUILD
from turnout.codebuild.api import CodeBuild
from turnout.codecommit.api import MIGRATIONS as CODECOMMIT
from turnout.codecommit.api import CodeCommit
from turnout.codecommit.http import GitHttp
from turnout.codedeploy.api import MIGRATIONS as CODEDEPLOY
from turnout.codedeploy.api import CodeDeploy
from turnout.codepipeline.api import MIGRATIONS as CODEPIPELINE
from turnout.codepipeline.api import CodePipeline
from turnout.config import Config, make_home
from turnout.ecr.api import MIGRATIONS as ECR
from turnout.ecr.api import Ecr
from turnout.ecr.oci import RegistryHttp
from turnout.ecs.api import MIGRATIONS as ECS
from turnout.ecs.api import Ecs
from turnout.errors import SetupError
from turnout.gateway.models import OwnedModels
from turnout.gateway.others import Others
from turnout.gateway.server import Gateway
from turnout.hindrances import refusal
from turnout.loadbalancer.api import MIGRATIONS as LOADBALANCER
from turnout.loadbalancer.api import LoadBalancer
from turnout.loadbalancer.proxy import Proxy
from turnout.logs.api import MIGRATIONS as LOGS
from turnout.logs.api import Logs
from turnout.measuring import measure_forever
from turnout.names import is_arn
from turnout.receipts import SCHEMA as RECEIPTS
from turnout.receipts import Receipts
from turnout.runner import Runner
from turnout.runs import SCHEMA, Runs
from turnout.runtimes import Runtime
from turnout.samples import SCHEMA as SAMPLES
from turnout.samples import Samples
from turnout.store import Store

log = logging.getLogger(__name__)

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

LAST_ANSWERS_S = 5
"""How long the end of the engine waits for requests that are being answered: a stalled client does not hold it up."""


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
        self.loadbalancer = LoadBalancer(*words, proxy, self.cloudwatch.is_watched)
        self.codecommit = CodeCommit(*words)
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
        )
        for room in owned:
            self.aws.own(room.SERVICE, room)
        shared = (self.logs, self.cloudwatch, self.autoscaling, self.awslambda)
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
        if (why := self.proxy.trouble) is not None:
            yield f"Envoy cannot be told what has changed, and goes on as it was: {why}"


@dataclass(frozen=True)
class Addresses:
    """What `turnout up` tells, and what engine.json in the home says while the engine runs."""

    pid: int
    endpoint: str
    port: int
    home: str
    region: str
    version: str
    speed: float
    started_at: float
    runtime: str
    """What runs the containers, and why."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `serve` decides what a signal means."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(config: Config, *, announce: Callable[[Addresses], None]) -> None:
    """Run the engine until SIGTERM or SIGINT (tasks and Envoy end too) or SIGUSR1 (they go on serving)."""
    _check(config)
    make_home(config.home)
    with _lock(config), _bound(config) as listening:
        config = replace(config, port=listening.getsockname()[1])
        engine = _engine(config)
        asked: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, _ask, asked, number)
        server = _Server(
            uvicorn.Config(
                engine.gateway,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=LAST_ANSWERS_S,
            )
        )
        try:
            await engine.start()
        except (OSError, sqlite3.Error) as error:
            if (why := refusal(error)) is None:
                raise
            raise SetupError(f"the engine cannot start in {config.home}: {why}") from error
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        advancing = asyncio.create_task(engine.runner.run_forever())
        measuring = asyncio.create_task(measure_forever(engine.measures, engine.clock))
        sampling = asyncio.create_task(engine.samples.run_forever())
        addresses = Addresses(
            pid=os.getpid(),
            endpoint=config.endpoint,
            port=config.port,
            home=str(config.home),
            region=config.region,
            version=__version__,
            speed=config.speed,
            started_at=time.time(),
            runtime=engine.runtime_words,
        )
        engine_file = config.home / "engine.json"
        _write(engine_file, json.dumps(addresses.__dict__, indent=1))
        announce(addresses)
        ends: list[asyncio.Future[Any]] = [asked, serving, advancing, measuring, sampling]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, advancing, measuring, sampling):
                if task.done():
                    task.result()
        finally:
            engine_file.unlink(missing_ok=True)
            server.should_exit = True
            advancing.cancel()
            measuring.cancel()
            sampling.cancel()
            await asyncio.gather(serving, advancing, measuring, sampling, return_exceptions=True)
            if asked.done() and asked.result() in (signal.SIGTERM, signal.SIGINT):
                await engine.end_workloads()
            await engine.close()


def _engine(config: Config) -> Engine:
    from turnout.loadbalancer.envoy import Envoy
    from turnout.runtimes.choosing import choose

    runtime, words = choose(config)
    return Engine(config, Clock(config.speed), runtime, Envoy(config), runtime_words=words)


def _ask(asked: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not asked.done():
        asked.set_result(number)


def _check(config: Config) -> None:
    if config.host not in ("127.0.0.1", "::1", "localhost") and not config.keys:
        raise SetupError(
            f"--host {config.host} would let anyone on the network deploy. Configure access keys first"
            " (TURNOUT_KEYS=KEYID:SECRET), then every request must carry a right signature."
        )


@contextmanager
def _lock(config: Config) -> Iterator[None]:
    path = config.home / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise SetupError(
                f"the home {config.home} is held by {holder}{_endpoint_of(config)}. Use that engine, end it with"
                " `turnout down`, or give this one a home of its own with --home."
            ) from None
        file.truncate(0)
        file.write(f"turnout, pid {os.getpid()}")
        file.flush()
        yield


def _endpoint_of(config: Config) -> str:
    """ ", at http://127.0.0.1:4566" of the engine that holds the home; nothing while it is still starting."""
    try:
        return f", at {json.loads((config.home / 'engine.json').read_text())['endpoint']}"
    except (OSError, ValueError, KeyError):
        return ""


@contextmanager
def _bound(config: Config) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((config.host, config.port))
        except OSError as error:
            raise SetupError(
                f"cannot listen on {config.host}:{config.port}: {error.strerror}."
                " Another engine or LocalStack may hold it: end it, or choose a port with --port (0 = any free one)."
            ) from error
        listening.listen(512)
        listening.setblocking(False)
        yield listening


def _write(path: Any, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)

"""The world of a test: one engine over a temporary home, its clock in the test's hands, boto3 without sockets."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config as BotoConfig

from tests.containers import ContainerEngine, running_engine
from tests.fakes.proxy import FakeProxy
from tests.fakes.runtime import FakeRuntime
from tests.fakes.shapes import check_answer
from turnout.app import MIGRATIONS, Engine
from turnout.aws import Answer, Call
from turnout.clock import ManualClock
from turnout.codecommit.git import Git
from turnout.config import Config
from turnout.gateway.moto import clients
from turnout.names import DEFAULT_REGION
from turnout.store import Store

os.environ |= {  # 1,600 policies and 1,300 images a world, which next to no test looks at
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "false",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}
_session = botocore.session.get_session()
_session.set_credentials("test", "test")
_clients: dict[tuple[str, str], Any] = {}
"""Making a client takes longer than most tests: they are shared, and reach the world that asked for one last."""
_senders: list[Callable[[Any], Any]] = []
_inner = clients.Clients(lambda request: _senders[-1](request))


class SharedClients:
    """The clients by which rooms reach moto are shared as well: a call reaches the world that makes it."""

    def __init__(self, send: Callable[[Any], Any]) -> None:
        self._send = send

    def call(self, *arguments: Any) -> Any:
        _senders.append(self._send)
        try:
            return _inner.call(*arguments)
        finally:
            _senders.pop()


clients.Clients = SharedClients  # type: ignore[misc, assignment]

_check_git = Git.check
_checked: set[str] = set()


async def _check_git_once(git: Git) -> None:
    """That this git can serve does not change between two tests."""
    if git.program not in _checked:
        await _check_git(git)
        _checked.add(git.program)


Git.check = _check_git_once  # type: ignore[method-assign]


@cache
def _empty_database() -> bytes:
    """As a first start lays it out, which takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        Store(path, MIGRATIONS).close()
        return path.read_bytes()


def pytest_collection_finish() -> None:
    """What has been imported stays: to look through it again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_configure(config: pytest.Config) -> None:
    """Homes of tests that start no programs of size are in memory, where a file costs nothing to make and to remove."""
    memory = Path("/dev/shm")
    if "not real" not in config.option.markexpr or not os.access(memory, os.W_OK):
        return
    may_execute = not os.statvfs(memory).f_flag & os.ST_NOEXEC
    if may_execute and shutil.disk_usage(memory).free > 1 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


class World:
    """`tick` moves the clock and runs all that is due; `boto` is a real client whose requests reach the gateway."""

    current: World

    def __init__(self, home: Path, clock: ManualClock | None = None) -> None:
        self.home = home
        self.clock = clock or ManualClock()
        self.runtime = FakeRuntime(self.clock)
        self.proxy = FakeProxy()
        self.fuse: Callable[[str], None] = lambda point: None
        self.boot()

    def boot(self) -> None:
        """Build an engine on the home, as `turnout up` does."""
        self.loop = asyncio.new_event_loop()
        config = Config(home=self.home, port=4566)
        if not config.database.exists():
            self.home.mkdir(exist_ok=True)
            config.database.write_bytes(_empty_database())
        self.engine = Engine(config, self.clock, self.runtime, self.proxy)
        self.store, self.runs, self.aws = self.engine.store, self.engine.runs, self.engine.aws
        # No test cuts the power: a kill loses nothing of what was written, synced or not.
        self.store._connection.execute("PRAGMA synchronous = OFF")
        self.store.fuse = self.aws.fuse = lambda point: self.fuse(point)
        self._check_every_answer()
        self.run(self.engine.start())

    def _check_every_answer(self) -> None:
        dispatch = self.aws.dispatch

        async def checked(call: Call) -> Answer:
            answer = await dispatch(call)
            if self.aws.is_owned(call.service):
                check_answer(call, answer)
            return answer

        self.aws.dispatch = checked  # type: ignore[method-assign]

    def reboot(self) -> None:
        """Throw the engine away as a SIGKILL does, and build a new one on the same home."""
        self.abandon()
        self.boot()

    def copy(self, home: Path) -> World:
        """The same world over a copy of its home: containers and Envoy as they were."""
        self.proxy.listen(lambda health: None)
        self.proxy.on_interruption(lambda interruption: None)
        twin = copy.copy(self)
        twin.home, twin.clock = home, ManualClock(self.clock.at)
        twin.runtime, twin.proxy = copy.deepcopy(self.runtime), copy.deepcopy(self.proxy)
        twin.runtime.clock = twin.clock
        twin.boot()
        return twin

    def abandon(self) -> None:
        """The engine is gone: nothing of it gets to run again, not even to clean up."""
        self.store.close()
        self.run(self.runtime.close())
        self.proxy.listen(lambda health: None)
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # a killed engine awaits nobody either
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.close()

    def run(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self.loop.run_until_complete(awaited())

    def tick(self, seconds: float = 0.0) -> None:
        """Move the clock, stopping wherever something becomes due on the way, and run all that is due."""
        until = self.clock.at + seconds
        self.run(self.engine.runner.tick())
        while (at := self.runs.next_wake_at(self.clock.at)) is not None and at <= until:
            self.clock.at = at
            self.run(self.engine.runner.tick())
        self.clock.at = until
        self.run(self.engine.runner.tick())

    def until(self, is_true: Callable[[], bool], within_s: float = 30.0) -> None:
        """Run until something is true. Builds are real processes: their end is awaited, other waits pass at once."""
        deadline = time.monotonic() + within_s
        while not is_true():
            assert time.monotonic() < deadline, "did not become true"
            self.tick(0.25)
            self.run(self.engine.runner.wait_due(0.005))

    def boto(self, service: str, region: str = DEFAULT_REGION) -> Any:
        World.current = self
        if (service, region) not in _clients:
            config = BotoConfig(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
            client = _session.create_client(service, region, endpoint_url="http://127.0.0.1:4566", config=config)
            client.meta.events.register("before-send", lambda request, **_: World.current._send(request))
            _clients[service, region] = client
        return _clients[service, region]

    def _send(self, request: Any) -> AWSResponse:
        status, headers, body = self.run(self.request(request.method, request.url, dict(request.headers), request.body))
        return AWSResponse(request.url, status, headers, _Raw(body))

    async def request(
        self, method: str, url: str, headers: dict[str, Any], body: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """One HTTP request to the gateway, without a socket."""
        parts = urlsplit(url)
        if hasattr(body, "read"):
            body = body.read()
        body = body.encode() if isinstance(body, str) else bytes(body or b"")
        text = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in headers.items()}
        text.setdefault("Host", parts.netloc)
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in text.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.engine.gateway(scope, receive, send)
        head = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:])

    def close(self) -> None:
        self.run(self.engine.close())
        self.loop.close()


class _Raw:
    """What botocore expects of urllib3's response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, amount: int | None = None) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is not fast: stories that are told once per point of death, and rooms that need git or a real shell."""
    for item in items:
        if item.path.parent.name == "crash" or item.path.stem == "test_others_survival":
            item.add_marker(pytest.mark.crash)
        if item.path.stem.startswith(("test_codebuild", "test_codecommit")):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def container_engine() -> Iterator[ContainerEngine]:
    """A real engine, with the image "program:1" on it."""
    with running_engine() as engine:
        yield engine


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()

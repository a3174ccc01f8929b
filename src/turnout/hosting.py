"""The process of the engine: one per home, on one port, until a signal says what becomes of the tasks and of Envoy."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
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
from turnout.app import Engine
from turnout.config import Config, make_home
from turnout.errors import SetupError
from turnout.hindrances import refusal
from turnout.measuring import measure_forever
from turnout.timekeeping import SteadyClock, keep_time

LAST_ANSWERS_S = 5
"""How long the end of the engine waits for requests that are being answered: a stalled client does not hold it up."""

SSH_BEYOND = 22
"""The port of git over SSH is that of the endpoint and so many more: 4588 beside 4566."""


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
    ssh_endpoint: str
    ssh_fingerprint: str
    known_hosts: str
    """The file that pins the host key of the SSH endpoint."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `serve` decides what a signal means."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(config: Config, *, announce: Callable[[Addresses], None]) -> None:
    """Run the engine until SIGTERM or SIGINT (tasks and Envoy end too) or SIGUSR1 (they go on serving)."""
    _check(config)
    make_home(config.home)
    with _lock(config), _bound(config) as listening, _bound_for_ssh(config) as listening_for_ssh:
        config = replace(config, port=listening.getsockname()[1], ssh_port=listening_for_ssh.getsockname()[1])
        clock = SteadyClock(config.clock, config.speed)
        engine = _engine(config, clock)
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
            host_key = await engine.ssh.listen(listening_for_ssh)
        except (OSError, sqlite3.Error) as error:
            if (why := refusal(error)) is None:
                raise
            raise SetupError(f"the engine cannot start in {config.home}: {why}") from error
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        advancing = asyncio.create_task(engine.runner.run_forever())
        measuring = asyncio.create_task(measure_forever(engine.measures, engine.clock))
        sampling = asyncio.create_task(engine.samples.run_forever())
        timing = asyncio.create_task(keep_time(clock, engine.runner.is_quiet))
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
            ssh_endpoint=config.ssh_endpoint,
            ssh_fingerprint=host_key.fingerprint,
            known_hosts=str(config.ssh / "known_hosts"),
        )
        engine_file = config.home / "engine.json"
        _write(engine_file, json.dumps(addresses.__dict__, indent=1))
        announce(addresses)
        ends: list[asyncio.Future[Any]] = [asked, serving, advancing, measuring, sampling, timing]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, advancing, measuring, sampling, timing):
                if task.done():
                    task.result()
        finally:
            engine_file.unlink(missing_ok=True)
            server.should_exit = True
            for task in (advancing, measuring, sampling, timing):
                task.cancel()
            await asyncio.gather(serving, advancing, measuring, sampling, timing, return_exceptions=True)
            if asked.done() and asked.result() in (signal.SIGTERM, signal.SIGINT):
                await engine.end_workloads()
            await engine.close()


def _engine(config: Config, clock: SteadyClock) -> Engine:
    from turnout.loadbalancer.envoy import Envoy
    from turnout.runtimes.choosing import choose

    runtime, words = choose(config)
    return Engine(config, clock, runtime, Envoy(config), runtime_words=words)


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


@contextmanager
def _bound_for_ssh(config: Config) -> Iterator[socket.socket]:
    """At the port that was asked for; else next to the endpoint's, or at any free one if that is taken."""
    wanted = config.ssh_port
    if wanted is None:
        wanted = config.port + SSH_BEYOND if 0 < config.port <= 65535 - SSH_BEYOND else 0
    with socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((config.host, wanted))
        except OSError as error:
            if config.ssh_port is not None:
                raise SetupError(
                    f"cannot listen for git over SSH on {config.host}:{wanted}: {error.strerror}."
                    " Choose a port with --ssh-port (0 = any free one)."
                ) from error
            listening.bind((config.host, 0))
        yield listening


def _write(path: Any, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)

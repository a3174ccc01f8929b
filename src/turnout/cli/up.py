"""up, down, env: the engine's own life."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from turnout.cli.options import Home
from turnout.cli.running import (
    KILLED,
    Running,
    credentials,
    find_running,
    is_held,
    keys_from,
    require_running,
    wait_until_gone,
    was_killed,
)
from turnout.cli.terraform import CURRENT, locked_version, override
from turnout.config import DEFAULT_PORT, Config, make_home
from turnout.errors import SetupError
from turnout.names import DEFAULT_REGION, is_region

if TYPE_CHECKING:
    from turnout.hosting import Addresses

READY_WITHIN_S = 60.0
GONE_WITHIN_S = 60.0


class Choice(StrEnum):
    auto = "auto"
    process = "process"
    docker = "docker"


def up(
    home: Home,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the AWS endpoint; 0 takes any free one.")
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on. Anything but loopback needs TURNOUT_KEYS.")] = (
        "127.0.0.1"
    ),
    speed: Annotated[
        float, typer.Option(min=0.001, help="Configured waits pass this many times faster; the receipts say so.")
    ] = 1.0,
    region: Annotated[str, typer.Option(help="Region of requests that name none.")] = DEFAULT_REGION,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name under which the endpoint may be called; repeatable.")
    ] = None,
    runtime: Annotated[
        Choice,
        typer.Option(
            help="What runs containers: an engine (Docker, Podman) where one answers, else processes, for auto."
        ),
    ] = Choice.auto,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Let every listener answer at any free port instead of its own.")
    ] = False,
    ssh_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of git over SSH.", show_default="--port + 22, or any free one"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is ready, and leave it running.")
    ] = False,
) -> None:
    """Start the engine. Ctrl-C stops it, and with it every task."""
    if not is_region(region):
        raise SetupError(f"--region {region!r} is not the name of a region, such as {DEFAULT_REGION}.")
    config = Config(
        home=home,
        host=host,
        port=port,
        speed=speed,
        region=region,
        allowed_hosts=tuple(name.lower() for name in allow_host or ()),
        keys=keys_from(),
        free_listener_ports=free_ports,
        runtime=runtime.value,
        ssh_port=ssh_port,
    )
    if detach:
        print(welcome(start_detached(config)))
        return
    _run(config)


def _run(config: Config) -> None:
    import logging

    import uvloop

    from turnout.hosting import serve

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def announce(addresses: Addresses) -> None:
        print(welcome(addresses), "\nCtrl-C stops it, and every task with it.", flush=True)

    # What the engine starts must not stand in a folder that somebody removes.
    os.chdir("/")
    uvloop.run(serve(config, announce=announce))


def start_detached(config: Config) -> Running:
    """Start an engine in a session of its own and wait until it is ready. Raises SetupError with what it said."""
    make_home(config.home)
    log = config.home / "engine.log"
    command = [sys.executable, "-m", "turnout", "up", "--home", str(config.home), "--port", str(config.port)]
    command += ["--host", config.host, "--speed", str(config.speed), "--region", config.region]
    command += ["--runtime", config.runtime]
    command += [] if config.ssh_port is None else ["--ssh-port", str(config.ssh_port)]
    command += ["--free-ports"] if config.free_listener_ports else []
    command += [word for name in config.allowed_hosts for word in ("--allow-host", name)]
    said_before = log.stat().st_size if log.exists() else 0
    pid = os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        running = find_running(config.home)
        if running is not None and running.pid == pid:
            return running
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            said = log.read_bytes()[said_before:].decode(errors="replace").strip().removeprefix("turnout: ")
            raise SetupError(
                said or f"the engine ended with status {os.waitstatus_to_exitcode(status)} and said nothing"
            )
        if time.monotonic() > deadline:
            raise SetupError(f"the engine is not ready after {READY_WITHIN_S:g} s; its log is {log}")
        time.sleep(0.02)


def welcome(engine: Running | Addresses) -> str:
    """What somebody who has just started an engine wants to know."""
    speed = "" if engine.speed == 1 else f"\n  speed     configured waits pass {engine.speed:g} times faster"
    return (
        f"turnout {engine.version} is ready, pid {engine.pid}\n"
        f"  endpoint  {engine.endpoint}\n"
        f"  git       {engine.ssh_endpoint}, host key {engine.ssh_fingerprint}\n"
        f"  region    {engine.region}\n"
        f"  runtime   {engine.runtime}\n"
        f"  home      {engine.home}{speed}\n"
        f'Next: eval "$(turnout env)" for the AWS tools, `turnout bootstrap FOLDER` for an application.'
    )


def down(
    home: Home,
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Stop the engine alone: tasks and Envoy go on serving.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the home, too, with all that it holds.")] = False,
) -> None:
    """Stop the engine, its tasks and Envoy, and wait until it is gone."""
    if keep_serving and remove:
        raise SetupError("--remove would take away what --keep-serving is to go on with: choose one.")
    running = find_running(home)
    if running is not None:
        stop(running, keep_serving=keep_serving)
        what = "has ended; its tasks go on." if keep_serving else "and its tasks have ended."
        print(f"The engine (pid {running.pid}) {what}")
    elif is_held(home):
        raise SetupError(f"the engine in {home} is still starting, or ending. Try again in a moment.")
    elif was_killed(home):
        raise SetupError(f"{KILLED.format(home=home)} `turnout up --detach` takes them over, then `down` ends them.")
    else:
        print(f"No engine is running in {home}.")
    if remove and (home / "lock").exists():
        _remove(home)


def _remove(home: Path) -> None:
    from turnout.runtimes.trees import remove_tree

    if (socket := Config(home=home).containers).exists():
        from turnout.runtimes.docker.leftovers import remove_all

        remove_all(home, Path(socket.read_text().strip()))
    remove_tree(home)
    if home.exists():
        raise SetupError(f"{home} could not be removed whole: what is left belongs to somebody else.")
    print(f"{home} has been removed.")


def stop(running: Running, *, keep_serving: bool = False) -> None:
    """End an engine and wait until it is gone. Raises SetupError if it will not end."""
    os.kill(running.pid, signal.SIGUSR1 if keep_serving else signal.SIGTERM)
    if not wait_until_gone(running, GONE_WITHIN_S):
        raise SetupError(
            f"the engine (pid {running.pid}) has not ended after {GONE_WITHIN_S:g} s; see {running.home}/engine.log"
        )


class Shell(StrEnum):
    sh = "sh"
    fish = "fish"


def env(
    home: Home,
    shell: Annotated[Shell, typer.Option(help="Whose syntax: sh is also bash's and zsh's.")] = Shell.sh,
    terraform: Annotated[
        bool, typer.Option("--terraform", help="Print a file for Terraform's AWS provider: > turnout_override.tf.")
    ] = False,
    provider: Annotated[
        int | None,
        typer.Option(min=2, help="Major version of that provider.", show_default="as .terraform.lock.hcl says, or 6"),
    ] = None,
) -> None:
    """Print the variables that lead the AWS tools here: eval "$(turnout env)"."""
    running = require_running(home)
    if terraform:
        version = provider or locked_version(Path()) or CURRENT
        print(override(running.endpoint, credentials(running.endpoint), version), end="")
        return
    for name, value in variables(running).items():
        print(assignment(name, value, shell))


def variables(running: Running) -> dict[str, str]:
    key_id, secret = credentials(running.endpoint)
    return {
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": running.region,
        "AWS_REGION": running.region,
        "TURNOUT_HOME": running.home,
        "TURNOUT_SSH": running.ssh_endpoint,
        "TURNOUT_KNOWN_HOSTS": running.known_hosts,
    }


def assignment(name: str, value: str, shell: Shell) -> str:
    """A line that exports a variable, whatever its value holds."""
    if shell is Shell.fish:
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{quoted}';"
    return f"export {name}={shlex.quote(value)}"

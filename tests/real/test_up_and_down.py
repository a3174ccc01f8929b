"""The engine's own life, as `turnout up` and `turnout down` begin and end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from turnout.cli.running import find_running
from turnout.cli.up import stop

pytestmark = pytest.mark.real

Turnout = Callable[..., CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    if running := find_running(tmp_path / "home"):
        stop(running)


@pytest.fixture
def turnout(home: Path) -> Turnout:
    def run(*words: str) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "turnout", *words, "--home", str(home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_a_detached_engine_is_ready_when_up_returns_and_gone_when_down_returns(turnout: Turnout, home: Path) -> None:
    started = turnout("up", "--detach", "--port", "0", "--speed", "60")
    assert started.returncode == 0, started.stderr
    document = json.loads((home / "engine.json").read_text())
    assert document["endpoint"] in started.stdout
    assert "60 times faster" in started.stdout
    assert turnout("status").returncode == 1  # nothing serves yet
    ended = turnout("down")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not Path(f"/proc/{document['pid']}").exists()
    assert not (home / "engine.json").exists()
    assert turnout("status").returncode == 2
    assert turnout("down").returncode == 0


def test_a_client_that_stalls_does_not_hold_up_the_end_of_the_engine(turnout: Turnout, home: Path) -> None:
    turnout("up", "--detach", "--port", "0")
    document = json.loads((home / "engine.json").read_text())
    with socket.create_connection(("127.0.0.1", document["port"])) as client:
        client.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        ended = turnout("down")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not Path(f"/proc/{document['pid']}").exists()


def test_a_killed_engine_is_told_of_until_another_takes_over(turnout: Turnout, home: Path) -> None:
    turnout("up", "--detach", "--port", "0")
    os.kill(json.loads((home / "engine.json").read_text())["pid"], signal.SIGKILL)
    for verb in ("status", "down"):
        said = turnout(verb)
        assert said.returncode == 2
        assert "was killed, and its tasks may still serve" in said.stderr
    assert turnout("up", "--detach", "--port", "0").returncode == 0
    assert turnout("down", "--remove").returncode == 0
    assert not home.exists()


def test_a_port_that_is_taken_is_one_clear_message(turnout: Turnout, home: Path) -> None:
    turnout("up", "--detach", "--port", "0")
    port = json.loads((home / "engine.json").read_text())["port"]
    other = home.with_name("other")
    for detached in ((), ("--detach",)):
        command = [sys.executable, "-m", "turnout", "up", "--port", str(port), "--home", str(other), *detached]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"turnout: cannot listen on 127.0.0.1:{port}")
        assert "Traceback" not in refused.stderr


def test_the_world_is_not_let_in_without_keys(turnout: Turnout) -> None:
    refused = turnout("up", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "TURNOUT_KEYS" in refused.stderr


@pytest.mark.parametrize("detached", [(), ("--detach",)])
def test_a_home_that_cannot_be_is_one_clear_message(turnout: Turnout, home: Path, detached: tuple[str, ...]) -> None:
    home.write_text("a file")
    refused = turnout("up", "--port", "0", *detached)
    assert refused.returncode == 2
    assert f"{home} cannot be turnout's home" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("option", "value"), [("--port", "65536"), ("--port", "-1"), ("--region", "eu west")])
def test_an_option_that_cannot_be_is_refused_before_anything_starts(
    turnout: Turnout, home: Path, option: str, value: str
) -> None:
    refused = turnout("up", "--detach", option, value)
    assert refused.returncode == 2
    assert option in refused.stderr
    assert not home.exists()


def test_keeping_the_tasks_and_removing_the_home_exclude_each_other(turnout: Turnout) -> None:
    assert turnout("down", "--keep-serving", "--remove").returncode == 2

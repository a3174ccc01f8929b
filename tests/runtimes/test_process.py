"""What the process runtime promises beyond the contract: nothing leaks, and the engine may die at any time."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.rigs import ONE_PORT, ProcessRig
from turnout.runtimes import Port
from turnout.runtimes.detached import Detached, find, spawn


@pytest.fixture(params=["sandboxed", "plain"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> ProcessRig:
    return ProcessRig(tmp_path / "home", is_sandboxed=request.param == "sandboxed")


only_sandboxed = pytest.mark.parametrize("rig", ["sandboxed"], indirect=True)


async def _engine(rig: ProcessRig) -> asyncio.subprocess.Process:
    kind = "sandboxed" if rig.is_sandboxed else "plain"
    engine = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.runtimes.engine", str(rig.config.home), kind, str(rig.port)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert engine.stdout is not None
    assert await engine.stdout.readline() == b"started\n"
    await rig.is_up("task")
    return engine


async def test_a_task_outlives_an_engine_that_is_killed_and_is_found_by_the_next(rig: ProcessRig) -> None:
    engine = await _engine(rig)
    engine.kill()
    await engine.wait()
    await rig.restart()
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.is_running
    assert await rig.answers(state)
    await rig.end("task", 9)
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.exit_code == 9


async def test_an_exit_while_no_engine_lives_is_learnt_by_the_next(rig: ProcessRig) -> None:
    engine = await _engine(rig)
    engine.kill()
    await engine.wait()
    await rig.end("task", 7)  # Returns when the task has closed its connection: it may still be on its way out.
    await rig.restart()
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert (state.is_running, state.exit_code) == (False, 7)


async def test_a_hangup_of_the_engines_terminal_does_not_reach_the_task(rig: ProcessRig) -> None:
    engine = await _engine(rig)
    engine.send_signal(signal.SIGHUP)
    await engine.wait()
    await rig.restart()
    assert (await rig.ask("task", "identity"))["cwd"]


async def test_a_task_has_the_environment_it_was_given_and_nothing_of_the_engines(
    rig: ProcessRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the engine's")
    state = await rig.start("task", environment={"COLOUR": "green", "PORT": "80"}, ports=ONE_PORT)
    environment = await rig.ask("task", "environment")
    given = {"COLOUR": "green", "PORT": str(state.ports[0].host_port), "RIG": str(rig.port), "NAME": "task"}
    assert environment.items() >= given.items()
    assert environment.keys() - given.keys() <= {"PATH", "HOME", "TMPDIR", "PWD", "SHLVL", "LC_CTYPE"}


async def test_a_task_inherits_no_descriptor_of_the_engine(rig: ProcessRig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        await rig.start("task")
        descriptors = await rig.ask("task", "descriptors")
    kinds = {number: name.split(":")[0] for number, name in descriptors.items()}
    assert kinds.pop("0") == "/dev/null"
    assert kinds.pop("1") == kinds.pop("2")
    # Its own connection to the rig, and the folder of descriptors that it has just read.
    assert [name for name in kinds.values() if name != "socket" and not name.startswith("/proc/")] == []
    assert list(kinds.values()).count("socket") == 1


@only_sandboxed
async def test_a_sandboxed_task_can_write_neither_its_image_nor_the_host(rig: ProcessRig) -> None:
    await rig.start("task")
    for path in ("/app/program.py", "/app/new", "/usr/new", "/etc/new", "/new"):
        assert await rig.ask("task", "write", path) in ("OSError", "PermissionError"), path
    assert await rig.ask("task", "write", "/tmp/new") == "written"
    assert not Path("/tmp/new").exists()


@only_sandboxed
async def test_a_sandboxed_task_sees_neither_the_engines_home_nor_other_processes(rig: ProcessRig) -> None:
    await rig.start("task")
    assert await rig.ask("task", "see", str(rig.config.home)) == "FileNotFoundError"
    assert await rig.ask("task", "see", "/tmp") == []
    assert await rig.ask("task", "see", "/app") == ["program.py"]
    seen = await rig.ask("task", "see", "/proc")
    assert len([name for name in seen if name.isdigit()]) <= 3


@only_sandboxed
async def test_a_sandboxed_task_has_no_capabilities(rig: ProcessRig) -> None:
    await rig.start("task")
    identity = await rig.ask("task", "identity")
    assert int(identity["capabilities"].split()[1], 16) == 0
    assert identity["cwd"] == "/app"


@only_sandboxed
async def test_a_sandboxed_task_believes_to_be_the_user_it_asked_for(rig: ProcessRig) -> None:
    state = await rig.start("task", user="1234:5678")
    if rig.runtime.sandbox == "bubblewrap without a user namespace":
        assert state.reason is not None
        assert "needs a user namespace" in state.reason
        return
    identity = await rig.ask("task", "identity")
    assert (identity["uid"], identity["gid"]) == (1234, 5678)


async def test_an_unknown_user_is_a_container_that_cannot_start(rig: ProcessRig) -> None:
    state = await rig.start("task", user="nosuch")
    assert state.reason == ("CannotStartContainerError: unable to find user nosuch: no matching entries in passwd file")


async def test_without_a_sandbox_another_user_is_refused(tmp_path: Path) -> None:
    rig = ProcessRig(tmp_path / "home", is_sandboxed=False)
    await rig.open()
    state = await rig.start("task", user="1234:5678")
    assert state.reason is not None
    assert state.reason.startswith("CannotStartContainerError: user '1234:5678' needs a user namespace")
    await rig.close()


async def test_what_a_task_leaves_running_ends_with_it(rig: ProcessRig) -> None:
    await rig.start("task")
    await rig.ask("task", "leave_behind")
    await rig.end("task", 0)
    await rig.exit_of("task")
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if _has(path, f"RIG={rig.port}")]
    assert left == []


def _has(environ: Path, variable: str) -> bool:
    try:
        return f"{variable}\0".encode() in environ.read_bytes()
    except OSError:
        return False


async def test_sigterm_reaches_a_task_that_ends_gracefully(rig: ProcessRig) -> None:
    await rig.start("task", environment={"GRACEFUL": "1"})
    await rig.runtime.kill("task", "SIGTERM")
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.exit_code == 0


async def test_who_kills_the_supervisor_takes_the_exit_code_along_and_the_task(rig: ProcessRig) -> None:
    await rig.start("task")
    detached = find(rig.config.tasks / "task")
    assert detached is not None
    assert detached.identity is not None
    os.kill(detached.identity.pid, signal.SIGKILL)
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert (state.is_running, state.exit_code) == (False, None)
    assert state.reason is not None
    if not rig.is_sandboxed:
        await rig.end("task", 0)  # Nobody else can: without a sandbox it goes on.


async def test_a_port_asked_for_by_number_is_given_once(rig: ProcessRig) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        state = await rig.start("late", ports=(Port(80, port),))
        assert state.reason == (
            f"CannotStartContainerError: Bind for 0.0.0.0:{port} failed: port is already allocated (to another process)"
        )
    state = await rig.start("task", ports=(Port(80, port),))
    assert state.ports == (Port(80, port),)
    assert await rig.answers(state)
    state = await rig.start("other", ports=(Port(80, port),))
    assert state.reason is not None
    assert state.reason.endswith("port is already allocated (to task)")


async def test_a_file_that_is_not_executable_is_a_container_that_cannot_start(rig: ProcessRig) -> None:
    state = await rig.start("task", command=("/app/program.py",))
    assert (state.exit_code, state.is_running) == (126, False)
    assert state.reason is not None
    assert "permission denied" in state.reason


async def test_a_working_directory_that_does_not_exist_is_a_container_that_cannot_start(rig: ProcessRig) -> None:
    state = await rig.start("task", working_directory="/nosuch")
    assert state.reason is not None
    assert state.reason.startswith('CannotStartContainerError: chdir to cwd ("/nosuch")')


async def test_an_entry_point_replaces_the_command_of_the_image(rig: ProcessRig) -> None:
    await rig.start("task", entry_point=("python3", "-I"), command=("/app/program.py",))
    assert (await rig.runtime.find("task")) is not None


async def test_space_of_output_that_was_read_is_given_back_and_nothing_is_lost(rig: ProcessRig) -> None:
    await rig.start("task")
    output = rig.config.tasks / "task" / "output"
    line = "x" * 1023
    position, read = None, 0
    for _ in range(3):
        await rig.say("task", f"{line}\n" * 2048)
        while True:
            lines, position = await rig.runtime.read_output("task", position)
            if not lines:
                break
            assert {text for _, text in lines} == {line}
            read += len(lines)
    assert read == 3 * 2048
    assert output.stat().st_size == 6 * 1024 * 1024
    assert output.stat().st_blocks * 512 <= 3 * 1024 * 1024


async def test_a_removed_workload_leaves_nothing_once_it_was_read(rig: ProcessRig) -> None:
    await rig.start("task")
    await rig.say("task", "bye\n")
    await rig.end("task", 0)
    await rig.exit_of("task")
    _, position = await rig.runtime.read_output("task", None)
    await rig.runtime.remove("task")
    await rig.runtime.read_output("task", position)
    assert list(rig.config.tasks.iterdir()) == []


async def test_an_engine_killed_between_the_record_and_the_start_starts_it_on_the_same_ports(rig: ProcessRig) -> None:
    state = await rig.start("task", ports=ONE_PORT)
    await rig.end("task", 0)
    await rig.exit_of("task")
    (rig.config.tasks / "task" / "pid").unlink()
    (rig.config.tasks / "task" / "exit").unlink()
    await rig.restart()
    assert await rig.runtime.find("task") is None
    rig.forget("task")
    again = await rig.start("task", ports=ONE_PORT)
    assert again.is_running
    assert again.ports == state.ports


async def test_what_an_interrupted_start_left_behind_can_be_ended(
    rig: ProcessRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine ends between the fork and the note of it: `turnout down` must not leave the task serving."""
    begun = asyncio.Event()

    async def never_return(*arguments: Any, **members: Any) -> Detached:
        await spawn(*arguments, **members)
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("turnout.runtimes.process.spawn", never_return)
    start = asyncio.create_task(rig.start("task"))
    await begun.wait()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await rig.runtime.kill("task", "SIGKILL")
    detached = find(rig.runtime.folder / "task")
    assert detached is not None
    assert await detached.wait() == 128 + signal.SIGKILL


async def test_a_command_sees_the_files_the_network_and_the_environment_of_its_container(rig: ProcessRig) -> None:
    state = await rig.start("task", ports=ONE_PORT)
    place = "/tmp/note" if rig.is_sandboxed else str(rig.config.tasks / "task" / "tmp" / "note")
    assert await rig.ask("task", "write", place) == "written"
    assert (await rig.exec("task", 'cat "$HOME/note"; pwd')).output.split()[0].startswith("x")
    connects = f"import os, socket; socket.create_connection(('127.0.0.1', {state.ports[0].host_port}))"
    workload = rig.workload("task", await rig.runtime.resolve("program:1", "us-east-1"), ports=ONE_PORT)
    ran = await rig.runtime.exec(workload, ["python3", "-c", f"{connects}; print(os.environ['PORT'])"], 20)
    assert (ran.exit_code, ran.output) == (0, str(state.ports[0].host_port))


@only_sandboxed
async def test_a_command_sees_the_processes_of_its_sandbox_and_has_no_more_rights(rig: ProcessRig) -> None:
    await rig.start("task")
    own = await rig.ask("task", "identity")
    ran = await rig.exec("task", "readlink /proc/self/ns/pid; grep CapEff /proc/self/status; cat /proc/2/cmdline")
    namespace, capabilities, program = ran.output.split("\n")
    assert namespace == own["namespace"]
    assert int(capabilities.split()[1], 16) == 0
    assert "program.py" in program
    assert (await rig.exec("task", f"ls {rig.config.home}")).exit_code != 0


async def test_what_a_command_started_ends_with_it_when_its_time_is_up(rig: ProcessRig) -> None:
    one, two = (random.randint(10**6, 10**9) for _ in range(2))  # no other test's, on this machine
    await rig.start("task")
    await rig.exec("task", f"sleep {one} & sleep {two} & wait", timeout_s=0.5)
    listing = await asyncio.create_subprocess_exec("ps", "-eo", "args", stdout=subprocess.PIPE)
    running = (await listing.communicate())[0].decode().splitlines()
    assert not {f"sleep {one}", f"sleep {two}"} & set(running)


async def test_a_talkative_command_is_not_held_up_and_its_beginning_is_kept(rig: ProcessRig) -> None:
    await rig.start("task")
    ran = await rig.exec("task", "head -c 300000 /dev/zero | tr '\\0' x")
    assert (ran.exit_code, ran.output) == (0, "x" * 4096)


async def test_the_cpu_time_and_the_memory_of_a_task_and_of_its_children_are_measured(rig: ProcessRig) -> None:
    """By /proc, also after a restart of the engine, and also of children that have ended."""
    await rig.start("task")
    before = (await rig.runtime.usage(["task"]))["task"]
    await rig.ask("task", "work", 0.4, 48)
    used = (await rig.runtime.usage(["task"]))["task"]
    assert 0.35 <= used.cpu_s - before.cpu_s < 2
    assert 44 << 20 <= used.memory_bytes - before.memory_bytes < 96 << 20  # some of it was free in the process before
    await rig.restart()
    assert (await rig.runtime.usage(["task"]))["task"].cpu_s >= used.cpu_s

"""Detached processes on their own, as builds use them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from turnout.runtimes.detached import find, spawn
from turnout.runtimes.supervisor import WITH_LEFTOVERS, fork

PATH = {"PATH": os.defpath}


async def test_two_starts_in_one_folder_make_one_process(tmp_path: Path) -> None:
    """Neither has seen the other's: it is the supervisors who settle it."""
    both = await asyncio.gather(*(spawn(tmp_path, ["sh", "-c", "echo once"], PATH) for _ in range(2)))
    assert both[0].identity == both[1].identity
    assert await both[0].wait() == 0
    assert (tmp_path / "output").read_text() == "once\n"


async def test_a_folder_is_never_used_twice(tmp_path: Path) -> None:
    assert await (await spawn(tmp_path, ["true"], PATH)).wait() == 0
    again = await spawn(tmp_path, ["false"], PATH)
    assert again.exit_code() == 0


async def test_the_output_is_both_streams_and_nothing_else(tmp_path: Path) -> None:
    process = await spawn(tmp_path, ["sh", "-c", "echo out; echo err >&2; kill -KILL $$"], PATH)
    assert await process.wait() == 137
    assert process.output.read_text() == "out\nerr\n"


async def test_a_command_that_does_not_exist_ends_with_127_and_says_so(tmp_path: Path) -> None:
    process = await spawn(tmp_path, ["nosuch"], PATH)
    assert await process.wait() == 127
    assert "nosuch" in process.output.read_text()


async def test_a_missing_directory_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await spawn(tmp_path / "a", ["true"], PATH, tmp_path / "nosuch")
    assert find(tmp_path / "a") is None


async def test_the_environment_is_as_given(tmp_path: Path) -> None:
    process = await spawn(tmp_path, ["env"], {**PATH, "A": "1\n2", "turnout_folder": "mine"}, tmp_path)
    await process.wait()
    lines = process.output.read_text().splitlines()
    assert {"A=1", "2"} <= set(lines)
    assert {line.split("=")[0] for line in lines} <= {"PATH", "A", "2", "turnout_folder", "PWD", "SHLVL", "_"}


async def test_children_go_on_only_where_they_may(tmp_path: Path) -> None:
    for leaves in (True, False):
        folder = tmp_path / str(leaves)
        process = await spawn(folder, ["sh", "-c", "sleep 600 & echo $!"], PATH, leaves_children=leaves)
        assert await process.wait() == 0
        child = int(process.output.read_text())
        if leaves:
            os.kill(child, signal.SIGKILL)
        else:
            pidfd = None
            try:
                pidfd = os.pidfd_open(child)
            except ProcessLookupError:
                continue
            await _readable(pidfd)
            os.close(pidfd)


async def _readable(fd: int) -> None:
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(fd, lambda: None if over.done() else over.set_result(None))
    await over
    asyncio.get_running_loop().remove_reader(fd)


async def test_a_supervisor_that_died_with_the_machine_is_an_ended_process(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("")
    process = await spawn(tmp_path, ["true"], PATH)
    assert not process.is_alive()
    assert await process.wait() is None


async def test_a_process_of_another_boot_is_not_taken_for_ours(tmp_path: Path) -> None:
    mine = Path(f"/proc/{os.getpid()}/stat").read_text()
    (tmp_path / "pid").write_text(f"11111111-2222-3333-4444-555555555555 {mine}")
    process = find(tmp_path)
    assert process is not None
    assert not process.is_alive()


async def test_a_pid_that_was_given_away_again_is_not_taken_for_ours(tmp_path: Path) -> None:
    process = await spawn(tmp_path, ["true"], PATH)
    await process.wait()
    mine = Path(f"/proc/{os.getpid()}/stat").read_text()
    boot, _, line = (tmp_path / "pid").read_text().partition(" ")
    (tmp_path / "pid").write_text(f"{boot} {os.getpid()} {line.partition(' ')[2]}")
    (tmp_path / "exit").unlink()
    found = find(tmp_path)
    assert found is not None
    assert found.identity is not None
    assert found.identity.pid == int(mine.split()[0])
    assert not found.is_alive()
    found.signal(signal.SIGKILL)  # Or this test would be its last act.


def children() -> set[str]:
    """The pids of this process's children, zombies included."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_watching_leaves_no_zombie_and_no_descriptor(tmp_path: Path) -> None:
    children_before = children()  # other tests may have left some: an engine that they killed, say
    before = len(list(Path("/proc/self/fd").iterdir()))
    processes = await asyncio.gather(*(spawn(tmp_path / str(n), ["true"], PATH) for n in range(20)))
    for process in processes:
        assert await process.wait() == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert children() <= children_before


async def test_sigterm_before_the_command_has_begun_ends_it_all_the_same(tmp_path: Path) -> None:
    process = await spawn(tmp_path, ["sh", "-c", "trap '' TERM; sleep 600"], PATH)
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGKILL)
    assert await process.wait() in (137, 143)


async def test_an_engine_that_dies_before_it_hears_of_the_start_has_started_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fifo = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    _, pipe = fork(WITH_LEFTOVERS, tmp_path, ["sh", "-c", "echo up >fifo; exit 3"], PATH, tmp_path)
    os.close(pipe)
    await _readable(fifo)
    os.close(fifo)
    process = await spawn(tmp_path, ["false"], PATH)
    assert await process.wait() == 3

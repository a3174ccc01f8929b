"""What every runtime promises, run on the fake as well: that is what makes the fake honest."""

from __future__ import annotations

import asyncio

import pytest

from tests.runtimes.rigs import ONE_PORT, Rig
from turnout.errors import StepFailed
from turnout.runtimes import Port


async def test_a_workload_is_started_once_however_often_it_is_asked_for(rig: Rig) -> None:
    first = await rig.start("task")
    assert first.is_running
    assert await rig.start("task") == first
    assert await rig.runtime.names() == ["task"]


async def test_starting_an_ended_workload_again_says_what_became_of_it(rig: Rig) -> None:
    await rig.start("task")
    await rig.end("task", 3)
    await rig.exit_of("task")
    state = await rig.start("task")
    assert (state.is_running, state.exit_code) == (False, 3)


async def test_a_workload_answers_on_the_ports_it_was_given(rig: Rig) -> None:
    state = await rig.start("task", ports=(Port(8000), Port(9000)))
    assert [port.container_port for port in state.ports] == [8000, 9000]
    assert await rig.answers(state)


async def test_no_two_workloads_get_the_same_port(rig: Rig) -> None:
    states = [await rig.start(f"task-{number}", ports=(Port(8000), Port(9000))) for number in range(4)]
    assert len({port.host_port for state in states for port in state.ports}) == 8


async def test_only_whole_lines_are_read_until_the_workload_has_ended(rig: Rig) -> None:
    await rig.start("task")
    await rig.say("task", "one\ntwo\nthr")
    lines, position = await rig.runtime.read_output("task", None)
    assert [text for _, text in lines] == ["one", "two"]
    await rig.say("task", "ee\n")
    lines, position = await rig.runtime.read_output("task", position)
    assert [text for _, text in lines] == ["three"]
    assert await rig.runtime.read_output("task", position) == ([], position)


async def test_the_output_of_a_removed_workload_can_still_be_read(rig: Rig) -> None:
    await rig.start("task")
    await rig.say("task", "last words\n")
    await rig.end("task", 0)
    await rig.exit_of("task")
    await rig.runtime.remove("task")
    assert await rig.runtime.find("task") is None
    assert await rig.runtime.names() == []
    lines, _ = await rig.runtime.read_output("task", None)
    assert [text for _, text in lines] == ["last words"]


async def test_a_running_workload_is_not_removed(rig: Rig) -> None:
    await rig.start("task")
    await rig.runtime.remove("task")
    assert await rig.runtime.names() == ["task"]


async def test_sigterm_ends_a_workload_that_does_not_handle_it_with_143(rig: Rig) -> None:
    await rig.start("task")
    await rig.runtime.kill("task", "SIGTERM")
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert (state.is_running, state.exit_code, state.reason) == (False, 143, None)


async def test_a_workload_that_ignores_sigterm_ends_by_sigkill_with_137(rig: Rig) -> None:
    await rig.start("task", environment={"STUBBORN": "1"})
    await rig.runtime.kill("task", "SIGTERM")
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.is_running
    await rig.runtime.kill("task", "SIGKILL")
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert (state.is_running, state.exit_code) == (False, 137)


async def test_killing_an_ended_or_unknown_workload_does_nothing(rig: Rig) -> None:
    await rig.start("task")
    await rig.end("task", 0)
    await rig.exit_of("task")
    await rig.runtime.kill("task", "SIGKILL")
    await rig.runtime.kill("nobody", "SIGKILL")
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.exit_code == 0


async def test_an_engine_that_starts_again_finds_what_runs_and_what_has_ended(rig: Rig) -> None:
    running = await rig.start("running", ports=ONE_PORT)
    await rig.start("ended")
    await rig.end("ended", 7)
    await rig.exit_of("ended")
    await rig.restart()
    assert sorted(await rig.runtime.names()) == ["ended", "running"]
    assert await rig.runtime.find("running") == running
    ended = await rig.runtime.find("ended")
    assert ended is not None
    assert ended.exit_code == 7


async def test_an_engine_that_started_again_is_told_of_exits_too(rig: Rig) -> None:
    await rig.start("task")
    await rig.restart()
    await rig.end("task", 5)
    await rig.exit_of("task")
    state = await rig.runtime.find("task")
    assert state is not None
    assert state.exit_code == 5


async def test_a_command_that_does_not_exist_is_a_container_that_cannot_start(rig: Rig) -> None:
    state = await rig.start("task", command=("nosuch",))
    assert (state.is_running, state.exit_code) == (False, 127)
    assert state.reason is not None
    assert state.reason.startswith('CannotStartContainerError: exec: "nosuch": executable file not found in $PATH')


async def test_an_image_that_is_not_there_cannot_be_pulled(rig: Rig) -> None:
    with pytest.raises(StepFailed, match=r"failed to resolve ref .*program:nosuch: ") as failed:
        await rig.runtime.resolve("program:nosuch", "us-east-1")
    assert failed.value.code == "CannotPullContainerError"


async def test_an_image_is_resolved_to_its_digest(rig: Rig) -> None:
    resolved = await rig.runtime.resolve("program:1", "us-east-1")
    assert "@sha256:" in resolved
    assert await rig.runtime.resolve(resolved, "us-east-1") == resolved


async def test_unknown_workloads_are_not_found(rig: Rig) -> None:
    assert await rig.runtime.find("nobody") is None
    assert await rig.runtime.read_output("nobody", None) == ([], "0")
    await rig.runtime.remove("nobody")


async def test_workloads_start_side_by_side(rig: Rig) -> None:
    states = await asyncio.gather(*(rig.start(f"task-{number}", ports=ONE_PORT) for number in range(6)))
    assert all(state.is_running for state in states)
    assert len({state.ports[0].host_port for state in states}) == 6


async def test_a_command_runs_inside_a_workload_and_its_end_and_output_are_told(rig: Rig) -> None:
    await rig.start("task")
    ran = await rig.exec("task", "echo $NAME; exit 3")
    assert (ran.exit_code, ran.output) == (3, "task")
    assert (await rig.exec("task", "exit 0")).exit_code == 0


async def test_a_command_that_takes_too_long_is_killed_and_has_no_exit_code(rig: Rig) -> None:
    await rig.start("task")
    assert (await rig.exec("task", "sleep 60", timeout_s=0.3)).exit_code is None


async def test_a_command_inside_a_workload_that_does_not_run_has_no_exit_code(rig: Rig) -> None:
    assert (await rig.exec("nobody", "exit 0")).exit_code is None
    await rig.start("task")
    await rig.end("task", 0)
    await rig.exit_of("task")
    ran = await rig.exec("task", "exit 0")
    assert (ran.exit_code, ran.output) == (None, "the container does not run")


async def test_an_engine_that_started_again_runs_commands_inside_what_runs(rig: Rig) -> None:
    await rig.start("task")
    await rig.restart()
    assert (await rig.exec("task", "echo $NAME; exit 3")).output == "task"


async def test_what_runs_uses_something_and_what_does_not_is_left_out(rig: Rig) -> None:
    await rig.start("running")
    await rig.start("ended")
    await rig.end("ended", 0)
    await rig.exit_of("ended")
    (used,) = (await rig.runtime.usage(["running", "ended", "nobody"])).items()
    assert used[0] == "running"
    assert used[1].memory_bytes > 0

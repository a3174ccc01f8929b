"""Builds that do not just run: stopped, out of time, or found again by another engine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.building import Building, context_of, statuses
from turnout.runtimes.detached import find
from turnout.runtimes.processes import stat_of

SLOW = """
    version: 0.2
    phases:
      build:
        commands:
          - echo $$ >pid; echo begun >>count; sleep 600
        finally:
          - echo finally
      post_build:
        commands: [echo never]
    """


@pytest.fixture
def building(world: Any) -> Building:
    return Building(world)


def begin(building: Building, buildspec: str = SLOW, phase: str = "BUILD", **overrides: Any) -> str:
    """A build whose BUILD phase is at its slow command."""
    building.create(buildspec)
    build_id = building.start(**overrides)
    building.world.tick()
    assert building.get(build_id)["currentPhase"] == phase
    building.world.run(appeared(source_of(building, build_id) / "pid"))
    return build_id


def folder_of(building: Building, build_id: str) -> Path:
    return Path(building.world.engine.config.builds / build_id.partition(":")[2])


def source_of(building: Building, build_id: str) -> Path:
    return folder_of(building, build_id) / "src" / "00"


async def appeared(path: Path) -> None:
    """Until a command has written a whole line into a file."""
    async with asyncio.timeout(30):
        while not path.exists() or not path.read_text().endswith("\n"):  # noqa: ASYNC110  # a shell tells no event
            await asyncio.sleep(0.01)


def test_a_stopped_build_ends_its_processes_and_skips_to_the_end(building: Building) -> None:
    build_id = begin(building)
    pid = int((source_of(building, build_id) / "pid").read_text())
    answer = building.codebuild.stop_build(id=build_id)["build"]
    assert answer["buildStatus"] == "IN_PROGRESS"
    build = building.finish(build_id)
    assert build["buildStatus"] == "STOPPED"
    assert statuses(build)["BUILD"] == "STOPPED"
    assert list(statuses(build))[-3:] == ["BUILD", "FINALIZING", "COMPLETED"]
    assert context_of(build, "BUILD") == {"statusCode": "", "message": ""}
    stat = stat_of(pid)
    assert stat is None or stat.is_dead
    assert not {"finally", "never"} & set(building.said(build))
    assert building.codebuild.stop_build(id=build_id)["build"]["buildStatus"] == "STOPPED"


def test_a_command_that_ignores_sigterm_is_killed_after_a_grace(building: Building) -> None:
    build_id = begin(building, SLOW.replace("echo $$ >pid;", "trap '' TERM; echo $$ >pid;"))
    building.codebuild.stop_build(id=build_id)
    building.world.tick()
    assert building.get(build_id)["currentPhase"] == "BUILD"
    building.world.tick(10)
    build = building.finish(build_id)
    assert build["buildStatus"] == "STOPPED"


def test_a_command_may_clean_up_before_it_ends(building: Building) -> None:
    slow = "trap 'sleep 0.3; echo cleaned; exit 1' TERM; echo $$ >pid; while :; do sleep 0.01; done; sleep 600"
    build_id = begin(building, SLOW.replace("echo $$ >pid; echo begun >>count; sleep 600", f'"{slow}"'))
    building.codebuild.stop_build(id=build_id)
    build = building.finish(build_id)
    assert build["buildStatus"] == "STOPPED"
    assert "cleaned" in building.said(build)
    assert "finally" not in building.said(build)


def test_a_build_that_was_stopped_before_it_began_runs_nothing(building: Building) -> None:
    building.create(SLOW)
    build_id = building.start()
    building.codebuild.stop_build(id=build_id)
    building.world.tick()
    build = building.get(build_id)
    assert build["buildStatus"] == "STOPPED"
    assert list(statuses(build)) == ["SUBMITTED", "QUEUED", "FINALIZING", "COMPLETED"]


def test_a_build_ends_when_its_time_is_over(building: Building) -> None:
    build_id = begin(building, timeoutInMinutesOverride=5)
    building.world.tick(5 * 60)
    build = building.finish(build_id)
    assert build["buildStatus"] == "TIMED_OUT"
    assert statuses(build)["BUILD"] == "TIMED_OUT"
    assert list(statuses(build))[-3:] == ["BUILD", "FINALIZING", "COMPLETED"]
    assert context_of(build, "BUILD") == {"statusCode": "BUILD_TIMED_OUT", "message": "Build has timed out. "}


def test_a_phase_outlives_the_engine_and_is_not_run_twice(building: Building) -> None:
    build_id = begin(building)
    source = source_of(building, build_id)
    building.die()
    building.revive()
    building.world.tick()
    assert building.get(build_id)["currentPhase"] == "BUILD"
    assert (source / "count").read_text() == "begun\n"
    sleeping = int((source / "pid").read_text())
    children = Path(f"/proc/{sleeping}/task/{sleeping}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    build = building.finish(build_id)
    assert statuses(build)["BUILD"] == "FAILED"
    assert context_of(build, "BUILD")["message"].endswith("Reason: exit status 137")
    assert building.said(build)[-2:] == ["finally", "never"]


def test_a_phase_that_ended_while_no_engine_was_there_is_read_by_the_next(building: Building) -> None:
    build_id = begin(
        building,
        SLOW.replace("sleep 600", "while ! test -e go; do sleep 0.01; done; echo went").replace("never", "post"),
    )
    source = source_of(building, build_id)
    process = find(folder_of(building, build_id) / "BUILD")
    building.die()
    (source / "go").touch()
    assert process is not None
    assert asyncio.run(process.wait()) == 0
    building.revive()
    build = building.finish(build_id)
    assert build["buildStatus"] == "SUCCEEDED"
    assert building.said(build) == ["went", "finally", "post"]


def test_output_arrives_while_a_command_runs(building: Building) -> None:
    build_id = begin(building, SLOW.replace("echo $$ >pid;", "echo progress; echo $$ >pid;"))

    async def arrived() -> None:
        stream = {"logGroupName": "/aws/codebuild/app", "logStreamName": build_id.partition(":")[2]}
        async with asyncio.timeout(30):
            while True:
                answer = await building.world.aws.call(
                    "logs", "GetLogEvents", "us-east-1", startFromHead=True, **stream
                )
                if "progress" in [event["message"] for event in answer["events"]]:
                    return
                await asyncio.sleep(0.01)

    building.world.run(arrived())
    building.codebuild.stop_build(id=build_id)
    building.finish(build_id)

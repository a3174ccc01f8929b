"""The engine is killed at every commit and around every act of an execution: nothing is lost, nothing happens twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.pipeline import PipelineWorld
from tests.fakes.readings import executions_of, stages_of
from tests.fakes.seed import seed


class Killed(BaseException):
    """The engine dies: nothing catches this."""


class Fuse:
    """Counts the commits and acts of the engine's own work, and kills it at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.count = 0
        self.kill_at = kill_at

    def __call__(self, point: str) -> None:
        self.count += 1
        if self.count == self.kill_at:
            raise Killed(point)


class Mortal:
    """A yard whose engine may die while it works, and is started again."""

    def __init__(self, home: Path, fuse: Fuse) -> None:
        self.yard = PipelineWorld(home)
        self.fuse = fuse
        self.client = self.yard.boto("codepipeline")

    def work(self) -> None:
        """Run all that is due, through deaths."""
        self.yard.fuse = self.fuse
        try:
            self.yard.tick(120)
        except Killed:
            self.yard.reboot()
            self.yard.tick(120)
        self.yard.fuse = lambda point: None

    def end_all(self, build: str = "SUCCEEDED", deployment: str = "Succeeded") -> None:
        """Builds and deployments in progress end, and the engine goes on."""
        yard = self.yard
        tick, yard.tick = yard.tick, lambda seconds=0.0: None  # type: ignore[method-assign]
        for name, state in yard.codebuild.states.items():
            if state["buildStatus"] == "IN_PROGRESS":
                yard.codebuild.succeed(name) if build == "SUCCEEDED" else yard.codebuild.end(name, buildStatus=build)
        for name, state in yard.codedeploy.states.items():
            if state["status"] == "InProgress":
                yard.codedeploy.end(name, status=deployment)
        yard.tick = tick  # type: ignore[method-assign]
        self.work()


def straight(mortal: Mortal) -> None:
    mortal.work()
    mortal.end_all()
    mortal.end_all()


def superseded(mortal: Mortal) -> None:
    for commit in ("c2", "c3"):
        mortal.yard.codecommit.push(commit)
        mortal.work()
    mortal.end_all()


def retried(mortal: Mortal) -> None:
    mortal.end_all(build="FAILED")
    summary = mortal.client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"][0]
    mortal.client.retry_stage_execution(
        pipelineName="web",
        stageName="Build",
        pipelineExecutionId=summary["pipelineExecutionId"],
        retryMode="FAILED_ACTIONS",
    )
    mortal.end_all()


def abandoned(mortal: Mortal) -> None:
    summary = mortal.client.list_pipeline_executions(pipelineName="web")["pipelineExecutionSummaries"][0]
    mortal.client.stop_pipeline_execution(
        pipelineName="web", pipelineExecutionId=summary["pipelineExecutionId"], abandon=True
    )
    mortal.work()


def outcome(home: Path, story: Callable[[Mortal], None], fuse: Fuse) -> dict[str, Any]:
    """Everything that can be seen from outside after a story."""
    home.mkdir()
    mortal = Mortal(home, fuse)
    yard = mortal.yard
    yard.codecommit.push("c1")
    mortal.client.create_pipeline(pipeline=seed())
    if story is not straight:
        yard.tick()
    story(mortal)
    seen = {
        "executions": executions_of(mortal.client),
        "stages": stages_of(mortal.client),
        "builds": len(yard.codebuild.inputs),
        "deployments": len(yard.codedeploy.inputs),
        "task definitions": len(yard.ecs.registered),
        **{what: sorted(yard.told(what)) for what in ("Pipeline", "Stage", "Action")},
    }
    yard.close()
    return seen


@pytest.mark.parametrize("story", [straight, superseded, retried, abandoned])
def test_a_kill_at_any_commit_or_act_changes_nothing(
    tmp_path: Path, story: Callable[[Mortal], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    clean = Fuse(None)
    expected = outcome(tmp_path / "clean", story, clean)
    assert clean.count > 2
    for point in range(1, clean.count + 1):
        assert outcome(tmp_path / str(point), story, Fuse(point)) == expected, f"killed at point {point}"

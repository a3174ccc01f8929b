"""Pushes that overtake each other, and two pipelines that release to one service: nobody's requests are lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.conftest import Live
from tests.real.conftest import live as live
from tests.stories.stage import until
from turnout.cli.demo.scene import load_on
from turnout.cli.demo.versions import Version
from turnout.cli.load import Load


@pytest.fixture
def load(live: Live) -> Iterator[Load]:
    with load_on(live.made, kept=4, fresh=2) as load:
        yield load
    assert dict(load.tally().failures) == {}


def test_of_three_pushes_in_a_row_the_last_one_serves_and_the_one_between_is_superseded(live: Live, load: Load) -> None:
    commits = [live.release(Version(f"push-{number}", "#57606a", f"push {number}")) for number in (1, 2, 3)]
    assert live.follow(commits[-1]).status == "Succeeded"
    listed = live.clients("codepipeline").list_pipeline_executions(pipelineName="hello")["pipelineExecutionSummaries"]
    status = {one["sourceRevisions"][0]["revisionId"]: one["status"] for one in listed if one.get("sourceRevisions")}
    assert status[commits[-1]] == "Succeeded"
    assert {status.get(commit, "Superseded") for commit in commits[:2]} <= {"Succeeded", "Superseded"}
    until(lambda: load.tally().version == "push-3", "the last push serves")
    assert "Superseded" in {one["status"] for one in listed}


def test_a_second_pipeline_of_the_same_service_is_refused_while_the_first_deploys_and_breaks_nothing(
    live: Live, load: Load
) -> None:
    """CodeDeploy takes one deployment of a group at a time: the action of the other pipeline fails and says so."""
    codepipeline = live.clients("codepipeline")
    declaration = codepipeline.get_pipeline(name="hello")["pipeline"]
    codepipeline.create_pipeline(pipeline={**declaration, "name": "hello-again"})
    version = Version("twice", "#57606a", "by two pipelines")
    commit = live.release(version)
    live.follow(commit)

    def ends() -> list[str] | None:
        """How the executions of this commit ended, once both have."""
        found = []
        for name in ("hello", "hello-again"):
            listed = codepipeline.list_pipeline_executions(pipelineName=name)["pipelineExecutionSummaries"]
            ours = [one for one in listed if commit in str(one.get("sourceRevisions", []))]
            found += [one["status"] for one in ours[:1] if one["status"] != "InProgress"]
        return sorted(found) if len(found) == 2 else None

    ended = until(ends, "both pipelines have ended", 120)
    assert "Succeeded" in ended
    assert set(ended) <= {"Succeeded", "Failed"}
    until(lambda: load.tally().version == "twice", "the version serves")
    codepipeline.delete_pipeline(name="hello-again")

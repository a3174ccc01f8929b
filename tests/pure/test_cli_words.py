"""What the command line reads out of AWS's answers and of receipts, and how it says it."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from turnout.cli.follow import deployment_of, stages_of
from turnout.cli.git import ANYBODY, ensure_remote, git
from turnout.cli.history import table
from turnout.cli.logs import label
from turnout.cli.receipt_words import drained, long_connections, reasons, switch_s, waits_for
from turnout.cli.releases import Action, Release, actions_of, release_of
from turnout.cli.running import credentials, find_running, keys_from, require_running
from turnout.cli.screen import duration
from turnout.cli.serving import weights_of
from turnout.cli.status import exit_status, page, plain
from turnout.cli.up import Shell, assignment
from turnout.cli.view import Pipeline, Service, Side, View
from turnout.config import Config
from turnout.errors import SetupError
from turnout.hosting import serve

AT = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


# what cannot be written


def run_in_shell(redirection: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", f'exec "$0" -m turnout --version {redirection}', sys.executable]
    return subprocess.run(words, check=False, stderr=subprocess.PIPE, text=True)


def test_output_that_finds_no_room_is_said_in_a_sentence() -> None:
    done = run_in_shell("> /dev/full")
    assert (done.returncode, done.stderr) == (
        2,
        "turnout: no space is left for what is to be written: free some room.\n",
    )


def test_a_verb_whose_output_is_closed_does_its_work() -> None:
    done = run_in_shell(">&-")
    assert (done.returncode, done.stderr) == (0, "")


# env


@pytest.mark.parametrize(
    ("shell", "line"), [(Shell.sh, "export X='a b'\"'\"'c'"), (Shell.fish, "set -gx X 'a b\\'c';")]
)
def test_a_variable_survives_its_shell(shell: Shell, line: str) -> None:
    assert assignment("X", "a b'c", shell) == line


def test_keys_are_read_as_pairs() -> None:
    assert keys_from({"TURNOUT_KEYS": "AKIA1:one, AKIA2:t:wo"}) == {"AKIA1": "one", "AKIA2": "t:wo"}


@pytest.mark.parametrize("text", ["AKIA1", ":secret", "AKIA1:", "A:b,C"])
def test_keys_that_cannot_be_read_are_refused_instead_of_ignored(text: str) -> None:
    with pytest.raises(SetupError, match="KEYID:SECRET"):
        keys_from({"TURNOUT_KEYS": text})


def test_keys_of_aws_itself_are_never_sent_to_an_engine() -> None:
    mine = {"AWS_ACCESS_KEY_ID": "AKIAMINE", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert credentials("http://127.0.0.1:4566", mine) == ("test", "test")
    assert credentials("http://127.0.0.1:4566", mine | {"TURNOUT_KEYS": "A:b"}) == ("A", "b")
    assert credentials("http://127.0.0.1:4566", mine | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}) == (
        "AKIAMINE",
        "secret",
    )


# A running engine


def test_what_a_killed_engine_left_behind_is_no_running_engine(tmp_path: Path) -> None:
    document = {"pid": os.getpid(), "endpoint": "http://127.0.0.1:1", "port": 1, "home": str(tmp_path)}
    document |= {"region": "us-east-1", "version": "0", "speed": 1.0, "started_at": 0.0, "something": "new"}
    (tmp_path / "engine.json").write_text(json.dumps(document))
    (tmp_path / "lock").write_text(f"turnout, pid {os.getpid()}")
    assert find_running(tmp_path) is None


def test_without_an_engine_one_is_told_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="turnout up --detach --home"):
        require_running(tmp_path)


def test_after_a_kill_one_is_told_that_something_may_still_serve(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text("{}")
    with pytest.raises(SetupError, match="was killed"):
        require_running(tmp_path)


def test_a_second_engine_is_told_who_holds_the_home_and_where(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"endpoint": "http://127.0.0.1:4566"}')
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("turnout, pid 17")
        file.flush()
        with pytest.raises(SetupError, match=r"held by turnout, pid 17, at http://127.0.0.1:4566"):
            asyncio.run(serve(Config(home=tmp_path, port=0), announce=lambda addresses: None))


# Releases


def test_an_execution_is_read_with_its_commit_and_the_first_line_of_its_message() -> None:
    summary = {
        "pipelineExecutionId": "e-1",
        "status": "Succeeded",
        "startTime": AT,
        "lastUpdateTime": AT,
        "sourceRevisions": [{"revisionId": "abc", "revisionSummary": "Say hello\n\nAt length."}],
    }
    found = release_of("hello", summary)
    assert (found.commit, found.subject, found.is_over) == ("abc", "Say hello", True)


def test_an_execution_that_runs_has_no_end() -> None:
    summary = {"pipelineExecutionId": "e-1", "status": "InProgress", "startTime": AT, "lastUpdateTime": AT}
    assert release_of("hello", summary).ended_at is None


def test_the_deployment_of_an_execution_is_found_among_its_actions() -> None:
    def detail(stage: str, second: int, external: str | None) -> dict[str, object]:
        result = {"externalExecutionId": external} if external else {}
        return {
            "stageName": stage,
            "actionName": stage,
            "status": "Succeeded",
            "startTime": AT.replace(second=second),
            "output": {"executionResult": result},
        }

    details = [detail("Deploy", 9, "d-ABC"), detail("Build", 3, "hello:1"), detail("Source", 1, None)]
    actions = actions_of(details)
    assert [action.stage for action in actions] == ["Source", "Build", "Deploy"]
    assert Release("p", "e", "Succeeded", None, None, None, 0.0, 1.0, actions).deployment == "d-ABC"


def test_the_reason_of_a_failure_is_one_line_without_its_frame() -> None:
    text = "Deployment d-A failed. Error code: TIMEOUT; Error message: too late. Its last output:\n  boom"
    assert Action("Deploy", "Deploy", "Failed", "d-A", text).reason == "TIMEOUT: too late."


STATE = {
    "stageStates": [
        {
            "stageName": "Source",
            "latestExecution": {"pipelineExecutionId": "new", "status": "Succeeded"},
            "actionStates": [],
        },
        {
            "stageName": "Deploy",
            "latestExecution": {"pipelineExecutionId": "new", "status": "InProgress"},
            "actionStates": [{"latestExecution": {"status": "InProgress", "externalExecutionId": "d-NEW"}}],
        },
        {
            "stageName": "After",
            "latestExecution": {"pipelineExecutionId": "old", "status": "Succeeded"},
            "actionStates": [],
        },
        {"stageName": "Never", "actionStates": []},
    ]
}


def test_stages_that_an_execution_has_not_reached_are_not_its_own() -> None:
    assert stages_of(STATE, "new") == [("Source", "Succeeded"), ("Deploy", "InProgress")]


def test_the_deployment_under_way_is_the_one_of_the_execution_that_is_followed() -> None:
    assert (deployment_of(STATE, "new"), deployment_of(STATE, "old")) == ("d-NEW", None)


# What serves


def test_weights_are_shares_of_a_hundred() -> None:
    groups = [{"TargetGroupArn": "blue", "Weight": 1}, {"TargetGroupArn": "green", "Weight": 3}]
    listener = {"DefaultActions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}
    assert weights_of(listener) == {"blue": 25, "green": 75}


def test_weights_that_are_all_zero_are_zero() -> None:
    forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "blue", "Weight": 0}]}}
    assert weights_of({"DefaultActions": [forward]}) == {"blue": 0}


def view(latest: str, serving: str, status: str = "Succeeded") -> View:
    def release(name: str, status: str) -> Release:
        ended_at = None if status == "InProgress" else 2.0
        return Release("hello", name, status, name * 40, "s", None, 1.0, ended_at)

    side = Side("hello-blue", 100, Counter(["healthy"]), "PRIMARY")
    last = {"deploymentId": "d-1", "status": "Succeeded"}
    service = Service("hello", "hello", 1, 1, "hello:2", "i@sha256:1", "d-1", (side,), ("http://x",), last)
    return View((service,), (Pipeline("hello", release(latest, status), release(serving, "Succeeded"), "hello/hello"),))


def test_status_is_0_only_if_the_latest_release_serves() -> None:
    assert exit_status(view("b", "b"), None) == 0
    assert exit_status(view("b", "a", "Failed"), None) == 1
    assert exit_status(view("b", "a", "InProgress"), None) == 3


def test_status_of_a_commit_is_0_only_if_that_commit_serves() -> None:
    assert exit_status(view("b", "a", "Failed"), "a" * 7) == 0
    assert exit_status(view("b", "a", "Failed"), "b" * 7) == 1
    assert exit_status(view("b", "a", "InProgress"), "b" * 7) == 3


def test_a_superseded_release_is_not_live_although_it_succeeded_nowhere() -> None:
    assert exit_status(view("b", "a", "Superseded"), None) == 1


def test_a_stack_that_has_released_nothing_yet_is_not_live() -> None:
    made = view("b", "b")
    nothing = replace(made, pipelines=(Pipeline("hello", None, None, "hello/hello"),))
    assert exit_status(nothing, None) == 1


def told(latest: Release) -> str:
    made = view("b", "b")
    screen = Console(width=200, record=True, file=StringIO())
    screen.print(page(replace(made, pipelines=(replace(made.pipelines[0], latest=latest),))))
    return screen.export_text()


def test_only_the_execution_that_comes_with_the_pipeline_means_that_nothing_was_pushed() -> None:
    failed = Release("hello", "x", "Failed", None, None, "CreatePipeline", 1.0, 2.0)
    assert "nothing has been pushed yet" in told(failed)
    assert "nothing has been pushed yet" not in told(replace(failed, trigger="StartPipelineExecution"))


def two_applications() -> View:
    made = view("b", "b")
    service = replace(made.services[0], cluster="shop", name="a-much-longer-name")
    service = replace(service, sides=(Side("a-much-longer-name-green", 100, {"healthy": 1}, "PRIMARY"),))
    pipeline = replace(made.pipelines[0], name="shop", service="shop/a-much-longer-name")
    return View((*made.services, service), (*made.pipelines, pipeline, Pipeline("lonely", None, None, None)))


def test_every_release_is_told_below_the_service_that_it_is_of() -> None:
    screen = Console(width=200, record=True, file=StringIO())
    screen.print(page(two_applications()))
    lines = screen.export_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line and not line.startswith(" ")]
    assert [lines[start].split()[0] for start in starts] == ["hello", "a-much-longer-name", "lonely"]
    for start in starts:
        assert any(line.startswith("  release") for line in lines[start : start + 6])
    assert any("a-much-longer-name-green  100 %" in line for line in lines)


def test_status_can_be_asked_of_one_service_or_one_pipeline() -> None:
    both = two_applications()
    assert [service.name for service in both.of("hello").services] == ["hello"]
    by_pipeline = both.of("shop")
    assert [service.key for service in by_pipeline.services] == ["shop/a-much-longer-name"]
    assert [pipeline.name for pipeline in by_pipeline.pipelines] == ["shop"]
    assert both.of("shop/a-much-longer-name") == by_pipeline
    assert both.of("nobody") == View((), ())


def test_the_execution_that_comes_with_a_pipeline_is_no_failed_release() -> None:
    first = Release("hello", "x", "Failed", None, None, "CreatePipeline", 1.0, 2.0)
    screen = Console(width=200, record=True, file=StringIO())
    screen.print(table("hello", [first]))
    text = screen.export_text()
    assert "Failed" not in text
    assert "the pipeline was created, before anything had been pushed" in text
    assert "Failed" not in plain(View((), (Pipeline("hello", first, None, None),)))


def test_a_service_that_was_rolled_back_is_not_live_although_the_rollback_succeeded() -> None:
    made = view("b", "b")
    rollback = {"deploymentId": "d-2", "status": "Succeeded", "creator": "codeDeployRollback"}
    assert exit_status(replace(made, services=(replace(made.services[0], last_deployment=rollback),)), None) == 1


def test_a_listener_that_leads_past_the_primary_task_set_is_not_live_and_is_told() -> None:
    made = view("b", "b")
    sides = (Side("hello-blue", 0, {"healthy": 1}, "PRIMARY"), Side("hello-green", 100, {}, None))
    drifted = replace(made, services=(replace(made.services[0], sides=sides),))
    assert (exit_status(drifted, None), exit_status(drifted, "b")) == (1, 1)
    assert drifted.services[0].fault == (
        "the production listener leads to hello-green, where the primary task set is not: `turnout rollback`"
        " finishes it"
    )


def test_a_version_without_a_healthy_target_is_not_live() -> None:
    made = view("b", "b")
    sick = replace(made.services[0], sides=(Side("hello-blue", 100, {"unhealthy": 1}, "PRIMARY"),))
    assert sick.fault == "no target of hello-blue is healthy"
    assert exit_status(replace(made, services=(sick,)), None) == 1


def test_a_service_that_no_deployment_group_leads_to_serves_while_its_tasks_run() -> None:
    alone = replace(view("b", "b").services[0], sides=(), last_deployment=None)
    assert (alone.fault, replace(alone, running=0).fault) == (None, "no task is running")


def test_nothing_at_all_is_not_live() -> None:
    assert exit_status(View((), ()), None) == 1


def test_what_serves_can_be_read_by_programs() -> None:
    document = json.loads(json.dumps(view("b", "a", "Failed").document))
    assert document["services"][0]["taskDefinition"] == "hello:2"
    assert document["services"][0]["sides"][0]["health"] == {"healthy": 1}
    assert (document["pipelines"][0]["isLive"], document["isLive"], document["isAtRest"]) == (False, False, True)


def test_one_line_says_what_serves() -> None:
    assert plain(view("b", "b")) == "hello bbbbbbbb Succeeded | hello hello:2 (hello-blue 100), d-1 Succeeded"


# Receipts


def test_the_switch_is_told_in_seconds() -> None:
    assert switch_s({"switch": {"ms": 4.2}}) == pytest.approx(0.0042)
    assert [switch_s(None), switch_s({"switch": None}), switch_s({"switch": {"ms": None}})] == [None, None, None]


def test_what_a_deployment_waits_for_is_the_newest_reason_of_the_step_under_way() -> None:
    waits = [{"at": 1.0, "why": "0 of 1 tasks running"}, {"at": 2.0, "why": "0 of 1 targets healthy"}]
    steps = [
        {"name": "A", "status": "Succeeded", "waits": []},
        {"name": "Install", "status": "InProgress", "waits": waits},
    ]
    assert waits_for({"steps": steps}) == "Install: 0 of 1 targets healthy"
    assert waits_for({"steps": steps[:1]}) is None


def test_a_reason_that_stays_is_told_once() -> None:
    waits = [{"at": at, "why": why} for at, why in ((1.0, "a"), (2.0, "a"), (3.0, "b"), (4.0, "a"))]
    assert reasons({"waits": waits}) == [(1.0, "a"), (3.0, "b"), (4.0, "a")]


def test_a_drain_without_proof_is_told_as_such() -> None:
    found = {"colour": "blue", "isProven": False, "deadlineReached": True, "reason": "3 requests in flight"}
    assert drained({"drained": found}) == "blue was stopped at the drain deadline without proof: 3 requests in flight"


def test_streams_that_were_left_are_told_and_quiet_ones_are_not() -> None:
    found = {"policy": "announce", "moved": None, "left": 3, "told": 9, "cut": 1}
    assert long_connections({"longConnections": found}) == (
        "? connections moved, 3 requests left, 9 connections told to reopen, 1 cut"
        " (turnout:long-connections = announce)"
    )
    assert long_connections({"longConnections": {**found, "left": 0, "told": 0}}) is None
    assert long_connections({"longConnections": None}) is None


# Small words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0042, "4.2 ms"),
        (0.48, "480 ms"),
        (1.94, "1.9 s"),
        (75, "75 s"),
        (720, "12 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations_are_told_with_the_digits_that_matter(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_log_lines_say_who_speaks() -> None:
    assert label("/aws/codebuild/hello", "1a2b3c4d-0000-0000-0000-000000000000") == "hello build 1a2b3c4d"
    assert label("/ecs/hello", "prefix/web/5e6f7a8b9c0d") == "web 5e6f7a8b"
    assert label("/any", "stream") == "stream"


def test_the_git_remote_follows_the_engine_and_never_goes_through_a_proxy(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", environment=ANYBODY)
    assert ensure_remote(tmp_path, "turnout", "http://127.0.0.1:1/v1/repos/x") == "created"
    assert ensure_remote(tmp_path, "turnout", "http://127.0.0.1:1/v1/repos/x") == "unchanged"
    assert ensure_remote(tmp_path, "turnout", "http://127.0.0.1:2/v1/repos/x") == "updated"
    assert git(tmp_path, "remote", "get-url", "turnout") == "http://127.0.0.1:2/v1/repos/x"
    assert git(tmp_path, "config", "remote.turnout.proxy") == ""


def test_git_says_what_it_could_not_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="rev-parse"):
        git(tmp_path, "rev-parse", "HEAD")

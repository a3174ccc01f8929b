"""The receipt: its shape, whatever a deployment has come to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from turnout import receipt as shape
from turnout.codedeploy import receipt
from turnout.receipt import figures_of
from turnout.runs import Run, Status, Step
from turnout.samples import Sample, Tasks, thinned
from turnout.traffic import Flow

A, B = "arn:a", "arn:b"
SPEC: dict[str, Any] = {
    "application": "shop",
    "deployment_group": "live",
    "config_name": "CodeDeployDefault.ECSAllAtOnce",
    "description": None,
    "creator": "user",
    "speed": 1.0,
    "commit_id": None,
    "revision": None,
    "cluster": "prod",
    "service": "web",
    "listener_arn": "arn:listener",
    "test_listener_arn": None,
    "rolls_back": None,
}
RUN = Run(
    id=1,
    kind="codedeploy",
    region="us-east-1",
    name="d-1",
    lane="g",
    cause=None,
    status=Status.PENDING,
    spec=SPEC,
    facts={},
    stop=None,
    code=None,
    message=None,
    created_at=100.0,
    started_at=None,
    ended_at=None,
)
STEP = Step(
    id=7,
    run_id=1,
    rank=1,
    name="Install",
    status=Status.PENDING,
    spec={},
    result={},
    answer=None,
    note=None,
    attempts=0,
    signals=0,
    wake_at=None,
    wake_on=None,
    timeout_s=None,
    deadline_at=None,
    code=None,
    message=None,
    started_at=None,
    ended_at=None,
)
FACTS: dict[str, Any] = {
    "blue": {"target_group": A, "target_group_name": "a", "task_set": "ts-1", "task_definition": "td-1", "images": []},
    "green": {"target_group": B, "target_group_name": "b"},
    "weights": {"at": 101.0, "weights": {A: 100, B: 0}},
    "switch": {"at": 110.0, "first_answer_at": 110.0042, "note": None},
    "leaving": {
        "policy": "cut",
        "moved": 5,
        "left": 2,
        "told": 0,
        "cut": 1,
        "at": 120.0,
        "deadline_reached": True,
        "drained": {
            "is_proven": False,
            "reason": "1 request in flight",
            "requests": 0,
            "in_flight": 1,
            "weights_version": "3",
        },
    },
}
BUSY = {"blue": Flow(90, 0, 2, ((1.5, 80), (8.5, 10)), 3), "green": Flow(10, 0, 0), "unrouted": Flow(0, 0, 0)}
TASKS = {"blue": Tasks(2, 2, 2), "green": Tasks(1, 2, 0)}


def build(
    run: Run = RUN, step: Step = STEP, events: Any = (), changes: Any = (), samples: Any = (), note: str | None = None
) -> dict[str, Any]:
    document = {**receipt.build(run, [step], events, changes), **figures_of(samples, note)}
    assert json.loads(json.dumps(document)) == document
    return document


def test_every_member_is_there_from_the_first_moment_and_documented() -> None:
    document = build()
    assert document["isFinal"] is False
    assert document["status"] == "Created"
    for member in ("error", "blue", "green", "traffic", "switch", "drained", "rollback", "startedAt", "endedAt"):
        assert document[member] is None
    assert document["weights"] == []
    for member in document:
        assert member in str(shape.__doc__)


def test_the_end_has_the_same_members_as_the_beginning() -> None:
    ended = replace(RUN, status=Status.SUCCEEDED, facts=FACTS, started_at=100.0, ended_at=130.0)
    assert build(ended).keys() == build().keys()


def test_the_reasons_for_waiting_are_the_events_that_moved_nothing() -> None:
    events = [
        {"step_id": 7, "at": 102.0, "was": "Pending", "became": "InProgress", "message": None},
        {"step_id": 7, "at": 103.0, "was": "InProgress", "became": "InProgress", "message": "0 of 1 tasks running"},
        {"step_id": 8, "at": 103.0, "was": "InProgress", "became": "InProgress", "message": "another step's"},
        {"step_id": 7, "at": 104.0, "was": "InProgress", "became": "Succeeded", "message": None},
    ]
    (step,) = build(step=replace(STEP, status=Status.SUCCEEDED), events=events)["steps"]
    assert step["waits"] == [{"at": 103.0, "why": "0 of 1 tasks running"}]
    assert step["status"] == "Succeeded"
    assert step["isLifecycleEvent"] is True


def test_weights_are_told_by_colour_once_per_change_and_only_of_this_deployment() -> None:
    ended = replace(RUN, status=Status.SUCCEEDED, facts=FACTS, ended_at=130.0)
    changes = [
        {"at": 100.5, "weights": {A: 0, B: 100}},
        {"at": 110.0, "weights": {B: 100, A: 0}},
        {"at": 110.1, "weights": {B: 100, A: 0}},
        {"at": 111.0, "weights": {"arn:other": 1}},
        {"at": 140.0, "weights": {A: 100, B: 0}},
    ]
    assert build(ended, changes=changes)["weights"] == [
        {"at": 101.0, "blue": 100, "green": 0},
        {"at": 110.0, "blue": 0, "green": 100},
    ]


def test_figures_are_told_as_they_were_measured() -> None:
    document = build(replace(RUN, facts=FACTS))
    assert document["switch"] == {"at": 110.0, "firstAnswerAt": 110.0042, "ms": 4.2, "note": None}
    assert document["drained"]["deadlineReached"] is True
    assert document["drained"]["inFlight"] == 1
    assert document["longConnections"] == {"policy": "cut", "moved": 5, "left": 2, "told": 0, "cut": 1}
    assert document["green"] == {
        "targetGroup": {"name": "b", "arn": B},
        "taskSet": None,
        "serviceRevision": None,
        "taskDefinition": None,
        "images": [],
    }


def test_a_stop_between_two_steps_is_an_error_with_its_words() -> None:
    stop = {"code": "MANUAL_STOP", "message": "The deployment was stopped by request.", "rollback": True}
    stopped = replace(RUN, status=Status.STOPPED, stop=stop, facts={"rolled_back_by": "d-2"}, ended_at=105.0)
    document = build(stopped, replace(STEP, status=Status.SKIPPED))
    assert document["error"] == {"code": "MANUAL_STOP", "message": "The deployment was stopped by request."}
    assert document["rollback"]["deploymentId"] == "d-2"


def test_what_was_sampled_adds_up_to_the_traffic() -> None:
    samples = [Sample(at, at + 1, BUSY, TASKS) for at in (100.0, 101.0, 102.0)]
    document = build(samples=samples)
    assert document["traffic"]["blue"] == {
        "requests": 270, "failed": 0, "errors": 6, "p50Ms": 1.5, "p99Ms": 8.5, "isWhole": True,
    }  # fmt: skip
    assert document["samples"][1] == {
        "startedAt": 101.0,
        "endedAt": 102.0,
        "blue": {
            "requests": 90, "failed": 0, "errors": 2, "p50Ms": 1.5, "p99Ms": 8.5,
            "inFlight": 3, "running": 2, "desired": 2, "healthy": 2,
        },
        "green": {
            "requests": 10, "failed": 0, "errors": 0, "p50Ms": None, "p99Ms": None,
            "inFlight": 0, "running": 1, "desired": 2, "healthy": 0,
        },
        "unrouted": {"requests": 0, "failed": 0, "errors": 0, "p50Ms": None, "p99Ms": None},
    }  # fmt: skip


def test_a_failure_that_was_logged_after_its_span_is_not_an_error_of_the_application() -> None:
    """Envoy counts a 503 of its own at once, and writes its line to the log a moment later."""
    early, late = Flow(10, 0, 1), Flow(10, 1, -1)
    document = build(samples=[Sample(1.0, 2.0, {"blue": early}), Sample(2.0, 3.0, {"blue": late})])
    assert [sample["blue"]["errors"] for sample in document["samples"]] == [0, 0]
    assert [sample["blue"]["failed"] for sample in document["samples"]] == [0, 1]
    assert (document["traffic"]["blue"]["errors"], document["traffic"]["blue"]["failed"]) == (0, 1)


def test_samples_that_are_too_many_become_half_as_many_and_nothing_is_lost() -> None:
    samples = [Sample(float(at), at + 1.0, BUSY, TASKS) for at in range(7)]
    fewer = thinned(samples)
    assert [(sample.started_at, sample.ended_at) for sample in fewer] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert build(samples=fewer)["traffic"] == build(samples=samples)["traffic"]
    assert fewer[0].flows["blue"].in_flight == 3, "of its end, not the sum"


def test_figures_that_are_not_whole_say_so() -> None:
    samples = [Sample(1.0, 2.0, BUSY), Sample(2.0, 3.0, {"blue": Flow(1, 0, 0, is_whole=False)})]
    traffic = build(samples=samples)["traffic"]
    assert (traffic["blue"]["isWhole"], traffic["green"]["isWhole"]) == (False, True)
    silent = build(samples=samples[:1], note="Envoy does not answer")
    assert silent["trafficNote"] == "Envoy does not answer"
    assert silent["traffic"]["blue"]["isWhole"] is False

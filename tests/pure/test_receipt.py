"""The receipt: its shape, whatever a deployment has come to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from turnout.codedeploy import receipt
from turnout.runs import Run, Status, Step

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
    "drained": {
        "colour": "blue",
        "at": 120.0,
        "is_proven": False,
        "deadline_reached": True,
        "reason": "1 request in flight",
        "requests": 0,
        "in_flight": 1,
        "weights_version": "3",
    },
    "flows": {
        "blue": {"requests": 5, "failed": 1, "errors": 2, "p50_ms": None, "p99_ms": None, "is_whole": False},
    },
}


def build(run: Run = RUN, step: Step = STEP, events: Any = (), changes: Any = ()) -> dict[str, Any]:
    document = receipt.build(run, [step], events, changes)
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
        assert member in str(receipt.__doc__)


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
    assert document["traffic"]["blue"]["isWhole"] is False
    assert document["green"] == {
        "targetGroup": {"name": "b", "arn": B},
        "taskSet": None,
        "taskDefinition": None,
        "images": [],
    }


def test_a_stop_between_two_steps_is_an_error_with_its_words() -> None:
    stop = {"code": "MANUAL_STOP", "message": "The deployment was stopped by request.", "rollback": True}
    stopped = replace(RUN, status=Status.STOPPED, stop=stop, facts={"rolled_back_by": "d-2"}, ended_at=105.0)
    document = build(stopped, replace(STEP, status=Status.SKIPPED))
    assert document["error"] == {"code": "MANUAL_STOP", "message": "The deployment was stopped by request."}
    assert document["rollback"]["deploymentId"] == "d-2"

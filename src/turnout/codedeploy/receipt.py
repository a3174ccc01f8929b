"""The receipt of a deployment of CodeDeploy, in the shape of turnout/receipt.py: all but what the traffic was. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout.codedeploy.describing import error_of, rollback_info, status_of
from turnout.codedeploy.lifecycle import EVENT_STATUS, LIFECYCLE_EVENTS, is_rollback
from turnout.leaving import counts
from turnout.receipt import VERSION, Document, drained_of, steps_of, switch_between, weights_between
from turnout.runs import Run, Step


def build(
    run: Run,
    steps: Sequence[Step],
    events: Iterable[Mapping[str, Any]],
    changes: Iterable[Document],
    interruptions: Sequence[Document] = (),
) -> Document:
    """The receipt of a run. `events` are those of `runs.events`, the others `traffic`'s since it was created."""
    spec, facts = run.spec, run.facts
    return {
        "version": VERSION,
        "controller": "CODE_DEPLOY",
        "deploymentId": run.name,
        "region": run.region,
        "applicationName": spec["application"],
        "deploymentGroupName": spec["deployment_group"],
        "deploymentConfigName": spec["config_name"],
        "serviceDeploymentArn": None,
        "description": spec["description"],
        "creator": spec["creator"],
        "status": status_of(run, steps),
        "isFinal": run.status.is_over,
        "error": error_of(run),
        "createdAt": run.created_at,
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "speed": spec["speed"],
        "commitId": spec["commit_id"],
        "revision": spec["revision"],
        "service": {"cluster": spec["cluster"], "name": spec["service"]},
        "listener": {"arn": spec["listener_arn"], "testArn": spec["test_listener_arn"]},
        "blue": _colour(facts.get("blue")),
        "green": _colour(facts.get("green")),
        "steps": steps_of(steps, list(events), LIFECYCLE_EVENTS, EVENT_STATUS),
        "weights": _weights(run, changes),
        "switch": (switch := facts.get("switch"))
        and switch_between(switch["at"], switch["first_answer_at"], switch["note"]),
        "drained": drained_of("green" if is_rollback(spec) else "blue", facts.get("leaving")),
        "alarms": facts.get("alarmed", []),
        "hooks": list((facts.get("hooks") or {}).values()),
        "longConnections": counts(facts.get("leaving")),
        "ignoresTargetHealth": bool(spec.get("ignores_target_health")),
        "interruptions": list(interruptions),
        "rollback": _rollback(run),
    }


def _colour(colour: Document | None) -> Document | None:
    if colour is None:
        return None
    return {
        "targetGroup": {"name": colour["target_group_name"], "arn": colour["target_group"]},
        "taskSet": colour.get("task_set"),
        "serviceRevision": None,
        "taskDefinition": colour.get("task_definition"),
        "images": colour.get("images", []),
    }


def _weights(run: Run, changes: Iterable[Document]) -> list[Document]:
    facts = run.facts
    if "weights" not in facts:
        return []
    blue, green = facts["blue"]["target_group"], facts["green"]["target_group"]
    return weights_between(facts["weights"], changes, run.ended_at, blue, green)


def _rollback(run: Run) -> Document | None:
    info = rollback_info(run)
    return info and {
        "deploymentId": info.get("rollbackDeploymentId"),
        "triggeringDeploymentId": info.get("rollbackTriggeringDeploymentId"),
        "message": info["rollbackMessage"],
    }

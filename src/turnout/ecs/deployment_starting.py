"""How a deployment under the ECS controller begins: its task set, its revision and its run, in one transaction.

Which revision is the source is decided here, too. A deployment that is under way gives way: if it has all of the
production traffic it is left to what it was about to keep, else to what it was about to replace. Under ROLLING the
source is what was completed last.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.deployment_steps import CLEAN_UP, KIND, ROLLBACK, SHIFT, is_rolling, steps_back, steps_for
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
from turnout.errors import AwsError
from turnout.names import arn, new_uuid
from turnout.runs import Run, Status
from turnout.store import Transaction

SUPERSEDED = "SUPERSEDED"
DELETED = "DELETED"
_ID = string.ascii_letters + string.digits + "_-"


def lane_of(service: Service) -> str:
    return f"{service.cluster}/{service.name}"


def newest_run(room: Room, service: Service) -> Run | None:
    """The deployment that began last, of the service that bears the name now."""
    found = next(iter(room.runs.of_lane(KIND, service.region, lane_of(service), limit=1)), None)
    return found if found and found.created_at >= service.created_at else None


def rollback_of(room: Room, run: Run) -> Run | None:
    return room.runs.find(ROLLBACK, run.region, run.name)


def open_runs(room: Room, service: Service) -> list[Run]:
    """Deployments and rollbacks that are not over, oldest first."""
    lane = (service.region, lane_of(service))
    both = [run for kind in (KIND, ROLLBACK) for run in room.runs.of_lane(kind, *lane, is_open=True)]
    return sorted(both, key=lambda run: run.id)


def has_shifted(room: Room, run: Run) -> bool:
    """Whether the target has all of the production traffic."""
    shifts = [step for step in room.runs.steps(run.id) if step.spec["act"] == SHIFT]
    return all(step.status is Status.SUCCEEDED for step in shifts)


def source_of(room: Room, service: Service) -> TaskSet | None:
    """What serves, or will when what is under way has given way; None if nothing does yet."""
    sets = {one.id: one for one in room.sets.of_service(service) if one.status != "DRAINING"}
    if not service.shifts:
        back = [run.spec["source"] for run in open_runs(room, service) if run.kind == ROLLBACK]
        complete = [one.id for one in sets.values() if one.body.get("rolloutState") == "COMPLETED"]
        return next((sets[one] for one in (*back, *reversed(complete)) if one in sets), None)
    primary = next((one for one in sets.values() if one.status == "PRIMARY"), None)
    run = newest_run(room, service)
    if run is None or run.spec["source"] is None:
        return primary
    is_new = rollback_of(room, run) is None and has_shifted(room, run)
    return sets.get(run.spec["target" if is_new else "source"], primary)


def resolved_balancers(asked: Sequence[Mapping[str, Any]], source: TaskSet | None) -> list[dict[str, Any]]:
    """Where the target revision is registered: of each pair the group that the source does not use."""
    taken = set(source.target_groups) if source else set()
    found = []
    for balancer in asked:
        pair = [balancer["targetGroupArn"], balancer["advancedConfiguration"]["alternateTargetGroupArn"]]
        if taken and not taken & set(pair):
            raise AwsError(
                "InvalidParameterException",
                f"Neither {pair[0]} nor {pair[1]} is the target group of the revision that serves"
                f" ({', '.join(sorted(taken))}): traffic cannot be shifted away from it.",
            )
        group = pair[1] if pair[0] in taken else pair[0]
        found.append({m: v for m, v in balancer.items() if m != "advancedConfiguration"} | {"targetGroupArn": group})
    return found


def begin(
    room: Room,
    tx: Transaction,
    service: Service,
    target: TaskSet,
    source: TaskSet | None,
    configuration: Mapping[str, Any],
) -> Run:
    """The run of a deployment from `source` to `target`; what was under way is asked to give way."""
    for run in open_runs(room, service):
        # A rolling update that goes back is overtaken, too: nothing else would end it if the source does not start.
        gives_way = is_rolling(run.spec["configuration"]) or run.kind == KIND
        if gives_way and not is_cleaning_up(room, run):
            message = "The deployment was superseded by a new one."
            room.runs.request_stop(tx, run.id, code=SUPERSEDED, message=message)
    number = "".join(secrets.choice(_ID) for _ in range(21))
    others = {one.id for one in room.sets.of_service(service)} - {target.id, source.id if source else ""}
    spec = {
        "id": number,
        "arn": arn("ecs", service.region, f"service-deployment/{service.cluster}/{service.name}/{number}"),
        "cluster": service.cluster,
        "service": service.name,
        "service_arn": service.arn,
        "cluster_arn": service.body["clusterArn"],
        "source": source.id if source else None,
        "target": target.id,
        "balancers": [
            _moves(asked, resolved["targetGroupArn"], source)
            for asked, resolved in zip(service.body["loadBalancers"], target.body["loadBalancers"], strict=True)
            if service.shifts
        ],
        "configuration": configuration,
        "reconciles": bool(others),
    }
    hooks = iter(new_uuid, "")
    steps = steps_for(configuration, is_first=source is None, reconciles=bool(others), hook_ids=hooks)
    return room.runs.insert(tx, KIND, service.region, number, spec, steps, lane=lane_of(service))


def roll_back(room: Room, tx: Transaction, failed: Run) -> Run:
    """What puts back what a deployment moved: of the same id, for on AWS it is the same service deployment."""
    steps = steps_back(failed.spec["configuration"])
    return room.runs.insert(tx, ROLLBACK, failed.region, failed.name, failed.spec, steps, lane=failed.lane)


def is_cleaning_up(room: Room, run: Run) -> bool:
    """Whether blue is being given up: there is no way back."""
    return any(step.spec["stage"] == CLEAN_UP and step.started_at is not None for step in room.runs.steps(run.id))


def _moves(asked: Mapping[str, Any], target: str, source: TaskSet | None) -> dict[str, Any]:
    """One rule to be moved: from `source` to `target`; `other` is the second group while there is no source."""
    advanced = asked["advancedConfiguration"]
    pair = [asked["targetGroupArn"], advanced["alternateTargetGroupArn"]]
    (other,) = (group for group in pair if group != target)
    return {
        "rule": advanced["productionListenerRule"],
        "test_rule": advanced.get("testListenerRule"),
        "target": target,
        "other": other,
        "has_source": source is not None and other in source.target_groups,
    }

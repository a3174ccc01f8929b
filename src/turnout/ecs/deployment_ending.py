"""What follows the end of a deployment, in the transaction that ends it: the service, its events, the rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from turnout.ecs.acting import finish_rollout
from turnout.ecs.deployment_health import failures_of, rolling_back, rolls_back, words_of
from turnout.ecs.deployment_starting import DELETED, SUPERSEDED, roll_back
from turnout.ecs.deployment_steps import CLEAN_UP, KIND, is_rolling
from turnout.ecs.revisions import MEMBERS, Revisions, revision_arn
from turnout.ecs.room import Room
from turnout.ecs.service_rows import STALLED, Service, TaskSet
from turnout.runs import Run, Status, Step
from turnout.store import Transaction


class DeploymentEnding:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._revisions = Revisions(room.store)

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step], service: Service | None) -> None:
        green = self._room.sets.find(run.spec["target"])
        if service is None or green is None:
            return
        self._revisions.complete(tx, green)
        self._room.runs.remember(tx, run.id, failures=failures_of(run.spec["configuration"], green))
        if run.status is Status.SUCCEEDED:
            finish_rollout(self._room, tx, service, green)
        elif (run.stop or {}).get("code") not in (SUPERSEDED, DELETED):
            self._fail(tx, run, steps, service, green)

    def _fail(self, tx: Transaction, run: Run, steps: Sequence[Step], service: Service, green: TaskSet) -> None:
        room, reason = self._room, run.message or "The deployment failed."
        body = {**green.body, "rolloutState": "FAILED", "rolloutStateReason": reason}
        room.sets.update(tx, green.id, body=body, updated_at=room.clock.now())
        room.say(tx, service, f") (deployment {green.id}) deployment failed: {words_of(reason)}")
        detail = {
            "eventType": "ERROR",
            "eventName": "SERVICE_DEPLOYMENT_FAILED",
            "deploymentId": green.id,
            "updatedAt": room.clock.now(),
            "reason": reason,
        }
        room.announce(tx, service.region, "ECS Deployment State Change", (service.arn,), detail)
        if any(step.spec["stage"] == CLEAN_UP and step.started_at is not None for step in steps):
            return  # all traffic is on green, and what is left of blue is the next deployment's to reconcile
        room.sets.update(tx, green.id, body={**body, STALLED: True})
        if run.spec["source"] is not None and rolls_back(run.spec["configuration"], run.code):
            room.say(tx, service, f") rolling back to deployment {run.spec['source']}.")
            roll_back(room, tx, run)
        room.wake_service(tx, service)
        room.runs.wake(tx, green.topic)

    def restore(self, tx: Transaction, run: Run, service: Service) -> None:
        """The service is again what it was before the deployment; its source is PRIMARY."""
        room, now = self._room, self._room.clock.now()
        source = room.sets.find(run.spec["source"])
        if source is None or source.status == "PRIMARY":
            return
        room.sets.update(tx, run.spec["target"], status="ACTIVE", updated_at=now)
        rolls = is_rolling(run.spec["configuration"])
        if rolls:
            failed = room.runs.find(KIND, run.region, run.name)
            told = rolling_back(source.id, failed.code if failed else None)
            source_body = {**source.body, "rolloutState": "IN_PROGRESS", "rolloutStateReason": told}
            room.sets.update(tx, source.id, body=source_body, is_stable=0)
        room.sets.update(tx, source.id, status="PRIMARY", updated_at=now)
        body = {**service.body, "taskDefinition": source.task_definition}
        former = self._revisions.find(
            service.region, revision_arn(service.region, service.cluster, service.name, source.id)
        )
        if former is not None:
            # The target groups and rules stay as they are asked for now: they are what the next deployment moves.
            kept = () if rolls else ("loadBalancers", "serviceRegistries")
            body = {m: v for m, v in body.items() if m not in MEMBERS or m in kept}
            body |= {m: former[m] for m in MEMBERS if m in former and m not in kept}
        room.services.put(tx, replace(service, body=body, is_steady=False))
        room.wake_service(tx, service)

    def settle_back(self, tx: Transaction, run: Run, service: Service | None) -> None:
        room = self._room
        source = room.sets.find(run.spec["source"])
        if service is None or source is None:
            return
        if run.status is Status.SUCCEEDED:
            room.say(tx, service, f") rolled back to deployment {source.id}.")
            if is_rolling(run.spec["configuration"]):
                finish_rollout(room, tx, service, source)
        elif (run.stop or {}).get("code") != SUPERSEDED:
            room.say(tx, service, f") rollback to deployment {source.id} failed: {run.message}")
        room.wake_service(tx, service)

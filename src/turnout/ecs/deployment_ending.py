"""What follows the end of a deployment, in the transaction that ends it: the service, its events, the rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from turnout.ecs.acting import finish_rollout
from turnout.ecs.deployment_health import has_breaker
from turnout.ecs.deployment_starting import DELETED, SUPERSEDED, roll_back
from turnout.ecs.deployment_steps import CLEAN_UP
from turnout.ecs.revisions import MEMBERS, Revisions, revision_arn
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
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
        if run.status is Status.SUCCEEDED:
            finish_rollout(self._room, tx, service, green)
            self._room.wake_set(tx, green.id)
        elif (run.stop or {}).get("code") not in (SUPERSEDED, DELETED):
            self._fail(tx, run, steps, service, green)

    def _fail(self, tx: Transaction, run: Run, steps: Sequence[Step], service: Service, green: TaskSet) -> None:
        room, reason = self._room, run.message or "The deployment failed."
        body = {**green.body, "rolloutState": "FAILED", "rolloutStateReason": reason}
        room.sets.update(tx, green.id, body=body, updated_at=room.clock.now())
        room.say(tx, service, f") (deployment {green.id}) deployment failed: {reason}")
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
        is_wanted = run.stop is not None or not has_breaker(run.spec["configuration"])
        is_wanted |= bool((run.spec["configuration"].get("deploymentCircuitBreaker") or {}).get("rollback"))
        if run.spec["source"] is not None and (is_wanted or run.code != "CIRCUIT_BREAKER"):
            room.say(tx, service, f") rolling back to deployment {run.spec['source']}.")
            roll_back(room, tx, run)
        elif run.code == "CIRCUIT_BREAKER":
            # "A deployment in FAILED state doesn't launch any new tasks."
            room.sets.update(tx, green.id, scale=0.0, updated_at=room.clock.now())
            room.wake_set(tx, green.id)

    def restore(self, tx: Transaction, run: Run, service: Service) -> None:
        """The service is again what it was before the deployment; its source is PRIMARY."""
        room, now = self._room, self._room.clock.now()
        source = room.sets.find(run.spec["source"])
        if source is None or source.status == "PRIMARY":
            return
        room.sets.update(tx, run.spec["target"], status="ACTIVE", updated_at=now)
        room.sets.update(tx, source.id, status="PRIMARY", updated_at=now)
        body = {**service.body, "taskDefinition": source.task_definition}
        former = self._revisions.find(
            service.region, revision_arn(service.region, service.cluster, service.name, source.id)
        )
        if former is not None:
            # The target groups and rules stay as they are asked for now: they are what the next deployment moves.
            kept = ("loadBalancers", "serviceRegistries")
            body = {m: v for m, v in body.items() if m not in MEMBERS or m in kept}
            body |= {m: former[m] for m in MEMBERS if m in former and m not in kept}
        room.services.put(tx, replace(service, body=body, is_steady=False))
        room.wake_service(tx, service)

    def settle_back(self, tx: Transaction, run: Run, service: Service | None) -> None:
        room = self._room
        if service is None:
            return
        if run.status is Status.SUCCEEDED:
            room.say(tx, service, f") rolled back to deployment {run.spec['source']}.")
            room.wake_set(tx, run.spec["source"])
        else:
            room.say(tx, service, f") rollback to deployment {run.spec['source']} failed: {run.message}")

"""The receipt of a deployment of ECS itself, in the shape of turnout/receipt.py, and its samples.

A run and its rollback are one service deployment, so they have one receipt; it is kept when the last of them ends.
Of several load balancers the receipt names the first, and its traffic is the sum of all. Of a rolling update only tasks
are sampled: both revisions are in one target group, and nobody can tell their traffic apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from turnout.ecs.deployment_describing import status_of
from turnout.ecs.deployment_hooks import tell_hook
from turnout.ecs.deployment_starting import rollback_of
from turnout.ecs.deployment_steps import BAKE, HOOK, KIND
from turnout.ecs.deployment_traffic import listener_of
from turnout.ecs.revisions import Revisions, revision_arn
from turnout.ecs.room import Room
from turnout.leaving import Known, counts
from turnout.names import resource_of
from turnout.receipt import VERSION, Document, drained_of, steps_of, switch_between, weights_between
from turnout.receipts import Receipts
from turnout.runs import Run, Status, Step
from turnout.samples import Tasks
from turnout.store import Transaction
from turnout.traffic import Traffic

BLUE, GREEN = "blue", "green"

STATUSES = {status: str(status) for status in Status}


class DeploymentReceipts:
    def __init__(self, room: Room, traffic: Traffic, receipts: Receipts) -> None:
        self._room = room
        self._traffic = traffic
        self._receipts = receipts
        self._revisions = Revisions(room.store)
        receipts.build_by(KIND, self.build)
        receipts.samples.count_tasks(KIND, self._count_tasks)

    async def ensure_begun(self, run: Run, weights: Mapping[str, int]) -> None:
        """From here on the traffic is sampled. `weights` are those of the first rule. Raises TurnoutError."""
        moves = run.spec["balancers"]
        if moves and "weights" not in self._room.runs.get(run.id).facts:
            with self._room.store.transaction() as tx:
                began = {"at": self._room.clock.now(), "weights": dict(weights)}
                self._room.runs.remember(tx, run.id, weights=began)
        colours = {move["target"]: GREEN for move in moves} | {m["other"]: BLUE for m in moves if m["has_source"]}
        await self._receipts.samples.ensure_begun(run, [listener_of(move["rule"]) for move in moves], colours)

    async def sample(self, run: Run) -> None:
        """A last sample: something ends here."""
        await self._receipts.samples.take(self._deployment(run).id)

    def keep(self, tx: Transaction, run: Run) -> None:
        """For good, once neither the deployment nor its rollback runs."""
        deployment = self._deployment(run)
        back = rollback_of(self._room, deployment)
        if back is None or back.status.is_over:
            self._receipts.keep(tx, deployment)

    def build(self, run: Run) -> Document:
        room, spec = self._room, run.spec
        back = rollback_of(room, run)
        last = back or run
        failed = next((one for one in (back, run) if one and one.status in (Status.FAILED, Status.STOPPED)), None)
        moves: Sequence[Mapping[str, Any]] = spec["balancers"]
        first = moves[0] if moves else None
        test_rule = first and first["test_rule"]
        return {
            "version": VERSION,
            "controller": "ECS",
            "deploymentId": run.name,
            "region": run.region,
            "applicationName": None,
            "deploymentGroupName": None,
            "deploymentConfigName": spec["configuration"].get("strategy", "ROLLING"),
            "serviceDeploymentArn": spec["arn"],
            "description": None,
            "creator": "user",
            "status": status_of(room, run),
            "isFinal": last.status.is_over,
            "error": failed and _error(failed),
            "createdAt": run.created_at,
            "startedAt": run.started_at,
            "endedAt": last.ended_at,
            "speed": room.clock.speed,
            "commitId": None,
            "revision": None,
            "service": {"cluster": spec["cluster"], "name": spec["service"]},
            "listener": first
            and {"arn": listener_of(first["rule"]), "testArn": listener_of(test_rule) if test_rule else None},
            "blue": self._colour(run, spec["source"], first["other"] if first else None) if spec["source"] else None,
            "green": self._colour(run, spec["target"], first["target"] if first else None),
            "steps": self._steps(run, back),
            "weights": self._weights(run, last),
            "switch": self._switch(run, last),
            "drained": drained_of(*_left(run, back)),
            "alarms": _alarms(run),
            "hooks": self._hooks(run),
            "interruptions": [
                one
                for one in self._traffic.interruptions_since(run.created_at)
                if last.ended_at is None or (one["endedAt"] or one["servesAgainAt"]) <= last.ended_at
            ],
            "longConnections": counts(_left(run, back)[1]),
            "ignoresTargetHealth": False,
            "rollback": back
            and {"deploymentId": None, "triggeringDeploymentId": None, "message": f"Rolled back: {run.message}"},
        }

    def _deployment(self, run: Run) -> Run:
        """The deployment of a run that may be its rollback."""
        found = self._room.runs.find(KIND, run.region, run.name)
        assert found is not None
        return found

    async def _count_tasks(self, run: Run) -> dict[str, Tasks]:
        found = {}
        for colour, set_id in ((BLUE, run.spec["source"]), (GREEN, run.spec["target"])):
            one = self._room.sets.find(set_id) if set_id else None
            found[colour] = Tasks(one.running, one.computed) if one else Tasks(0, 0)
        return found

    def _colour(self, run: Run, set_id: str, group_arn: str | None) -> Document:
        arn = revision_arn(run.region, run.spec["cluster"], run.spec["service"], set_id)
        revision = self._revisions.find(run.region, arn) or {}
        return {
            "targetGroup": group_arn and {"name": resource_of(group_arn).split("/")[1], "arn": group_arn},
            "taskSet": None,
            "serviceRevision": arn,
            "taskDefinition": revision.get("taskDefinition"),
            "images": [
                {"container": each["containerName"], "image": each["image"], "digest": each.get("imageDigest")}
                for each in revision.get("containerImages", ())
            ],
        }

    def _steps(self, run: Run, back: Run | None) -> list[Document]:
        told = []
        for one, prefix in ((run, ""), (back, "rollback: ")):
            if one is not None:
                steps = [replace(step, name=prefix + step.name) for step in self._room.runs.steps(one.id)]
                events = [dict(event) for event in self._room.runs.events(one.id)]
                told += steps_of(steps, events, {step.name for step in steps if _is_stage(step)}, STATUSES)
        return told

    def _hooks(self, run: Run) -> list[Document]:
        """Those that were begun. A rollback has none."""
        steps = self._room.runs.steps(run.id)
        return [tell_hook(self._room, run, s) for s in steps if s.spec["act"] == HOOK and s.started_at is not None]

    def _weights(self, run: Run, last: Run) -> list[Document]:
        if "weights" not in run.facts:
            return []
        move = run.spec["balancers"][0]
        return weights_between(run.facts["weights"], self._changes(run), last.ended_at, move["other"], move["target"])

    def _switch(self, run: Run, last: Run) -> Document | None:
        """Whoever commits the weights of a group that had none watches for its first answer."""
        target = run.spec["balancers"][0]["target"] if run.spec["balancers"] else None
        rise = next((change for change in self._changes(run) if change["weights"].get(target)), None)
        if rise is None:
            return None
        first_answer_at = rise["first_answers"].get(target)
        note = "no traffic" if first_answer_at is None and last.status.is_over else None
        return switch_between(rise["at"], first_answer_at, note)

    def _changes(self, run: Run) -> list[Document]:
        """Those of the first rule since the deployment began to move it."""
        if "weights" not in run.facts:
            return []
        began_at, rule = run.facts["weights"]["at"], run.spec["balancers"][0]["rule"]
        changes = self._traffic.weights_since(run.region, listener_of(rule), began_at)
        return [change for change in changes if change["rule"] == rule]


def _is_stage(step: Step) -> bool:
    return step.spec["stage"] in (step.spec["act"], BAKE)


def _alarms(run: Run) -> list[Document]:
    stop = run.stop or {}
    return [{"name": stop["alarm"], "at": run.ended_at, "reason": stop["message"]}] if "alarm" in stop else []


def _error(run: Run) -> Document:
    stop = run.stop or {}
    return {
        "code": run.code or stop.get("code") or "INTERNAL_ERROR",
        "message": run.message or stop.get("message") or "",
    }


def _left(run: Run, back: Run | None) -> tuple[str, Known | None]:
    """(colour, what is known of it) of the side that was left; of several target groups the one with most in flight."""
    colour, member = (GREEN, "target") if back else (BLUE, "other")
    leaving = (back or run).facts.get("leaving", {})
    known = [leaving[move[member]] for move in run.spec["balancers"] if move[member] in leaving]
    return colour, max(known, key=lambda one: int(one["drained"]["in_flight"]), default=None)

"""What the stages of a deployment and of its rollback share: how both move, prove and give up.

After a crash every stage looks first: at the weights of the rules, at the rows of the task sets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from turnout.ecs.deployment_ending import DeploymentEnding
from turnout.ecs.deployment_leaving import DeploymentLeaving
from turnout.ecs.deployment_receipt import DeploymentReceipts
from turnout.ecs.deployment_starting import DELETED
from turnout.ecs.deployment_steps import CLEAN_UP, ROLL, weights_at
from turnout.ecs.deployment_traffic import ELB_FAILED, DeploymentTraffic
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
from turnout.errors import StepFailed, StepStopped, TurnoutError
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step
from turnout.traffic import Traffic

LOOK_AT_TASKS_S = 30.0

LAST_ACTS = (CLEAN_UP, ROLL)
"""What may be the last act of a run."""

Act = Callable[[Run, Step], Awaitable[Done | Wait]]


class Stages(StraightPlan):
    """`_acts`: what each act of a step does, by the name in its spec."""

    _acts: Mapping[str, Act]

    def __init__(self, room: Room, traffic: Traffic, receipts: DeploymentReceipts) -> None:
        self._room = room
        self._receipts = receipts
        self._traffic = DeploymentTraffic(room.aws)
        self._leaving = DeploymentLeaving(room, self._traffic, traffic)
        self._ending = DeploymentEnding(room)

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if self._find_service(run) is None:
            raise StepStopped(DELETED, "The service was deleted.")
        try:
            outcome = await self._acts[step.spec["act"]](run, step)
        except StepFailed:
            await self._sample(run)
            raise
        if step.spec["act"] in LAST_ACTS and isinstance(outcome, Done):
            await self._sample(run)
        return outcome

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        """What is being cleaned up has no way back; that the service is deleted ends everything."""
        if step.spec["stage"] == CLEAN_UP and (run.stop or {}).get("code") != DELETED:
            return None
        return super().stops(run, step)

    def expired(self, run: Run, step: Step) -> StepFailed:
        return StepFailed("TIMEOUT", f"{step.name} took more than 24 hours. Last seen: {step.note}.")

    async def _sample(self, run: Run) -> None:
        """What the traffic was until here, for the receipt: a balancer that is silent fails no deployment."""
        with suppress(TurnoutError):
            await self._receipts.sample(run)

    def _rolled(self, run: Run, set_id: str) -> Wait | None:
        """Of a rolling update: None once every task is one of this set, and has started well."""
        room, service = self._room, self._service(run)
        sets = room.sets.of_service(service)
        one = next((one for one in sets if one.id == set_id), None)
        if one is None:
            raise StepFailed("INTERNAL_ERROR", f"The deployment {set_id} is gone.")
        others = sum(other.running + other.pending for other in sets if other.id != set_id)
        if self._is_up(service, one) and not others:
            return None
        why = f"{one.running} of {service.desired} tasks run the new revision, {others} a former one"
        return Wait(LOOK_AT_TASKS_S, why, on=service.topic)

    def _is_up(self, service: Service, one: TaskSet) -> bool:
        """Whether a set has all the tasks of the service, and each of them has started well."""
        if not one.is_stable or one.computed != service.desired:
            return False
        return all(task.well_at is not None for task in self._room.tasks.of_set(one.id) if task.counts)

    async def _all_to_source(self, run: Run, step: Step) -> None:
        """The production rules forward to blue alone, in the form that a shift begins with; test rules leave green."""
        cause = f"step:{step.id}"
        for move in run.spec["balancers"]:
            if not move["has_source"]:
                continue
            weights = weights_at(0.0, move["target"], move["other"])
            await self._traffic.ensure(run.region, move["rule"], weights, cause)
            if move["test_rule"] and (await self._traffic.weights(run.region, move["test_rule"])).get(move["target"]):
                await self._traffic.ensure(run.region, move["test_rule"], weights, cause)

    async def _released(self, run: Run, step: Step, end: str, who: str) -> Wait | None:
        """Proof before destruction, at one end of the moves ("target" or "other"): nothing new arrives at its tasks."""
        moves = [move for move in run.spec["balancers"] if move["has_source"]]
        for move in moves:
            await self._check_weight(run, move[end])
        wait = await self._leaving.release(run, step, moves, end)
        return None if wait is None else Wait(wait[0], f"{who} is not drained yet: {wait[1]}")

    async def _gone(self, run: Run, step: Step, sets: Sequence[TaskSet], end: str, who: str) -> Done | Wait:
        """Stop task sets, and watch what is still in flight until they are gone."""
        moves = [move for move in run.spec["balancers"] if move["has_source"]]
        if (wait := self._give_up(sets, who)) is None:
            await self._leaving.close(run, moves, end)
            return Done()
        again_s, seen = await self._leaving.watch(run, step, moves, end)
        return Wait(again_s or wait.seconds, f"{wait.why}{seen}", on=wait.on)

    async def _check_weight(self, run: Run, group: str) -> None:
        """Somebody may have moved the weights by hand meanwhile: what serves is not stopped."""
        for move in run.spec["balancers"]:
            if (await self._traffic.weights(run.region, move["rule"])).get(group):
                raise StepFailed(
                    ELB_FAILED,
                    f"The target group {group} has weight in the listener rule {move['rule']} again, so its tasks are"
                    " not stopped. Deploy again.",
                )

    def _give_up(self, sets: Sequence[TaskSet], who: str) -> Wait | None:
        """Stop task sets, and wait until they are gone."""
        room = self._room
        for one in sets:
            if one.status != "DRAINING":
                with room.store.transaction() as tx:
                    room.sets.update(tx, one.id, status="DRAINING", scale=0.0, updated_at=room.clock.now())
                    room.wake_set(tx, one.id)
        left = [one for one in sets if room.sets.find(one.id) is not None]
        if not left:
            return None
        count = sum(one.running + one.pending for one in left)
        return Wait(LOOK_AT_TASKS_S, f"draining and stopping {who}, tasks left: {count}", on=left[0].topic)

    def _find_service(self, run: Run) -> Service | None:
        service = self._room.services.find(run.region, run.spec["cluster"], run.spec["service"])
        return service if service and service.status == "ACTIVE" and service.created_at <= run.created_at else None

    def _service(self, run: Run) -> Service:
        service = self._find_service(run)
        if service is None:
            raise StepStopped(DELETED, "The service was deleted.")
        return service

    def _remember(self, run: Run, **facts: Any) -> None:
        known = self._room.runs.get(run.id).facts
        if any(known.get(name) != value for name, value in facts.items()):
            with self._room.store.transaction() as tx:
                self._room.runs.remember(tx, run.id, **facts)

"""The runs of deployments that ECS shifts by itself, and of their rollbacks.

Steps are the lifecycle stages (`deployment_steps.py`); blue is the source revision, green the target. A failure is put
back by another run, inserted in the transaction that ends the failed one. After a crash every step looks first: at the
weights of the rules, at the rows of the task sets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from turnout.ecs.acting import task_set_topic
from turnout.ecs.deployment_ending import DeploymentEnding
from turnout.ecs.deployment_health import never_healthy
from turnout.ecs.deployment_hooks import DeploymentHooks
from turnout.ecs.deployment_starting import DELETED, open_runs
from turnout.ecs.deployment_steps import CLEAN_UP, KIND, RECONCILE, ROLLBACK, SCALE_UP, SHIFT, TEST_SHIFT, weights_at
from turnout.ecs.deployment_traffic import ELB_FAILED, DeploymentTraffic
from turnout.ecs.room import Room
from turnout.ecs.scheduling import computed_desired_count
from turnout.ecs.service_rows import Service, TaskSet
from turnout.errors import StepFailed, StepStopped
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step, run_topic
from turnout.store import Transaction
from turnout.traffic import Traffic

LOOK_AGAIN_S, LOOK_AT_TASKS_S = 0.25, 30.0
IN_FORCE_WITHIN_S = 600.0
"""How long after the drain deadline a balancer that is silent, or refuses the weights, is waited for."""
UNHEALTHY = "CIRCUIT_BREAKER"


class DeploymentPlan(StraightPlan):
    kind = KIND

    def __init__(self, room: Room, traffic: Traffic) -> None:
        self._room = room
        self._traffic = DeploymentTraffic(room.aws, traffic)
        self._ending = DeploymentEnding(room)
        self._acts: Mapping[str, Callable[[Run, Step], Awaitable[Done | Wait]]] = {
            RECONCILE: self._reconcile,
            SCALE_UP: self._scale_up,
            TEST_SHIFT: self._shift_test,
            SHIFT: self._shift,
            "bake": self._bake,
            "hook": DeploymentHooks(room).ensure,
            "return": self._return,
            "prove": self._prove,
            CLEAN_UP: self._clean_up,
        }

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if self._find_service(run) is None:
            raise StepStopped(DELETED, "The service was deleted.")
        return await self._acts[step.spec["act"]](run, step)

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        """What is being cleaned up has no way back; that the service is deleted ends everything."""
        if step.spec["stage"] == CLEAN_UP and (run.stop or {}).get("code") != DELETED:
            return None
        return super().stops(run, step)

    def expired(self, run: Run, step: Step) -> StepFailed:
        return StepFailed("TIMEOUT", f"{step.name} took more than 24 hours. Last seen: {step.note}.")

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._ending.settle(tx, run, steps, self._find_service(run))

    # The stages

    async def _reconcile(self, run: Run, step: Step) -> Done | Wait:
        """One deployment at a time: former ones end, all traffic is on the source, and nobody else is left."""
        service = self._service(run)
        former = [other for other in open_runs(self._room, service) if other.id < run.id]
        if former:
            other = former[0]
            topic = run_topic(other.kind, other.region, other.name)
            return Wait(LOOK_AT_TASKS_S, f"deployment {other.name} has not ended yet", on=topic)
        await self._all_to_source(run, step)
        keeping = (run.spec["source"], run.spec["target"])
        others = [one for one in self._room.sets.of_service(service) if one.id not in keeping]
        if not others:
            return Done()
        groups = [move["target"] for move in run.spec["balancers"] if move["has_source"]]
        if (wait := await self._drained(run, step, groups, "the former deployment")) is not None:
            return wait
        return self._give_up(others, "the former deployment") or Done()

    async def _scale_up(self, run: Run, step: Step) -> Done | Wait:
        room, service, green = self._room, self._service(run), self._green(run)
        if green.scale != 100.0:
            with room.store.transaction() as tx:
                room.sets.update(tx, green.id, scale=100.0, is_stable=0, updated_at=room.clock.now())
                room.wake_set(tx, green.id)
            green = self._green(run)
        wanted = computed_desired_count(service.desired, 100.0)
        if green.is_stable and green.computed == wanted:
            return Done()
        if run.spec["source"] is not None or self._breaks(run):
            self._check_health(run, service, green)
        healthy = f"{green.running} of {wanted} tasks running, not all of them healthy yet"
        return Wait(LOOK_AT_TASKS_S, healthy, on=task_set_topic(green))

    async def _shift_test(self, run: Run, step: Step) -> Done:
        cause = f"step:{step.id}"
        moves = [move for move in run.spec["balancers"] if move["test_rule"]]
        for move in moves:
            weights = weights_at(100.0, move["target"], move["other"])
            await self._traffic.ensure(run.region, move["test_rule"], weights, cause)
        if moves:
            self._remember(run, test_percent=100.0)
        return Done()

    async def _shift(self, run: Run, step: Step) -> Done:
        percent = float(step.spec["percent"])
        for move in run.spec["balancers"]:
            weights = weights_at(percent, move["target"], move["other"])
            await self._traffic.ensure(run.region, move["rule"], weights, f"step:{step.id}")
        self._remember(run, percent=percent)
        return Done()

    async def _bake(self, run: Run, step: Step) -> Done | Wait:
        """The end is counted from the start of the step, so a restart neither shortens nor prolongs it."""
        assert step.started_at is not None
        minutes, clock = step.spec["minutes"], self._room.clock
        left_s = step.started_at + clock.scaled_s(60.0 * minutes) - clock.now()
        if left_s <= 0:
            return Done()
        green = self._green(run)
        self._check_health(run, self._service(run), green)
        percent = step.spec.get("percent", 100.0)
        why = f"{percent:g} % of the traffic goes to the new revision, for {minutes} minutes"
        return Wait(left_s, why, on=task_set_topic(green))

    async def _prove(self, run: Run, step: Step) -> Done | Wait:
        """Proof before destruction: the balancer says that blue is quiet, or its deregistration delay is over."""
        groups = [move["other"] for move in run.spec["balancers"] if move["has_source"]]
        return await self._drained(run, step, groups, "the former revision") or Done()

    async def _clean_up(self, run: Run, step: Step) -> Done | Wait:
        blue = self._room.sets.find(run.spec["source"]) if run.spec["source"] else None
        return (blue and self._give_up([blue], "the former revision")) or Done()

    async def _return(self, run: Run, step: Step) -> Done:
        raise NotImplementedError("only a rollback returns")

    # What the stages share

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

    async def _drained(self, run: Run, step: Step, groups: Sequence[str], who: str) -> Wait | None:
        assert step.started_at is not None
        clock, proofs = self._room.clock, []
        for group in groups:
            await self._check_weight(run, group)
            drained = await self._traffic.prove_drained(run.region, group)
            delay_s = await self._traffic.deregistration_delay_s(run.region, group)
            deadline_at = step.started_at + clock.scaled_s(delay_s)
            if not drained.is_in_force and clock.now() >= deadline_at + IN_FORCE_WITHIN_S:
                raise StepFailed(
                    "INTERNAL_ERROR",
                    f"The load balancer has not taken on the new weights: {drained.reason}. The tasks behind {group}"
                    " are left running, because they may be what serves.",
                )
            # The deadline excuses requests in flight, not a balancer that may still send new ones.
            if not drained.is_proven and (clock.now() < deadline_at or not drained.is_in_force):
                return Wait(LOOK_AGAIN_S, f"{who} is not drained yet: {drained.reason}")
            proofs.append({"targetGroup": group, "at": clock.now(), **asdict(drained)})
        self._remember(run, drained=proofs)
        return None

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
        return Wait(LOOK_AT_TASKS_S, f"{count} tasks of {who} are draining and stopping", on=task_set_topic(left[0]))

    def _check_health(self, run: Run, service: Service, green: TaskSet) -> None:
        reasons = []
        for task in self._room.tasks.of_set(green.id):
            if not task.counts:
                reasons.append(_reason(self._room, task.run_id))
        never = never_healthy(run.spec["configuration"], service.desired, green.failed_tasks, reasons)
        if never is not None:
            raise StepFailed(UNHEALTHY, f"The new revision does not become healthy: {never}")

    def _breaks(self, run: Run) -> bool:
        return bool((run.spec["configuration"].get("deploymentCircuitBreaker") or {}).get("enable"))

    def _find_service(self, run: Run) -> Service | None:
        service = self._room.services.find(run.region, run.spec["cluster"], run.spec["service"])
        return service if service and service.status == "ACTIVE" and service.created_at <= run.created_at else None

    def _service(self, run: Run) -> Service:
        service = self._find_service(run)
        if service is None:
            raise StepStopped(DELETED, "The service was deleted.")
        return service

    def _green(self, run: Run) -> TaskSet:
        green = self._room.sets.find(run.spec["target"])
        if green is None:
            raise StepFailed("INTERNAL_ERROR", f"The deployment {run.spec['target']} is gone.")
        return green

    def _remember(self, run: Run, **facts: Any) -> None:
        known = self._room.runs.get(run.id).facts
        if any(known.get(name) != value for name, value in facts.items()):
            with self._room.store.transaction() as tx:
                self._room.runs.remember(tx, run.id, **facts)


class RollbackPlan(DeploymentPlan):
    """The same, the other way round: green is what is given up."""

    kind = ROLLBACK

    async def _return(self, run: Run, step: Step) -> Done:
        await self._all_to_source(run, step)
        with self._room.store.transaction() as tx:
            self._ending.restore(tx, run, self._service(run))
        return Done()

    async def _prove(self, run: Run, step: Step) -> Done | Wait:
        groups = [move["target"] for move in run.spec["balancers"] if move["has_source"]]
        return await self._drained(run, step, groups, "the new revision") or Done()

    async def _clean_up(self, run: Run, step: Step) -> Done | Wait:
        green = self._room.sets.find(run.spec["target"])
        return (green and self._give_up([green], "the new revision")) or Done()

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._ending.settle_back(tx, run, self._find_service(run))


def _reason(room: Room, run_id: int) -> str:
    """Why a task stopped: its own failure, or what the scheduler had against it."""
    run = room.runs.get(run_id)
    failed = next((step.message for step in room.runs.steps(run_id) if step.message), None)
    return str((run.stop or {}).get("message") or failed or "Essential container in task exited")

"""The runs of the deployments of a service under the ECS controller, kind "ecs.deployment".

Steps are the lifecycle stages (`deployment_steps.py`); blue is the source revision, green the target. Under ROLLING it
is the scheduler that replaces the tasks, and the run that says how it went. A failure is put back by another run
(`deployment_rollback.py`), inserted in the transaction that ends the failed one.
"""

from __future__ import annotations

from collections.abc import Sequence

from turnout.ecs.deployment_alarms import DeploymentAlarms
from turnout.ecs.deployment_health import UNHEALTHY, has_breaker, never_healthy
from turnout.ecs.deployment_hooks import DeploymentHooks
from turnout.ecs.deployment_receipt import DeploymentReceipts
from turnout.ecs.deployment_stages import LOOK_AT_TASKS_S, Stages
from turnout.ecs.deployment_starting import open_runs
from turnout.ecs.deployment_steps import (
    BAKE,
    CLEAN_UP,
    HOOK,
    KIND,
    PROVE,
    RECONCILE,
    ROLL,
    SCALE_UP,
    SHIFT,
    TEST_SHIFT,
    WATCH,
    is_rolling,
    weights_at,
)
from turnout.ecs.failures import sickness_of
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service, TaskSet
from turnout.errors import StepFailed, TurnoutError
from turnout.leaving import LOOK_AGAIN_S
from turnout.runner import Done, Wait
from turnout.runs import Run, Step, run_topic
from turnout.store import Transaction
from turnout.traffic import Traffic


class DeploymentPlan(Stages):
    kind = KIND

    def __init__(self, room: Room, traffic: Traffic, receipts: DeploymentReceipts) -> None:
        super().__init__(room, traffic, receipts)
        self._alarms = DeploymentAlarms(room)
        self._acts = {
            WATCH: self._alarms.ensure_watched,
            ROLL: self._roll,
            RECONCILE: self._reconcile,
            SCALE_UP: self._scale_up,
            TEST_SHIFT: self._shift_test,
            SHIFT: self._shift,
            BAKE: self._bake,
            HOOK: DeploymentHooks(room).ensure,
            PROVE: self._prove,
            CLEAN_UP: self._clean_up,
        }

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._alarms.end_watch(tx, run)
        self._ending.settle(tx, run, steps, self._find_service(run))
        self._receipts.keep(tx, run)

    async def _roll(self, run: Run, step: Step) -> Done | Wait:
        if (wait := await self._begin_sampling(run)) is not None:
            return wait
        wait = self._rolled(run, run.spec["target"])
        if wait is None:
            return Done()
        if has_breaker(run.spec["configuration"]):
            self._check_health(run, self._service(run), self._green(run))
        return wait

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
        if others:
            if (wait := await self._released(run, step, "target", "the former deployment")) is not None:
                return wait
            if (wait := self._give_up(others, "the former deployment")) is not None:
                return wait
        return await self._begin_sampling(run) or Done()

    async def _begin_sampling(self, run: Run) -> Wait | None:
        """From here on the traffic is counted."""
        rule = next((move["rule"] for move in run.spec["balancers"]), None)
        weights = await self._traffic.weights(run.region, rule) if rule else {}
        try:
            await self._receipts.ensure_begun(run, weights)
        except TurnoutError as silent:  # the balancer has just died and is coming back
            return Wait(LOOK_AGAIN_S, str(silent))
        return None

    async def _scale_up(self, run: Run, step: Step) -> Done | Wait:
        room, service, green = self._room, self._service(run), self._green(run)
        if green.scale != 100.0:
            with room.store.transaction() as tx:
                room.sets.update(tx, green.id, scale=100.0, is_stable=0, updated_at=room.clock.now())
                room.wake_set(tx, green.id)
            green = self._green(run)
        if self._is_up(service, green):
            return Done()
        if run.spec["source"] is not None or has_breaker(run.spec["configuration"]):
            self._check_health(run, service, green)
        healthy = f"{green.running} of {service.desired} tasks running, not all of them healthy yet"
        return Wait(LOOK_AT_TASKS_S, healthy, on=service.topic)

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
        rolls, clock = is_rolling(run.spec["configuration"]), self._room.clock
        seconds = self._alarms.bake_s(run) if rolls else 60.0 * step.spec["minutes"]
        left_s = step.started_at + clock.scaled_s(seconds) - clock.now()
        if left_s <= 0:
            return Done()
        service = self._service(run)
        if not rolls or has_breaker(run.spec["configuration"]):
            self._check_health(run, service, self._green(run))
        if rolls:
            why = f"every task runs the new revision, and the alarms are watched for {seconds:g} s"
        else:
            percent = step.spec.get("percent", 100.0)
            why = f"{percent:g} % of the traffic goes to the new revision, for {step.spec['minutes']} minutes"
        return Wait(left_s, why, on=service.topic)

    async def _prove(self, run: Run, step: Step) -> Done | Wait:
        return await self._released(run, step, "other", "the former revision") or Done()

    async def _clean_up(self, run: Run, step: Step) -> Done | Wait:
        blue = self._room.sets.find(run.spec["source"]) if run.spec["source"] else None
        return await self._gone(run, step, [blue] if blue else [], "other", "the former revision")

    def _check_health(self, run: Run, service: Service, green: TaskSet) -> None:
        """Raise if it is certain that green does not become healthy, or the circuit breaker has had enough."""
        ignored_from = self._room.clock.now() - float(service.body.get("healthCheckGracePeriodSeconds", 0))
        tasks = self._room.tasks.of_set(green.id)
        reasons = [_reason(self._room, task.run_id) for task in tasks if not task.counts]
        running = [task for task in tasks if task.counts and (task.running_at or task.created_at) <= ignored_from]
        reasons += [" ".join(sickness) for task in running if (sickness := sickness_of(task)) is not None]
        never = never_healthy(run.spec["configuration"], service.desired, green, reasons)
        if never is not None:
            raise StepFailed(UNHEALTHY, never)

    def _green(self, run: Run) -> TaskSet:
        green = self._room.sets.find(run.spec["target"])
        if green is None:
            raise StepFailed("INTERNAL_ERROR", f"The deployment {run.spec['target']} is gone.")
        return green


def _reason(room: Room, run_id: int) -> str:
    """Why a task stopped: its own failure, or what the scheduler had against it."""
    run = room.runs.get(run_id)
    failed = next((step.message for step in room.runs.steps(run_id) if step.message), None)
    return str((run.stop or {}).get("message") or failed or "Essential container in task exited")

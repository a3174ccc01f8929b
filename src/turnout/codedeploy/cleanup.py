"""After the traffic has moved: the side that is no longer used is proven drained, then stopped, and all is measured."""

from __future__ import annotations

from typing import Any

from turnout.codedeploy.colours import BLUE, task_set_made_for, task_set_of, task_sets_info
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import balancer_invalid, routes_with
from turnout.errors import StepFailed, TurnoutError
from turnout.leaving import LOOK_AGAIN_S, Leaving, NotInForce, Side
from turnout.runner import Done, Wait
from turnout.runs import Run, Step

TASKS_LOOK_AGAIN_S = 30.0
MEASURED_WITHIN_S = 5.0
"""How long the figures of a receipt are worth waiting for, while the balancer is silent."""


class Cleanup:
    """`colour` is the side that is left: blue in a deployment, green in a rollback."""

    def __init__(self, reach: Reach, colour: str) -> None:
        self._reach = reach
        self._colour = colour
        self._leaving = Leaving(reach.traffic, reach.clock)

    async def prove_drained(self, run: Run, step: Step) -> Done | Wait:
        """Proof before destruction: Envoy says that nothing new arrives at the side, and may say that it is empty."""
        await self._check_weight(run, run.facts[self._colour]["target_group"])
        assert step.started_at is not None
        side = await self._side(run)
        try:
            known, again_s = await self._leaving.release(side, self._reach.facts(run).get("leaving"), step.started_at)
        except NotInForce as refused:
            message = f"{refused}. The {self._colour} task set is left running, because it may be what serves."
            raise StepFailed("INTERNAL_ERROR", message) from refused
        self._reach.remember(run, leaving=known)
        if again_s is not None:
            return Wait(again_s, f"{self._colour} is not drained yet: {known['drained']['reason']}")
        return Done()

    async def terminate_blue(self, run: Run, step: Step) -> Done | Wait:
        """Delete the original task set, and wait until its tasks are gone."""
        reach = self._reach
        arn = run.facts[BLUE]["task_set"]
        service = await reach.service(run.region, run.spec["cluster"], run.spec["service"])
        blue = task_set_of(service, arn)
        if blue is None:
            routes = await reach.routes(run.region, run.spec["listener_arn"])
            reach.remember(run, task_sets=task_sets_info(service, routes, run.facts))
            await self._close(run)
            return Done()
        await self._ensure_deleted(run, step, blue)
        seen, again_s = await self._watch(run, step)
        left = int(blue.get("runningCount", 0)) + int(blue.get("pendingCount", 0))
        why = f"draining and stopping the original task set, tasks left: {left}{seen}"
        return Wait(again_s or TASKS_LOOK_AGAIN_S, why, on=f"ecs.taskset/{run.region}/{arn}")

    async def terminate_green(self, run: Run, step: Step) -> Done:
        """Of a rollback: delete the replacement task set. A rollback does not wait for its tasks, as on AWS."""
        reach = self._reach
        service = await reach.service(run.region, run.spec["cluster"], run.spec["service"])
        green = task_set_made_for(service, run.spec["rolls_back"])
        if green is not None:
            await self._ensure_deleted(run, step, green)
        service = await reach.service(run.region, run.spec["cluster"], run.spec["service"])
        routes = await reach.routes(run.region, run.spec["listener_arn"])
        reach.remember(run, task_sets=task_sets_info(service, routes, run.facts))
        await self._close(run)
        return Done()

    async def measure(self, run: Run, step: Step) -> Done | Wait:
        """The last sample of the traffic. A measurement that fails fails no deployment."""
        reach = self._reach
        try:
            await reach.samples.take(run.id)
        except TurnoutError as silent:
            assert step.started_at is not None
            if reach.clock.now() < step.started_at + MEASURED_WITHIN_S:
                return Wait(LOOK_AGAIN_S, str(silent))
            reach.remember(run, traffic_note=str(silent))
        return Done()

    async def _watch(self, run: Run, step: Step) -> tuple[str, float | None]:
        """What is still in flight while the tasks drain, in words, and seconds until the next look."""
        known = self._reach.facts(run).get("leaving")
        if known is None:  # an engine of before there was such a thing began this deployment
            return "", None
        assert step.started_at is not None
        known, again_s = await self._leaving.watch(await self._side(run), known, step.started_at)
        self._reach.remember(run, leaving=known)
        return ("" if known["drained"]["is_proven"] else f", {known['drained']['reason']}"), again_s

    async def _close(self, run: Run) -> None:
        """The last figures, and the last goodbyes."""
        if (known := self._reach.facts(run).get("leaving")) is not None:
            self._reach.remember(run, leaving=await self._leaving.close(await self._side(run), known))

    async def _side(self, run: Run) -> Side:
        reach, listener_arn = self._reach, run.spec["listener_arn"]
        known = reach.facts(run).get("leaving")
        policy = known["policy"] if known else await reach.long_connections(run.region, listener_arn)
        delay_s = reach.clock.scaled_s(run.facts["deregistration_delay_s"])
        return Side(run.region, listener_arn, run.facts[self._colour]["target_group"], policy, delay_s, run.name)

    async def _check_weight(self, run: Run, target_group: str) -> None:
        """Somebody may have moved the weights by hand meanwhile: what serves is not stopped."""
        listener_arn = run.spec["listener_arn"]
        held = routes_with(await self._reach.routes(run.region, listener_arn), [target_group])
        if any(route.weights[target_group] for route in held):
            raise balancer_invalid(
                f"The target group {target_group} has weight on listener {listener_arn} again, so its task set is not"
                " terminated. Set its weight to 0, or deploy again."
            )

    async def _ensure_deleted(self, run: Run, step: Step, task_set: dict[str, Any]) -> None:
        if task_set["status"] == "DRAINING":
            return
        if task_set["status"] == "PRIMARY":
            raise StepFailed(
                "ECS_UPDATE_ERROR", f"The task set {task_set['taskSetArn']} is PRIMARY again and is not terminated."
            )
        await self._reach.ecs(
            "DeleteTaskSet",
            run.region,
            cause=f"step:{step.id}",
            cluster=run.spec["cluster"],
            service=run.spec["service"],
            taskSet=task_set["taskSetArn"],
            force=True,
        )

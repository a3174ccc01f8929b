"""After the traffic has moved: the side that is no longer used is proven drained, then stopped, and all is measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from turnout.codedeploy.colours import BLUE, task_set_made_for, task_set_of, task_sets_info
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import balancer_invalid, routes_with
from turnout.errors import StepFailed, TurnoutError
from turnout.runner import Done, Wait
from turnout.runs import Run, Step
from turnout.traffic import Drained

LOOK_AGAIN_S = 0.25
LEFT_LOOK_AGAIN_S = 15.0
"""Past the drain deadline a connection that is left may stay for days: nobody waits for its end to the second."""
TASKS_LOOK_AGAIN_S = 30.0
IN_FORCE_WITHIN_S = 600.0
"""How long after the drain deadline a balancer that is silent, or refuses the weights, is waited for."""
MEASURED_WITHIN_S = 5.0
"""How long the figures of a receipt are worth waiting for, while the balancer is silent."""


class Cleanup:
    """`colour` is the side that is left: blue in a deployment, green in a rollback."""

    def __init__(self, reach: Reach, colour: str) -> None:
        self._reach = reach
        self._colour = colour

    async def prove_drained(self, run: Run, step: Step) -> Done | Wait:
        """Proof before destruction: Envoy says that the side is quiet, or its deregistration delay is over."""
        reach = self._reach
        target_group = run.facts[self._colour]["target_group"]
        await self._check_weight(run, target_group)
        try:
            drained = await reach.traffic.prove_drained(run.region, target_group)
        except TurnoutError as silent:  # the balancer has just died and is coming back
            drained = Drained(False, False, str(silent), 0, 0, "")
        assert step.started_at is not None
        now = reach.clock.now()
        long = await self._long_connections(run, drained)
        deadline_at = step.started_at + reach.clock.scaled_s(run.facts["deregistration_delay_s"])
        if not drained.is_in_force and now >= deadline_at + IN_FORCE_WITHIN_S:
            raise StepFailed(
                "INTERNAL_ERROR",
                f"The load balancer has not taken on the new weights: {drained.reason}. The {self._colour} task set is"
                " left running, because it may be what serves.",
            )
        # The deadline excuses requests in flight, not a balancer that may still send new ones.
        is_waited_for = now < deadline_at or long["policy"] == "leave" or not drained.is_in_force
        if not drained.is_proven and is_waited_for:
            is_left = now >= deadline_at and drained.is_in_force
            seconds = LEFT_LOOK_AGAIN_S if is_left else LOOK_AGAIN_S
            return Wait(seconds, f"{self._colour} is not drained yet: {drained.reason}")
        proof: dict[str, Any] = {"colour": self._colour, "at": now, **asdict(drained)}
        proof["deadline_reached"] = not drained.is_proven
        cut = 0 if drained.is_proven else drained.in_flight if drained.weights_version else None
        reach.remember(run, drained=proof, long_connections={**long, "cut": cut})
        return Done()

    async def _long_connections(self, run: Run, drained: Drained) -> dict[str, Any]:
        """What the balancer counted when this side was first seen with the new weights in force; for the receipt too.

        A connection with nothing in flight here has moved: its next request goes to the other side.
        """
        reach, listener_arn = self._reach, run.spec["listener_arn"]
        known: dict[str, Any] | None = reach.facts(run).get("long_connections")
        if known is None:
            policy = await reach.long_connections(run.region, listener_arn)
            known = {"policy": policy, "moved": None, "left": None, "cut": None}
            reach.remember(run, long_connections=known)
        if known["left"] is None and drained.is_in_force:
            try:
                connections = await reach.traffic.connections(run.region, listener_arn)
            except TurnoutError:  # silent again: it is not known
                connections = None
            moved = None if connections is None else max(0, connections - drained.in_flight)
            known = {**known, "moved": moved, "left": drained.in_flight}
            reach.remember(run, long_connections=known)
        return known

    async def terminate_blue(self, run: Run, step: Step) -> Done | Wait:
        """Delete the original task set, and wait until its tasks are gone."""
        reach = self._reach
        arn = run.facts[BLUE]["task_set"]
        service = await reach.service(run.region, run.spec["cluster"], run.spec["service"])
        blue = task_set_of(service, arn)
        if blue is None:
            routes = await reach.routes(run.region, run.spec["listener_arn"])
            reach.remember(run, task_sets=task_sets_info(service, routes, run.facts))
            return Done()
        await self._ensure_deleted(run, step, blue)
        left = int(blue.get("runningCount", 0)) + int(blue.get("pendingCount", 0))
        why = f"{left} tasks of the original task set are draining and stopping"
        return Wait(TASKS_LOOK_AGAIN_S, why, on=f"ecs.taskset/{run.region}/{arn}")

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

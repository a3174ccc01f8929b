"""AllowTestTraffic and AllowTraffic: the moves of the listeners, forth and, in a rollback, back.

The weights are rows of the load balancer: what is left after a crash is found by looking at the listener.
"""

from __future__ import annotations

from typing import Any

from turnout.codedeploy.colours import task_set_of, task_sets_info
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import routes_with
from turnout.codedeploy.scaling import steady_within
from turnout.codedeploy.shifting import green_percent_at, next_shift_at
from turnout.errors import StepFailed, TurnoutError
from turnout.runner import Done, Wait
from turnout.runs import Run, Step

FIRST_ANSWER_WITHIN_S = 1.0
"""How long the switch time is waited for: without traffic there is none."""
RESTARTED_AFTER_S = 3.0
"""Weights that were committed longer ago than this were committed by an engine that is no more."""


class Reroute:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def allow_test_traffic(self, run: Run, step: Step) -> Done:
        """The test listener forwards to green, and stays there after success."""
        blue, green = run.facts["blue"]["target_group"], run.facts["green"]["target_group"]
        listener_arn = run.spec["test_listener_arn"]
        await self._reach.ensure_weights(run.region, listener_arn, {green: 100, blue: 0}, f"step:{step.id}")
        return Done()

    async def allow_traffic(self, run: Run, step: Step) -> Done | Wait:
        """Green's share is a function of the seconds since this step began; at the end green is PRIMARY."""
        reach, region, spec, routing = self._reach, run.region, run.spec, run.spec["routing"]
        blue, green = run.facts["blue"]["target_group"], run.facts["green"]["target_group"]
        assert step.started_at is not None
        elapsed = (reach.clock.now() - step.started_at) / reach.clock.scaled_s(1.0)
        percent = green_percent_at(elapsed, routing)
        weights = {green: percent, blue: 100 - percent}
        await reach.ensure_weights(region, spec["listener_arn"], weights, f"step:{step.id}/{percent}")
        await self._measure_switch(run, step)
        shift_at = next_shift_at(elapsed, routing)
        if shift_at is not None:
            await self._see(run)
            look_s, missing = await steady_within(reach, run)
            left_s = step.started_at + reach.clock.scaled_s(shift_at) - reach.clock.now()
            why = f"{percent} % of the traffic goes to green" + (f"; scaling: {missing}" if missing and look_s else "")
            topic = f"ecs.taskset/{region}/{reach.facts(run)['green']['task_set']}"
            return Wait(left_s if look_s is None else min(left_s, look_s), why, on=topic)
        await self._ensure_primary(run, step, "green")
        await self._see(run)
        return Done()

    async def return_test_traffic(self, run: Run, step: Step) -> Done:
        """Of a rollback: the test listener goes back to blue, if it had left it."""
        await self._return(run, step, run.spec["test_listener_arn"])
        return Done()

    async def return_traffic(self, run: Run, step: Step) -> Done:
        """Of a rollback: everything goes back to blue in one move, and blue is PRIMARY."""
        await self._return(run, step, run.spec["listener_arn"])
        await self._ensure_primary(run, step, "blue")
        await self._see(run)
        return Done()

    async def _return(self, run: Run, step: Step, listener_arn: str) -> None:
        blue, green = run.facts["blue"]["target_group"], run.facts["green"]["target_group"]
        routes = routes_with(await self._reach.routes(run.region, listener_arn), [green])
        if any(route.weights[green] for route in routes):
            await self._reach.ensure_weights(run.region, listener_arn, {blue: 100, green: 0}, f"step:{step.id}")

    async def _ensure_primary(self, run: Run, step: Step, colour: str) -> None:
        reach, region, spec = self._reach, run.region, run.spec
        arn = reach.facts(run)[colour]["task_set"]
        task_set = task_set_of(await reach.service(region, spec["cluster"], spec["service"]), arn)
        if task_set is None:
            raise StepFailed("ECS_UPDATE_ERROR", f"The task set {arn} disappeared while it was made primary.")
        if task_set["status"] != "PRIMARY":
            await reach.ecs(
                "UpdateServicePrimaryTaskSet",
                region,
                cause=f"step:{step.id}",
                cluster=spec["cluster"],
                service=spec["service"],
                primaryTaskSet=arn,
            )

    async def _measure_switch(self, run: Run, step: Step) -> None:
        """From the commit of the first weights with green to green's first answer: for the receipt only."""
        reach, listener_arn = self._reach, run.spec["listener_arn"]
        if "switch" in reach.facts(run):
            return
        assert step.started_at is not None
        green = run.facts["green"]["target_group"]
        changes = reach.traffic.weights_since(run.region, listener_arn, step.started_at)
        at = next((change["at"] for change in changes if change["weights"].get(green)), None)
        switch: dict[str, Any] = {"at": at, "first_answer_at": None, "note": None}
        if at is None:
            switch["note"] = "the listener's default action does not hold the target groups"
        elif reach.clock.now() - at > RESTARTED_AFTER_S:
            switch["note"] = "the engine was restarted during the switch"
        else:
            try:
                first = await reach.traffic.first_answer_at(run.region, green, at, FIRST_ANSWER_WITHIN_S)
            except TurnoutError as silent:
                switch["note"] = str(silent)
            else:
                switch["first_answer_at"] = first
                switch["note"] = None if first is not None else "no traffic"
        reach.remember(run, switch=switch)

    async def _see(self, run: Run) -> None:
        reach, spec = self._reach, run.spec
        service = await reach.service(run.region, spec["cluster"], spec["service"])
        routes = await reach.routes(run.region, spec["listener_arn"])
        reach.remember(run, task_sets=task_sets_info(service, routes, reach.facts(run)))

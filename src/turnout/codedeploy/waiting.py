"""READY_WAIT and TERMINATION_WAIT: configured waits, cut short by ContinueDeployment.

The end of a wait is counted from the start of its step, so a restart neither shortens nor prolongs it.
"""

from __future__ import annotations

from turnout.codedeploy.announcing import announce
from turnout.codedeploy.colours import task_set_made_for
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import routes_with
from turnout.errors import StepStopped
from turnout.runner import Done, Wait
from turnout.runs import Run, Step


class Waiting:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def ready(self, run: Run, step: Step) -> Done | Wait:
        """Until ContinueDeployment; when the time is over, the deployment is Stopped and green is deleted."""
        if step.answer is not None:
            return Done()
        self._announce_ready(run)
        minutes = run.spec["ready_wait_minutes"]
        left_s = self._left_s(step, minutes)
        if left_s > 0:
            return Wait(left_s, f"waiting up to {minutes} minutes for ContinueDeployment before traffic is rerouted")
        await self._give_up(run, step)
        raise StepStopped(
            "TIMEOUT",
            "The deployment timed out while waiting for a notification to continue."
            f" This time out period is {minutes} minutes.",
        )

    async def termination(self, run: Run, step: Step) -> Done | Wait:
        """Blue is kept for a while, so that going back takes one move of the weights."""
        minutes = run.spec["termination_wait_minutes"]
        left_s = self._left_s(step, minutes)
        if step.answer is not None or left_s <= 0:
            return Done()
        return Wait(left_s, f"the original task set is kept for {minutes} minutes")

    def _left_s(self, step: Step, minutes: int) -> float:
        assert step.started_at is not None
        return step.started_at + self._reach.clock.scaled_s(60.0 * minutes) - self._reach.clock.now()

    def _announce_ready(self, run: Run) -> None:
        if not self._reach.facts(run).get("ready_announced"):
            with self._reach.runs.store.transaction() as tx:
                self._reach.runs.remember(tx, run.id, ready_announced=True)
                announce(tx, self._reach.aws, self._reach.runs, run, "READY")

    async def _give_up(self, run: Run, step: Step) -> None:
        """AWS is silent on what is left behind (docs/choices.md): we leave nothing."""
        reach, spec, facts = self._reach, run.spec, run.facts
        blue, green = facts["blue"]["target_group"], facts["green"]["target_group"]
        if spec["test_listener_arn"] is not None:
            held = routes_with(await reach.routes(run.region, spec["test_listener_arn"]), [green])
            if any(route.weights[green] for route in held):
                weights = {blue: 100, green: 0}
                await reach.ensure_weights(run.region, spec["test_listener_arn"], weights, f"step:{step.id}")
        service = await reach.service(run.region, spec["cluster"], spec["service"])
        task_set = task_set_made_for(service, run.name)
        if task_set is not None and task_set["status"] != "DRAINING":
            await reach.ecs(
                "DeleteTaskSet",
                run.region,
                cause=f"step:{step.id}",
                cluster=spec["cluster"],
                service=spec["service"],
                taskSet=task_set["taskSetArn"],
                force=True,
            )

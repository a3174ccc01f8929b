"""Preflight: what is live is found from the listener and the service, before anything is created.

Nothing is changed here: a deployment that fails here has nothing to roll back.
"""

from __future__ import annotations

from typing import Any

from turnout.codedeploy.colours import BLUE, GREEN, colour_of, primary_of, weights_of
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.routes import Route, check_before_shift, routes_with, stranger_on
from turnout.errors import StepFailed, TurnoutError
from turnout.runner import Done, Wait
from turnout.runs import Run, Step

LOOK_AGAIN_S = 0.5


class Preflight:
    """Blue is the primary task set's target group, green the other of the pair: so every deployment alternates."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        reach, region, spec = self._reach, run.region, run.spec
        service = await reach.service(region, spec["cluster"], spec["service"])
        primary = primary_of(service)
        if primary is None or not primary.get("loadBalancers"):
            raise StepFailed(
                "INVALID_ECS_SERVICE",
                f"The ECS service {spec['service']} has no PRIMARY task set behind a load balancer: create it with"
                " the CODE_DEPLOY deployment controller, a task definition and one of the two target groups.",
            )
        groups = await reach.target_groups(region, spec["target_groups"])
        names = {arn: group["TargetGroupName"] for arn, group in groups.items()}
        listener_arn = spec["listener_arn"]
        routes = await reach.routes(region, listener_arn)
        blue, green = check_before_shift(routes, listener_arn, primary["loadBalancers"][0]["targetGroupArn"], names)
        if spec["test_listener_arn"] is not None:
            await self._check_test_listener(region, spec["test_listener_arn"], names)
        images = await reach.images(region, spec["cluster"], spec["service"], primary["id"])
        facts: dict[str, Any] = {
            "service_arn": service["serviceArn"],
            "blue": colour_of(groups[blue], primary, images),
            "green": colour_of(groups[green]),
            "deregistration_delay_s": await reach.deregistration_delay_s(region, blue),
            "weights": self._weights(routes, blue, green),
        }
        reach.remember(run, **facts)
        return await self._sample(run, blue, green)

    async def ensure_back(self, run: Run, step: Step) -> Done:
        """Of a rollback: the colours are known; what its traffic does is measured from here."""
        reach, facts = self._reach, run.facts
        blue, green = facts["blue"]["target_group"], facts["green"]["target_group"]
        listener_arn = run.spec["listener_arn"]
        routes = await reach.routes(run.region, listener_arn)
        learnt: dict[str, Any] = {
            "deregistration_delay_s": await reach.deregistration_delay_s(run.region, green),
            "weights": self._weights(routes, blue, green),
        }
        reach.remember(run, **learnt)
        await self._sample(run, blue, green)  # going back does not wait for a balancer that cannot be measured
        return Done()

    async def _sample(self, run: Run, blue: str, green: str) -> Done | Wait:
        """From here the traffic is counted. A balancer that is silent has just died and is coming back."""
        colours = {blue: BLUE, green: GREEN}
        try:
            await self._reach.samples.ensure_begun(run, (run.spec["listener_arn"],), colours)
        except TurnoutError as silent:
            return Wait(LOOK_AGAIN_S, str(silent))
        return Done()

    async def _check_test_listener(self, region: str, listener_arn: str, names: dict[str, str]) -> None:
        held = routes_with(await self._reach.routes(region, listener_arn), names)
        if not held or any(arn not in names for route in held for arn in route.weights):
            raise stranger_on(listener_arn, names.values())

    def _weights(self, routes: list[Route], blue: str, green: str) -> dict[str, Any]:
        """The weights that a deployment began with, for its receipt."""
        return {"at": self._reach.clock.now(), "weights": weights_of(routes, [blue, green])}

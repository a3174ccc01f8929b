"""What a deployment expects of the routes of a listener, and AWS's words when it is otherwise. Pure.

A deployment rewrites every route of the production listener that holds one of its two target groups, and leaves the
others alone. Routes themselves: `turnout.routes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from turnout.errors import StepFailed
from turnout.routes import Route as Route
from turnout.routes import Weights as Weights
from turnout.routes import actions_at as actions_at
from turnout.routes import routes_of as routes_of
from turnout.routes import routes_with as routes_with


def check_before_shift(
    routes: Sequence[Route], listener_arn: str, primary: str, pair: Mapping[str, str]
) -> tuple[str, str]:
    """(blue, green) ARNs: blue is the primary task set's target group. `pair` is ARN → name.

    Raises ELASTIC_LOAD_BALANCING_INVALID with AWS's words, before anything has been created.
    """
    behind = {arn for route in routes for arn in route.weights}
    if primary not in behind:
        raise balancer_invalid(f"Primary taskset target group must be behind listener {listener_arn}")
    ours = routes_with(routes, pair)
    if primary not in pair or any(arn not in pair for route in ours for arn in route.weights):
        raise stranger_on(listener_arn, pair.values())
    (green,) = (arn for arn in pair if arn != primary)
    if any(route.weights.get(green, 0) for route in ours):
        raise balancer_invalid("Green taskset target group cannot have non-zero weight prior to traffic shifting")
    return primary, green


def stranger_on(listener_arn: str, names: Iterable[str]) -> StepFailed:
    return balancer_invalid(
        f"Only target group in ECS deployment group ({', '.join(names)}) can be set on listener {listener_arn}."
    )


def balancer_invalid(what: str) -> StepFailed:
    return StepFailed(
        "ELASTIC_LOAD_BALANCING_INVALID", f"The ELB could not be updated due to the following error: {what}"
    )

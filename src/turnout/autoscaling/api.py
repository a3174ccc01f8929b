"""Application Auto Scaling as its API. Shared with moto: what is not about ECS services is moto's, and only recorded.

Why moto's registry does not hold them: it looks for the service among its own, and makes up the alarms of a policy.
Topics: `autoscaling.target/{region}/{resource id}` (…/us-east-1/service/shop/web) is woken when an alarm has invoked
one of its policies, and when policies change. Runs: "autoscaling.target", one per target, for as long as
there is it. After a crash each looks again: at its alarms, and whether what it decided has been done.
"""

from __future__ import annotations

from turnout.autoscaling.activities import Activities
from turnout.autoscaling.plan import TargetPlan
from turnout.autoscaling.policies import Policies
from turnout.autoscaling.targets import Targets
from turnout.runner import Plan

__all__ = ["AutoScaling"]


class AutoScaling(Targets, Policies, Activities):
    """The room."""

    SERVICE = "application-autoscaling"

    @property
    def plans(self) -> list[Plan]:
        return [TargetPlan(self)]

"""The room ecr: its operations, gathered, and what it is made of.

Left after a crash: whatever was committed; uploads as far as they had come; blobs that no row names, which are swept
away. The registry that docker speaks to (`turnout.ecr.oci`) is another way to the same rows and blobs.
"""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.config import Config
from turnout.ecr.images import Images
from turnout.ecr.layers import Layers
from turnout.ecr.plans import LifecyclePlan, SweepPlan
from turnout.ecr.policies import Policies
from turnout.ecr.repositories import Repositories
from turnout.ecr.schema import MIGRATIONS
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Store

__all__ = ["MIGRATIONS", "Ecr"]


class Ecr(Repositories, Images, Layers, Policies):
    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        super().__init__(store, runs, aws, clock, config)
        self.plans: list[Plan] = [LifecyclePlan(self), SweepPlan(self)]

    async def start(self) -> None:
        """Nothing to put right: what a crash has left is swept away."""

    async def close(self) -> None:
        """Nothing is held."""

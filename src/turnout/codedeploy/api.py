"""The room codedeploy, put together: every method that has no underscore is an operation of AWS's CodeDeploy.

Owns applications, deployment groups, configs, revisions, deployments (runs of kind "codedeploy", in the lane of their
group's id) and receipts. Answers nothing about servers and Lambda functions: only the compute platform ECS.
After a crash there is nothing to restore: the rows of the runs say how to go on.
"""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codedeploy.alarms import Alarms, AlarmWatch
from turnout.codedeploy.applications import Applications
from turnout.codedeploy.configs import Configs
from turnout.codedeploy.deployments import Deployments
from turnout.codedeploy.groups import Groups
from turnout.codedeploy.plan import DeploymentPlan
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.receipts import RECEIPTS, Receipts
from turnout.codedeploy.records import Records
from turnout.codedeploy.revisions import Revisions
from turnout.codedeploy.starting import KIND, History, Starting
from turnout.codedeploy.tags import Tags
from turnout.codedeploy.targets import Targets
from turnout.codedeploy.triggers import TriggerPlan
from turnout.config import Config
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Migrations, Store
from turnout.traffic import Traffic

MIGRATIONS: Migrations = [RECEIPTS]


class CodeDeploy(Applications, Groups, Configs, Deployments, Targets, Revisions, Tags):
    SERVICE = "codedeploy"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config, traffic: Traffic) -> None:
        self.receipts = Receipts(runs, traffic)
        self._records = Records(store)
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._history = History(store)
        self._reach = Reach(aws, runs, clock, traffic)
        self._starting = Starting(runs, aws, self._history)
        alarms = Alarms(aws, runs)
        plan = DeploymentPlan(self._reach, self._starting, self._history, self.receipts, alarms)
        self.plans: list[Plan] = [plan, AlarmWatch(alarms, runs, KIND), TriggerPlan(aws)]

    async def start(self) -> None:
        """Nothing to put right: the rows are all there is."""

    async def close(self) -> None:
        """Nothing to let go of."""

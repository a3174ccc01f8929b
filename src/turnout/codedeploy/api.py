"""The room codedeploy, put together: every method that has no underscore is an operation of AWS's CodeDeploy.

Owns applications, deployment groups, configs, revisions, deployments (runs of kind "codedeploy", in the lane of their
group's id) and their hooks ("codedeploy.hook"). Answers nothing about servers and Lambda functions: only the compute
platform ECS.
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
from turnout.codedeploy.hooks.bundles import Bundles
from turnout.codedeploy.hooks.container import ContainerHook
from turnout.codedeploy.hooks.function import FunctionHook
from turnout.codedeploy.hooks.http import HttpHook
from turnout.codedeploy.hooks.plan import HookPlan
from turnout.codedeploy.hooks.script import ScriptHook
from turnout.codedeploy.hooks.status import HookStatus
from turnout.codedeploy.hooks.surroundings import Surroundings
from turnout.codedeploy.plan import DeploymentPlan
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.receipt import build
from turnout.codedeploy.records import Records
from turnout.codedeploy.revisions import Revisions
from turnout.codedeploy.starting import KIND, History, Starting
from turnout.codedeploy.tags import Tags
from turnout.codedeploy.targets import Targets
from turnout.codedeploy.triggers import TriggerPlan
from turnout.config import Config
from turnout.hookfile import CONTAINER, HTTP, LAMBDA, SCRIPT
from turnout.receipt import Document
from turnout.receipts import Receipts
from turnout.runner import Plan
from turnout.runs import Run, Runs
from turnout.store import Migrations, Store
from turnout.traffic import Traffic

MIGRATIONS: Migrations = [
    """
CREATE TABLE codedeploy_receipts (
    region           TEXT NOT NULL,
    deployment_id    TEXT NOT NULL,
    application      TEXT NOT NULL,
    deployment_group TEXT NOT NULL,
    created_at       REAL NOT NULL,
    body             TEXT NOT NULL,
    PRIMARY KEY (region, deployment_id)
);
CREATE INDEX codedeploy_receipts_at ON codedeploy_receipts (region, created_at);
""",
    # Receipts are everybody's now.
    """
INSERT INTO receipts SELECT region, deployment_id, created_at, body FROM codedeploy_receipts;
DROP TABLE codedeploy_receipts;
""",
]


class CodeDeploy(Applications, Groups, Configs, Deployments, HookStatus, Targets, Revisions, Tags):
    SERVICE = "codedeploy"

    def __init__(
        self,
        store: Store,
        runs: Runs,
        aws: Aws,
        clock: Clock,
        config: Config,
        traffic: Traffic,
        receipts: Receipts,
    ) -> None:
        self._records = Records(store)
        self._runs = runs
        self._aws = aws
        self._clock = clock
        self._history = History(store)
        self._traffic = traffic
        self._reach = Reach(aws, runs, clock, traffic, receipts.samples)
        receipts.samples.count_tasks(KIND, self._reach.count_tasks)
        receipts.build_by(KIND, self._receipt)
        self._starting = Starting(runs, aws, self._history)
        alarms = Alarms(aws, runs)
        plan = DeploymentPlan(self._reach, self._starting, self._history, receipts, alarms)
        surroundings = Surroundings(self._reach, config)
        self._bundles = Bundles(aws, config.hooks / "bundles")
        self._scripts = ScriptHook(runs, aws, config.hooks / "scripts", self._bundles, surroundings)
        hooks = HookPlan(
            runs,
            KIND,
            {
                LAMBDA: FunctionHook(runs, aws),
                SCRIPT: self._scripts,
                CONTAINER: ContainerHook(self._reach, surroundings),
                HTTP: HttpHook(runs, aws, surroundings),
            },
        )
        self.plans: list[Plan] = [plan, hooks, AlarmWatch(alarms, runs, KIND), TriggerPlan(aws)]

    def _receipt(self, run: Run) -> Document:
        changes = self._traffic.weights_since(run.region, run.spec["listener_arn"], run.created_at)
        interruptions = [
            one
            for one in self._traffic.interruptions_since(run.created_at)
            if run.ended_at is None or (one["endedAt"] or one["servesAgainAt"]) <= run.ended_at
        ]
        events = [dict(event) for event in self._runs.events(run.id)]
        return build(run, self._runs.steps(run.id), events, changes, interruptions)

    async def start(self) -> None:
        """The rows are all there is, but for the scripts of hooks: whoever watched them is gone."""
        self._scripts.look_after()

    async def close(self) -> None:
        """Let go: the scripts of hooks go on."""
        self._scripts.close()

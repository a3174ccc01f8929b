"""Amazon ECS, as its API: what runs on this machine, kept at the counts that services ask for.

Topics: `ecs.taskset/{region}/{task set ARN}` is woken when the counts or the stability of a task set may have changed,
or it is gone. Runs: "ecs.task" (`task_plan.py`), "ecs.check" (`checking.py`), "ecs.service" (`scheduler.py`),
"ecs.deployment" (`deployment_plan.py`), "ecs.rollback" (`deployment_rollback.py`) and "ecs.alarms"
(`deployment_alarms.py`).
"""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.config import Config
from turnout.ecs.checking import CheckPlan
from turnout.ecs.clusters import Clusters
from turnout.ecs.containers import Containers
from turnout.ecs.deployment_alarms import AlarmWatch
from turnout.ecs.deployment_plan import DeploymentPlan
from turnout.ecs.deployment_receipt import DeploymentReceipts
from turnout.ecs.deployment_rollback import RollbackPlan
from turnout.ecs.instances import ContainerInstances
from turnout.ecs.metrics import Metrics
from turnout.ecs.output import Output
from turnout.ecs.records import Records
from turnout.ecs.scheduler import SchedulerPlan, ensure_scheduler
from turnout.ecs.schema import MIGRATIONS as MIGRATIONS
from turnout.ecs.service_deployments import ServiceDeployments
from turnout.ecs.service_updates import ServiceUpdates
from turnout.ecs.services import Services
from turnout.ecs.task_plan import TaskPlan
from turnout.ecs.task_sets import TaskSets
from turnout.ecs.tasks import Tasks
from turnout.ecs.workloads import task_id_of
from turnout.receipts import Receipts
from turnout.runner import Plan
from turnout.runs import Runs, Status
from turnout.runtimes import Runtime
from turnout.store import Store, Transaction
from turnout.traffic import Traffic


class Ecs(Clusters, Services, ServiceUpdates, ServiceDeployments, TaskSets, Tasks, ContainerInstances, Records):
    """One per engine; handed the runtime that starts what has to run, and the traffic of the balancer."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        aws: Aws,
        clock: Clock,
        config: Config,
        runtime: Runtime,
        traffic: Traffic,
        receipts: Receipts,
    ) -> None:
        super().__init__(store, runs, aws, clock, config, runtime, traffic)
        self.output = Output(store, aws, runtime)
        containers = Containers(self, self.output)
        self.metrics = Metrics(self)
        kept = DeploymentReceipts(self, traffic, receipts)
        self.plans: list[Plan] = [
            TaskPlan(self, containers, self.purge_definitions),
            CheckPlan(self, containers),
            SchedulerPlan(self, self.purge_definitions),
            DeploymentPlan(self, traffic, kept),
            AlarmWatch(self),
            RollbackPlan(self, traffic, kept),
        ]

    async def start(self) -> None:
        """Adopt what runs: every task and every scheduler looks at the world once."""
        self.runtime.on_exit(self._exited)
        with self.store.transaction() as tx:
            for one in self.sets.everywhere():
                ensure_scheduler(self, tx, one)
                self.wake_set(tx, one.id)
            for task in self.tasks.open():
                self._wake_task(tx, task.run_id)
        self.output.start()

    async def close(self) -> None:
        await self.output.close()

    def _exited(self, workload: str) -> None:
        """A container has ended: whatever its task is doing, it looks again."""
        task = self.tasks.find(task_id_of(workload))
        if task is not None:
            self.store.eventually(lambda tx: self._wake_task(tx, task.run_id))

    def _wake_task(self, tx: Transaction, run_id: int) -> None:
        for step in self.runs.steps(run_id):
            if step.status is Status.IN_PROGRESS:
                self.runs.signal(tx, step.id)

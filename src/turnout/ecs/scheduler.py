"""The scheduler of a task set, or of a deployment under the ECS controller: runs of kind "ecs.service".

A run has one long step, *Keep*, which is woken by changes of its tasks, its service, and the health of its targets.
Whatever woke it, it looks at the whole service, decides (`scheduling.py`) and acts, all in one transaction: there is no
moment at which an answer of the API and what the scheduler saw differ.
A set with several target groups has a *Watch* step for each further one, because a step waits on one topic.

Wakes `ecs.taskset/{region}/{task set ARN}` when the counts or the stability of a task set may have changed, and when
it is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from turnout.ecs.acting import Acting
from turnout.ecs.deployment_starting import open_runs
from turnout.ecs.room import KEEP, Room
from turnout.ecs.scheduling import ServiceSeen, SetSeen, TaskSeen, decide
from turnout.ecs.service_rows import STALLED, Service, TaskSet
from turnout.ecs.targets import Targets, health_topic, is_failing, is_healthy, targets_for
from turnout.ecs.task_rows import Task
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Status, Step, StepSpec
from turnout.store import Transaction

log = logging.getLogger(__name__)

LOOK_ANYWAY_S, LOOK_WHILE_UNSTABLE_S = 300.0, 30.0
"""How long to leave a set alone if nobody says that anything has changed."""
AFTER_ERROR_S = 5.0


def steps_for(one: TaskSet) -> list[StepSpec]:
    watches = [
        StepSpec(f"Watch {number}", 0, spec={"targetGroupArn": group})
        for number, group in enumerate(one.target_groups[1:], start=2)
    ]
    return [StepSpec(KEEP, 0), *watches]


def ensure_scheduler(room: Room, tx: Transaction, one: TaskSet) -> None:
    """Every task set has a scheduler that runs, also if a former one was given up."""
    run = room.runs.get(one.run_id) if one.run_id else None
    if run is None or run.status.is_over:
        name = one.id if run is None else f"{one.id}#{run.id}"
        made = room.runs.insert(
            tx,
            "ecs.service",
            one.region,
            name,
            {"taskSet": one.id},
            steps_for(one),
            lane=f"{one.cluster}/{one.service}",
        )
        room.sets.update(tx, one.id, run_id=made.id)


class SchedulerPlan(StraightPlan):
    kind = "ecs.service"

    def __init__(self, room: Room, purge: Callable[[Transaction], None]) -> None:
        self._room = room
        self._targets = Targets(room.aws)
        self._acting = Acting(room)
        self._purge = purge

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        try:
            return await (self._keep(run) if step.name == KEEP else self._watch(run, step))
        except Exception as error:
            # A scheduler that ends at a hiccup would leave its service alone for good.
            log.exception("keeping %s", run.spec["taskSet"])
            return Wait(AFTER_ERROR_S, f"trying again after {type(error).__name__}: {error}")

    async def _watch(self, run: Run, step: Step) -> Done | Wait:
        keep = self._room.runs.find_step(run.id, KEEP)
        if keep is None or keep.status.is_over:
            return Done()
        with self._room.store.transaction() as tx:
            self._room.runs.signal(tx, keep.id)
        group = step.spec["targetGroupArn"]
        return Wait(LOOK_ANYWAY_S, "watching the targets", on=health_topic(run.region, group))

    async def _keep(self, run: Run) -> Done | Wait:
        room = self._room
        one = room.sets.find(run.spec["taskSet"])
        service = one and room.services.find(one.region, one.cluster, one.service)
        if one is None or service is None:
            return Done()
        await self._look_at_health(one)
        with room.store.transaction() as tx:
            service = room.services.find(one.region, one.cluster, one.service)
            if service is None:
                return Done()
            sets = room.sets.of_service(service)
            tasks = {each.id: room.tasks.of_set(each.id) for each in sets}
            going = open_runs(room, service) if service.is_rolling else []
            decision = decide(seen(service, sets, tasks, going), room.clock.now())
            self._acting.act(tx, service, sets, tasks, decision)
            if one.id in decision.finished:
                return Done()
        figures = decision.figures.get(one.id)
        why = "gone" if figures is None else f"{figures.running} of {figures.computed} tasks running"
        seconds = LOOK_ANYWAY_S if figures is None or figures.is_stable else LOOK_WHILE_UNSTABLE_S
        if decision.look_at is not None:
            seconds = min(seconds, max(0.0, decision.look_at - room.clock.now()))
        topic = health_topic(one.region, one.target_groups[0]) if one.target_groups else None
        return Wait(seconds, why, on=topic)

    async def _look_at_health(self, one: TaskSet) -> None:
        """Write down how the load balancer sees each running task of the set."""
        room = self._room
        tasks = [task for task in room.tasks.of_set(one.id) if task.counts and task.running_at is not None]
        if not tasks or not one.target_groups:
            return
        health = {group: await self._targets.health(one.region, group) for group in one.target_groups}
        instance_id = room.instance(one.region, one.cluster)["ec2InstanceId"]
        with room.store.transaction() as tx:
            for task in tasks:
                mode = room.runs.get(task.run_id).spec["networkMode"]
                targets = targets_for(one.body["loadBalancers"], task.containers, mode, instance_id)
                fresh = {
                    target.group_arn: health[target.group_arn].get((target.id, target.port), {}) for target in targets
                }
                if fresh != task.health:
                    room.tasks.set_health(tx, task.id, fresh)

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        """With nothing left to keep there is nothing to watch."""
        if step.name == KEEP:
            for other in self._room.runs.steps(run.id):
                if other.status is Status.IN_PROGRESS:
                    self._room.runs.signal(tx, other.id)

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        """A set with nothing left is gone; the last one takes a draining service along."""
        room = self._room
        one = room.sets.find(run.spec["taskSet"])
        if one is None or one.run_id != run.id or any(step.status is not Status.SUCCEEDED for step in steps):
            return
        room.sets.delete(tx, one.id)
        room.put_tags(tx, one.region, one.arn, [])
        room.runs.wake(tx, one.topic)
        service = room.services.find(one.region, one.cluster, one.service)
        if service is not None:
            retire_if_empty(room, tx, service)
            room.wake_service(tx, service)
        self._purge(tx)
        room.runs.forget(tx, run.id)


def retire_if_empty(room: Room, tx: Transaction, service: Service) -> None:
    """A DRAINING service without task sets is INACTIVE."""
    if service.status == "DRAINING" and not room.sets.of_service(service):
        room.services.put(tx, replace(service, status="INACTIVE"))


def seen(
    service: Service, sets: Sequence[TaskSet], tasks: dict[str, list[Task]], going: Sequence[Run] = ()
) -> ServiceSeen:
    """The service as `scheduling.decide` wants to see it. `going`: deployments and rollbacks under way. Pure."""
    sources = {run.spec["source"] for run in going}
    configuration = service.body["deploymentConfiguration"]
    return ServiceSeen(
        is_active=service.status == "ACTIVE",
        is_rolling=service.is_rolling and not service.shifts,
        shifts=service.shifts,
        is_deploying=bool(going),
        desired=service.desired,
        min_percent=configuration["minimumHealthyPercent"],
        max_percent=configuration["maximumPercent"],
        grace_s=float(service.body.get("healthCheckGracePeriodSeconds", 0)),
        sets=tuple(
            SetSeen(
                id=one.id,
                status=one.status,
                scale_percent=one.scale,
                tasks=tuple(_task_seen(one, task) for task in tasks[one.id] if task.counts),
                stopping=sum(task.is_leaving for task in tasks[one.id]),
                retry_at=one.retry_at,
                is_source=one.id in sources,
                is_stalled=one.body.get(STALLED, False),
            )
            for one in sets
        ),
    )


def _task_seen(one: TaskSet, task: Task) -> TaskSeen:
    groups = one.target_groups
    return TaskSeen(
        id=task.id,
        created_at=task.created_at,
        running_at=task.running_at,
        is_healthy=is_healthy(groups, task.health) and task.passes_checks,
        is_failing=is_failing(groups, task.health) or task.fails_checks,
        is_checked=bool(groups) or task.is_checked,
        has_started_well=task.well_at is not None,
    )

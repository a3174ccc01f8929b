"""The run of a task, kind "ecs.task". The steps and what they are called on AWS: `states.py`.

Nothing calls into a step: the end of a container and the end of draining wake it, and it looks.
After a crash every step looks first: a container that runs is found by its name, a target that is registered may be
registered again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from turnout.ecs import states
from turnout.ecs.containers import Containers
from turnout.ecs.failures import count_failure
from turnout.ecs.room import Room
from turnout.ecs.service_rows import Service
from turnout.ecs.targets import Target, Targets, health_topic, targets_for
from turnout.ecs.task_description import announce_task, task_arn
from turnout.errors import AwsError, StepFailed, StepStopped
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Status, Step
from turnout.store import Transaction

REMEMBERED_S = 3600.0
LOOK_ANYWAY_S = 300.0
"""How long a running task is left alone if nobody says that a container has ended."""
DRAIN_LOOK_S = 30.0
ESSENTIAL_EXITED = "Essential container in task exited"


class TaskPlan(StraightPlan):
    kind = "ecs.task"

    def __init__(self, room: Room, containers: Containers, purge: Callable[[Transaction], None]) -> None:
        self._room = room
        self._containers = containers
        self._targets = Targets(room.aws)
        self._purge = purge
        self._acts: Mapping[str, Callable[[Run, Step], Awaitable[Done | Wait]]] = {
            states.START: self._start,
            states.ACTIVATE: self._activate,
            states.RUN: self._run,
            states.DEACTIVATE: self._deactivate,
            states.STOP: self._stop,
            states.DEPROVISION: self._deprovision,
            states.STOPPED: self._remember,
        }

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        return await self._acts[step.name](run, step)

    def stands(self, step: Step) -> bool:
        return step.name in (states.RUN, states.STOPPED)

    def proceeds(self, run: Run, step: Step, steps: Sequence[Step]) -> bool:
        """A task that is to end takes the way out, from wherever it is; it undoes only what was begun."""
        if step.name in (states.START, states.ACTIVATE, states.RUN):
            return super().proceeds(run, step, steps)
        if step.name == states.DEACTIVATE:
            return any(one.name == states.ACTIVATE and one.started_at is not None for one in steps)
        return True

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        if step.name in (states.START, states.ACTIVATE, states.RUN):
            return super().stops(run, step)
        return None

    async def _start(self, run: Run, step: Step) -> Done | Wait:
        wait = await self._containers.ensure_started(run)
        ended = self._containers.ended_essential(run)
        if ended is not None:
            # A runtime that could not start a container says so in ECS's words: CannotStartContainerError: …
            reason = str(ended[1].get("reason") or "")
            if reason.startswith("Cannot"):
                raise StepFailed(states.FAILED_TO_START, reason)
            raise StepFailed(states.EXITED, ESSENTIAL_EXITED)
        return Done() if wait is None else Wait(*wait)

    async def _activate(self, run: Run, step: Step) -> Done | Wait:
        """Register the host ports that were allocated."""
        targets = self._targets_of(run)
        if len(targets) < len(run.spec["loadBalancers"]):
            missing = ", ".join(f"{b['containerName']}:{b['containerPort']}" for b in run.spec["loadBalancers"])
            raise StepFailed(states.FAILED_TO_START, f"the container opened no port to register: {missing}")
        for target in targets:
            try:
                await self._targets.register(run.region, target)
            except AwsError as error:
                raise StepFailed(
                    states.FAILED_TO_START,
                    f"failed to register targets in (target-group {target.group_arn}) with (error {error.message})",
                ) from error
        return Done()

    async def _run(self, run: Run, step: Step) -> Done | Wait:
        await self._containers.look(run)
        if self._containers.ended_essential(run) is not None:
            return Done({"reason": ESSENTIAL_EXITED})
        return Wait(LOOK_ANYWAY_S, "running")

    async def _deactivate(self, run: Run, step: Step) -> Done | Wait:
        """Deregister, then wait until the last request has been answered; a container that is gone answers none."""
        waiting = []
        for target in self._targets_of(run):
            exists = await self._targets.deregister(run.region, target) if not step.note else True
            if exists and not await self._targets.is_drained(run.region, target):
                waiting.append(target)
        task = await self._containers.look(run)
        serving = {balancer["containerName"] for balancer in run.spec["loadBalancers"]}
        if waiting and any(task.containers.get(name, {}).get("isRunning") for name in serving):
            topic = health_topic(run.region, waiting[0].group_arn)
            return Wait(DRAIN_LOOK_S, f"draining {len(waiting)} targets", on=topic)
        return Done()

    def _targets_of(self, run: Run) -> list[Target]:
        spec = run.spec
        containers = self._room.tasks.get(run.name).containers
        instance_id = self._room.instance(spec["region"], spec["cluster"])["ec2InstanceId"]
        return targets_for(spec["loadBalancers"], containers, spec["networkMode"], instance_id)

    async def _stop(self, run: Run, step: Step) -> Done | Wait:
        again = await self._containers.end(run)
        return Done() if again is None else Wait(*again)

    async def _deprovision(self, run: Run, step: Step) -> Done | Wait:
        await self._containers.remove(run)
        return Done()

    async def _remember(self, run: Run, step: Step) -> Done | Wait:
        left = (step.started_at or 0.0) + REMEMBERED_S - self._room.clock.now()
        return Done() if left <= 0 else Wait(left, "stopped; remembered for an hour")

    # What follows, inside the transactions of the runner

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        service = self._service_of(run.spec)
        if service is not None and states.has_failed(step):
            self._tell_failure(tx, service, run, step)
        if service is not None and step.status is Status.SUCCEEDED:
            self._tell_targets(tx, service, run, step)
        if step.name == states.DEPROVISION:
            self._purge(tx)
            self._room.runs.wake(tx, f"ecs.task/{run.region}/{task_arn(run.region, run.spec['cluster'], run.name)}")
        if (status := states.status_after(step)) is not None:
            announce_task(self._room, tx, run, status)
        if states.concerns_the_set(step):
            self._room.wake_set(tx, run.spec.get("taskSet"))

    def _tell_targets(self, tx: Transaction, service: Service, run: Run, step: Step) -> None:
        verb = {states.ACTIVATE: "registered", states.DEACTIVATE: "deregistered"}.get(step.name)
        for balancer in run.spec["loadBalancers"] if verb else ():
            group = balancer["targetGroupArn"]
            self._room.say(tx, service, f"{of_set(service, run.spec)}) {verb} 1 targets in (target-group {group})")

    def _tell_failure(self, tx: Transaction, service: Service, run: Run, step: Step) -> None:
        """A task of a service died by itself: its successor has to wait, and people are told why."""
        count_failure(self._room, tx, service, self._room.tasks.get(run.name))
        reason = states.failure_for(step).reason if step.status is Status.FAILED else str(step.result["reason"])
        if (ended := self._containers.ended_essential(run)) is not None:
            name, known = ended
            reason += f" (container {name}, exit code {known.get('exitCode')})"
        self._room.say(tx, service, f"{of_set(service, run.spec)}) (task {run.name}) has stopped: {reason}")

    def _service_of(self, spec: Mapping[str, Any]) -> Service | None:
        name = spec.get("service")
        return self._room.services.find(spec["region"], spec["cluster"], name) if name else None

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        """A task that stopped an hour ago is forgotten."""
        self._room.put_tags(tx, run.region, task_arn(run.region, run.spec["cluster"], run.name), [])
        self._room.runs.forget(tx, run.id)


def of_set(service: Service, spec: Mapping[str, Any]) -> str:
    """The part of an event that names the task set; there is none under the ECS controller."""
    return "" if service.is_rolling else f", taskSet {spec['taskSet']}"

"""The containers of a task, at the runtime: started, looked at, told to end, removed.

What becomes of a container is written down in the row of its task; the runtime finds it again by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.ecs import states
from turnout.ecs.checks import UNKNOWN
from turnout.ecs.dependencies import dependents, readiness
from turnout.ecs.environments import Environments
from turnout.ecs.images import resolve
from turnout.ecs.output import Output, stream_for
from turnout.ecs.room import Room
from turnout.ecs.task_rows import Task
from turnout.ecs.workloads import stop_timeout_s, unhonoured, workload_for, workload_name
from turnout.errors import StepFailed
from turnout.runs import Run, Status, StepSpec
from turnout.runtimes import State, Workload
from turnout.store import Transaction

CHECK = "ecs.check"
"""The kind of the runs that check the health of a container: `checking.py`."""
KILL_LOOK_S = 1.0
"""How soon to look again after SIGKILL."""
LOOK_ANYWAY_S = 300.0
"""How long a container that waits for another is left alone if nobody says that anything has changed."""


class Containers:
    def __init__(self, room: Room, output: Output) -> None:
        self._room = room
        self._output = output
        self._environments = Environments(room.aws)

    async def ensure_started(self, run: Run) -> tuple[float, str] | None:
        """Every container, as soon as what it depends on allows. Raises StepFailed.

        Returns how long to wait and why; None once all have been started.
        """
        containers = {container["name"]: container for container in run.spec["containers"]}
        images = await self._pinned(run)
        for name, container in containers.items():
            if refusal := unhonoured(container, self._room.runtime.honours(images[name])):
                raise StepFailed(states.FAILED_TO_START, refusal)
        while True:
            known = (await self.look(run)).containers
            now = self._room.clock.now()
            seen = readiness(run.spec["containers"], known, now)
            if seen.never is not None:
                raise StepFailed(states.FAILED_TO_START, seen.never)
            if not seen.ready or self.ended_essential(run) is not None:
                break
            for name in seen.ready:
                await self._start(run, containers[name], images[name])
        if not seen.waiting or self.ended_essential(run) is not None:
            return None
        return (LOOK_ANYWAY_S if seen.give_up_at is None else seen.give_up_at - now), seen.why

    async def _start(self, run: Run, container: Mapping[str, Any], image: str) -> None:
        name = container["name"]
        workload = await self._workload(run, container, image)
        await self._output.ensure_stream(workload.name, stream_for(run.spec, container, run.name))
        state = await self._room.runtime.ensure_started(workload)
        _, at, digest = image.rpartition("@")
        facts: dict[str, Any] = {"imageDigest": digest if at else None, "runtimeId": workload.name}
        check = container.get("healthCheck")
        if check:
            facts |= {"check": {"status": UNKNOWN, "failures": 0}, "isEssential": container.get("essential", True)}
        with self._room.store.transaction() as tx:
            self._learn(tx, run, name, state, **facts)
            if check and state.is_running:
                begin_checking(self._room, tx, run.region, run.name, {"container": name, "check": check})

    async def workload(self, run: Run, name: str) -> Workload:
        """A container that has been started, as the runtime knows it."""
        container = next(container for container in run.spec["containers"] if container["name"] == name)
        return await self._workload(run, container, (await self._pinned(run))[name])

    async def _workload(self, run: Run, container: Mapping[str, Any], image: str) -> Workload:
        environment = await self._environments.of(run, container)
        return workload_for(run.name, run.spec, container, image, environment, self._room.runtime.honours(image))

    async def _pinned(self, run: Run) -> dict[str, str]:
        """Every container's image by digest: what its task set was created with, and else what it is now."""
        room = self._room
        task_set = room.tasks.get(run.name).task_set
        known = {**run.spec["pins"], **run.facts.get("pins", {})}
        for container in run.spec["containers"]:
            name = container["name"]
            if name in known:
                continue
            by_digest = await resolve(room, container["image"], run.region)
            with room.store.transaction() as tx:
                if task_set and room.sets.find(task_set):
                    by_digest = room.sets.pin(tx, task_set, name, by_digest)
                known[name] = by_digest
                room.runs.remember(tx, run.id, pins=known, resolvedAt=room.clock.now())
        return known

    async def look(self, run: Run, *, is_thorough: bool = False) -> Task:
        """What has become of the containers, written down; thoroughly: also of one that a crash kept us from noting."""
        for container in run.spec["containers"]:
            name = container["name"]
            known = self._room.tasks.get(run.name).containers.get(name, {})
            if not known.get("isRunning", is_thorough):
                continue
            state = await self._room.runtime.find(workload_name(run.name, name))
            if state is None and known:
                state = State(False, (), known["host"], known["startedAt"], None, "the container has vanished")
            if state is not None:
                with self._room.store.transaction() as tx:
                    self._learn(tx, run, name, state)
        return self._room.tasks.get(run.name)

    def ended_essential(self, run: Run) -> tuple[str, Mapping[str, Any]] | None:
        """The first essential container that has ended, and what is known of it."""
        containers = self._room.tasks.get(run.name).containers
        for container in run.spec["containers"]:
            known = containers.get(container["name"], {})
            if container.get("essential", True) and known and not known["isRunning"]:
                return container["name"], known
        return None

    async def end(self, run: Run) -> tuple[float, str] | None:
        """SIGTERM, those first on which no other depends; SIGKILL for who does not listen in time.

        Returns when to look again and why; None once all have ended.
        """
        task = await self.look(run, is_thorough=True)
        now = self._room.clock.now()
        running = [c for c in run.spec["containers"] if task.containers.get(c["name"], {}).get("isRunning")]
        names = {container["name"] for container in running}
        times = []
        for container in running:
            name = container["name"]
            if dependents(run.spec["containers"], name) & names:
                continue
            term_at = task.containers[name].get("termAt")
            if term_at is None:
                await self._kill(run, name, "SIGTERM", termAt=now)
                term_at = now
            look_at = term_at + stop_timeout_s(container)
            if look_at <= now:
                await self._kill(run, name, "SIGKILL", killedAt=now)
                look_at = now + KILL_LOOK_S
            times.append(look_at)
        if not running or not any(c.get("isRunning") for c in (await self.look(run)).containers.values()):
            return None
        return min(times) - now, f"waiting for {', '.join(sorted(names))} to end"

    async def _kill(self, run: Run, container: str, signal: str, **facts: float) -> None:
        await self._room.runtime.kill(workload_name(run.name, container), signal)
        with self._room.store.transaction() as tx:
            self._room.tasks.learn(tx, run.name, container, **facts)

    async def remove(self, run: Run) -> None:
        """Forget them, once their last words have been read."""
        for container in run.spec["containers"]:
            workload = workload_name(run.name, container["name"])
            await self._output.read(workload)
            await self._room.runtime.remove(workload)
            await self._output.finish(workload)
            self._environments.forget(run, container["name"])

    def _learn(self, tx: Transaction, run: Run, container: str, state: State, **more: Any) -> None:
        known = self._room.tasks.get(run.name).containers.get(container, {})
        facts: dict[str, Any] = {
            "isRunning": state.is_running,
            "host": state.host,
            # By the engine's time, because it is waited by it: the runtime tells the machine's, which people may set.
            "startedAt": known.get("startedAt", self._room.clock.now()),
            **more,
        }
        if state.is_running:
            facts["ports"] = [[port.container_port, port.host_port, port.protocol] for port in state.ports]
        else:
            facts |= {"exitCode": state.exit_code, "reason": state.reason}
        self._room.tasks.learn(tx, run.name, container, **facts)
        checking = (
            None if state.is_running else self._room.runs.find(CHECK, run.region, workload_name(run.name, container))
        )
        for step in self._room.runs.steps(checking.id) if checking else ():
            if step.status is Status.IN_PROGRESS:
                self._room.runs.signal(tx, step.id)


def begin_checking(room: Room, tx: Transaction, region: str, task_id: str, spec: dict[str, Any]) -> None:
    """The run that checks a container for as long as it runs, under the name of its workload."""
    name = workload_name(task_id, spec["container"])
    room.runs.insert(tx, CHECK, region, name, spec, [StepSpec("Check", 0)], lane=task_id)

"""The containers of a task, at the runtime: started, looked at, told to end, removed.

What becomes of a container is written down in the row of its task; the runtime finds it again by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.ecs import states
from turnout.ecs.output import Output, stream_for
from turnout.ecs.room import Room
from turnout.ecs.task_rows import Task
from turnout.ecs.workloads import (
    dependents,
    in_start_order,
    stop_timeout_s,
    unhonoured,
    workload_for,
    workload_name,
)
from turnout.errors import StepFailed
from turnout.runs import Run
from turnout.runtimes import State
from turnout.store import Transaction

KILL_LOOK_S = 1.0
"""How soon to look again after SIGKILL."""


class Containers:
    def __init__(self, room: Room, output: Output) -> None:
        self._room = room
        self._output = output

    async def ensure_started(self, run: Run) -> None:
        """Every container, in the order of their dependencies. Raises StepFailed."""
        spec = run.spec
        for container in spec["containers"]:
            if refusal := unhonoured(container):
                raise StepFailed(states.FAILED_TO_START, refusal)
        images = await self._pinned(run)
        environment = _environment(spec)
        overrides = {o["name"]: o for o in spec["overrides"].get("containerOverrides", ()) if "name" in o}
        for container in in_start_order(spec["containers"]):
            name, image = container["name"], images[container["name"]]
            override = overrides.get(name, {})
            workload = workload_for(run.name, container, override, image, spec["networkMode"], environment)
            await self._output.ensure_stream(workload.name, stream_for(spec, container, run.name))
            state = await self._room.runtime.ensure_started(workload)
            _, at, digest = image.rpartition("@")
            with self._room.store.transaction() as tx:
                self._learn(tx, run, name, state, imageDigest=digest if at else None, runtimeId=workload.name)

    async def _pinned(self, run: Run) -> dict[str, str]:
        """Every container's image by digest: what its task set was created with, and else what it is now."""
        room = self._room
        task_set = room.tasks.get(run.name).task_set
        known = {**run.spec["pins"], **run.facts.get("pins", {})}
        for container in run.spec["containers"]:
            name = container["name"]
            if name in known:
                continue
            by_digest = await room.runtime.resolve(container["image"], run.region)
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

    def _learn(self, tx: Transaction, run: Run, container: str, state: State, **more: Any) -> None:
        facts: dict[str, Any] = {
            "isRunning": state.is_running,
            "host": state.host,
            "startedAt": state.started_at,
            **more,
        }
        if state.is_running:
            facts["ports"] = [[port.container_port, port.host_port, port.protocol] for port in state.ports]
        else:
            facts |= {"exitCode": state.exit_code, "reason": state.reason}
        self._room.tasks.learn(tx, run.name, container, **facts)


def _environment(spec: Mapping[str, Any]) -> dict[str, str]:
    """What ECS itself tells a container."""
    execution = "AWS_ECS_FARGATE" if spec["launchType"] == "FARGATE" else "AWS_ECS_EC2"
    return {"AWS_EXECUTION_ENV": execution, "AWS_REGION": spec["region"], "AWS_DEFAULT_REGION": spec["region"]}

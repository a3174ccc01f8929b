"""The metrics of AWS/ECS: what the tasks of services use of what their definitions reserve.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
Published once a minute, a sample for each task that has run for a whole look. CPU is a difference of two looks, so the
first minute of an engine says nothing. A definition that reserves nothing is measured against one core, or against
the machine's memory (docs/choices.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from turnout.ecs.instances import CPU_UNITS, machine_resources
from turnout.ecs.room import Room
from turnout.ecs.task_rows import Task
from turnout.ecs.workloads import workload_name
from turnout.measuring import PERIOD_S, Datum, datum, publish
from turnout.runtimes import Usage

NAMESPACE = "AWS/ECS"
PRINCIPAL = "ecs.amazonaws.com"
MIB = 1 << 20


@dataclass
class Used:
    """What the tasks of a cluster use together, and what each task of a service uses of its reservation, in percent."""

    cpu_units: float = 0.0
    memory_mib: float = 0.0
    cpu: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)


class Metrics:
    """Looks at what runs, and publishes what it uses."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._at: float | None = None
        self._before: dict[str, Usage] = {}
        """Workload → what it had used at the last look."""

    async def look(self) -> None:
        clock = self._room.clock
        now, period_s = clock.now(), clock.scaled_s(PERIOD_S)
        if self._at is not None and now // period_s == self._at // period_s:
            return
        tasks = [task for task in self._room.tasks.open() if task.last_status == "RUNNING"]
        names = {workload_name(task.id, container): task for task in tasks for container in task.containers}
        usage = await self._room.runtime.usage(names.keys())
        was, before = self._at, self._before
        self._at, self._before = now, usage
        if was is None or now <= was:
            return
        used: dict[tuple[str, str], Used] = {}
        for task in tasks:
            mine = [workload_name(task.id, container) for container in task.containers]
            known = [name for name in mine if name in usage and name in before]
            if known:
                cores = sum(usage[name].cpu_s - before[name].cpu_s for name in known) / (now - was)
                memory_mib = sum(usage[name].memory_bytes for name in known) / MIB
                self._add(used.setdefault((task.region, task.cluster), Used()), task, cores * CPU_UNITS, memory_mib)
        for region in {region for region, _ in used}:
            data = [point for (of, cluster), one in used.items() if of == region for point in _data(cluster, one, was)]
            await publish(self._room.aws, PRINCIPAL, NAMESPACE, region, data)

    def _add(self, used: Used, task: Task, cpu_units: float, memory_mib: float) -> None:
        used.cpu_units += cpu_units
        used.memory_mib += memory_mib
        if task.service is None:
            return
        family, _, revision = task.task_definition.rpartition("/")[2].rpartition(":")
        definition = self._room.definitions.find(task.region, family, int(revision)) or {}
        cpu, memory = reserved(definition)
        used.cpu.setdefault(task.service, []).append(100 * cpu_units / cpu)
        used.memory.setdefault(task.service, []).append(100 * memory_mib / memory)


def reserved(definition: Mapping[str, Any]) -> tuple[float, float]:
    """(CPU units, MiB) that a task reserves: of the task, else of its containers; soft limits before hard ones."""
    containers = definition.get("containerDefinitions", [])
    cpu = float(definition.get("cpu") or sum(container.get("cpu") or 0 for container in containers))
    memory = float(
        definition.get("memory")
        or sum(container.get("memoryReservation") or container.get("memory") or 0 for container in containers)
    )
    return cpu or float(CPU_UNITS), memory or float(machine_resources()["MEMORY"])


def _data(cluster: str, used: Used, at: float) -> list[Datum]:
    machine = machine_resources()
    data = []
    for metric, by_service, whole in (
        ("CPUUtilization", used.cpu, 100 * used.cpu_units / machine["CPU"]),
        ("MemoryUtilization", used.memory, 100 * used.memory_mib / machine["MEMORY"]),
    ):
        data.append(datum(metric, {"ClusterName": cluster}, at, {whole: 1.0}, "Percent"))
        for service, values in by_service.items():
            counted: dict[float, float] = {}
            for value in values:
                counted[value] = counted.get(value, 0.0) + 1
            dimensions = {"ClusterName": cluster, "ServiceName": service}
            data.append(datum(metric, dimensions, at, counted, "Percent"))
    return data

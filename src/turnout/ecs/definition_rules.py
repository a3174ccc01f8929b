"""What RegisterTaskDefinition refuses, in AWS's words. Pure.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.container_rules import check_dependencies, check_health_check, check_timeouts
from turnout.errors import AwsError

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
LEAST_MEMORY_MIB = 6

FARGATE_MEMORY_MIB: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
    32768: range(61440, 249856 + 1, 4096),
}
"""CPU units → the memory that Fargate offers with them."""


def check_definition(definition: Mapping[str, Any]) -> None:
    """Raise AwsError("ClientException", …) for the first thing that AWS would refuse."""
    if not NAME.fullmatch(definition["family"]):
        raise _refused("Family contains invalid characters. Use up to 255 letters, numbers, hyphens and underscores.")
    containers = definition["containerDefinitions"]
    if not containers:
        raise _refused("Container list cannot be empty.")
    mode = mode_of(definition)
    is_fargate = "FARGATE" in definition.get("requiresCompatibilities", ())
    for container in containers:
        _check_container(container, mode, has_task_memory="memory" in definition)
        check_health_check(container)
        check_timeouts(container, is_fargate=is_fargate)
    names = [container["name"] for container in containers]
    for name in names:
        if names.count(name) > 1:
            raise _refused(f"Container names must be unique. The name {name} is used more than once.")
    if not any(container.get("essential", True) for container in containers):
        raise _refused("Task definition does not have any essential containers.")
    _check_ports(containers, mode)
    check_dependencies(containers)
    if is_fargate:
        _check_fargate(definition, mode)


def mode_of(definition: Mapping[str, Any]) -> str:
    """The network mode; bridge if none is given."""
    return str(definition.get("networkMode") or "bridge")


def compatibilities_of(definition: Mapping[str, Any]) -> list[str]:
    """Where the definition could run, as AWS lists it."""
    if mode_of(definition) == "awsvpc" and definition.get("cpu") and definition.get("memory"):
        return ["EC2", "FARGATE"]
    return ["EXTERNAL", "EC2"] if mode_of(definition) != "awsvpc" else ["EC2"]


def _check_container(container: Mapping[str, Any], mode: str, *, has_task_memory: bool) -> None:
    name = container.get("name")
    if not name:
        raise _refused("Container.name should not be null or empty.")
    if not NAME.fullmatch(name):
        raise _refused(f"Container.name contains invalid characters: {name}")
    if not container.get("image"):
        raise _refused("Container.image should not be null or empty.")
    memory, reservation = container.get("memory"), container.get("memoryReservation")
    if memory is None and reservation is None and not has_task_memory:
        raise _refused(
            f"Invalid setting for container '{name}'."
            " At least one of 'memory' or 'memoryReservation' must be specified."
        )
    if memory is not None and memory < LEAST_MEMORY_MIB:
        raise _refused(f"Invalid setting for container '{name}'. Memory must be at least {LEAST_MEMORY_MIB} MiB.")
    if memory is not None and reservation is not None and reservation > memory:
        raise _refused(
            f"Invalid setting for container '{name}'. The memoryReservation must be smaller than or equal to memory."
        )
    for mapping in container.get("portMappings", ()):
        _check_mapping(name, mapping, mode)


def _check_mapping(name: str, mapping: Mapping[str, Any], mode: str) -> None:
    if mode == "none":
        raise _refused(f"Invalid setting for container '{name}'. When networkMode=none, port mappings cannot be given.")
    port = mapping.get("containerPort")
    if port is None:
        if "containerPortRange" in mapping:
            return
        raise _refused(f"Invalid setting for container '{name}'. A port mapping needs a containerPort.")
    host_port = mapping.get("hostPort") or 0
    if not 0 < port <= 65535 or not 0 <= host_port <= 65535:
        raise _refused(f"Invalid setting for container '{name}'. Ports must be between 1 and 65535.")
    if mode in ("awsvpc", "host") and host_port not in (0, port):
        raise _refused(f"When networkMode={mode}, the host ports and container ports in port mappings must match.")


def _check_ports(containers: Sequence[Mapping[str, Any]], mode: str) -> None:
    taken: set[tuple[int, str]] = set()
    for container in containers:
        for mapping in container.get("portMappings", ()):
            fixed = mapping.get("hostPort") or (mapping.get("containerPort") if mode in ("awsvpc", "host") else 0)
            key = (fixed or 0, mapping.get("protocol", "tcp"))
            if key[0] and key in taken:
                raise _refused(f"Invalid port mappings. Host port {key[0]} ({key[1]}) is used more than once.")
            taken.add(key)


def _check_fargate(definition: Mapping[str, Any], mode: str) -> None:
    if mode != "awsvpc":
        raise _refused("Fargate only supports network mode ‘awsvpc’.")
    for member in ("cpu", "memory"):
        if not definition.get(member):
            raise _refused(f"Fargate requires that '{member}' be defined at the task level.")
    cpu, memory = cpu_units(definition["cpu"]), memory_mib(definition["memory"])
    if memory not in FARGATE_MEMORY_MIB.get(cpu, ()):
        raise _refused(
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
            " See the Amazon ECS documentation for the valid values."
        )


def cpu_units(text: str) -> int:
    """256, "1 vCPU" or ".5 vcpu" in CPU units."""
    return _amount(text, "vcpu", "cpu")


def memory_mib(text: str) -> int:
    """512 or "2 GB" in MiB."""
    return _amount(text, "gb", "memory")


def _amount(text: str, unit: str, what: str) -> int:
    bare = text.strip().lower()
    try:
        if bare.endswith(unit):
            return int(float(bare.removesuffix(unit)) * 1024)
        return int(bare)
    except ValueError:
        raise _refused(f"Invalid '{what}' setting for task: {text}") from None


def _refused(message: str) -> AwsError:
    return AwsError("ClientException", message)

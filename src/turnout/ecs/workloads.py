"""From a container definition to what a runtime starts, and what cannot be honoured yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnout.runtimes import Port, Workload

DEFAULT_STOP_TIMEOUT_S = 30.0

NOT_YET = (
    "secrets",
    "environmentFiles",
    "mountPoints",
    "volumesFrom",
    "links",
    "firelensConfiguration",
    "repositoryCredentials",
    "resourceRequirements",
    "credentialSpecs",
    "extraHosts",
    "dnsServers",
    "dnsSearchDomains",
    "dockerSecurityOptions",
    "systemControls",
    "ulimits",
    "hostname",
    "disableNetworking",
    "privileged",
    "linuxParameters",
)
"""Members of a container definition that would change what happens. A task that needs one fails to start."""

LOG_DRIVERS = ("awslogs",)


def workload_name(task_id: str, container: str) -> str:
    """The name by which the runtime finds the container of a task again."""
    return f"{task_id}-{container}"


def task_id_of(workload: str) -> str:
    return workload[:32]


def unhonoured(container: Mapping[str, Any]) -> str | None:
    """Why a container cannot be started as its definition asks, for people; None if it can."""
    name = container["name"]
    for member in NOT_YET:
        value = container.get(member)
        if value and value != {"initProcessEnabled": True}:
            return f"container {name} asks for {member}, which turnout does not implement yet"
    if container.get("restartPolicy", {}).get("enabled"):
        return f"container {name} asks for a restartPolicy, which turnout does not implement yet"
    for mapping in container.get("portMappings", ()):
        if "containerPortRange" in mapping:
            return f"container {name} asks for a containerPortRange, which turnout does not implement yet"
    logging = container.get("logConfiguration", {})
    if logging and logging["logDriver"] not in LOG_DRIVERS:
        return f"container {name} asks for the log driver {logging['logDriver']}; turnout implements awslogs"
    if logging.get("secretOptions"):
        return f"container {name} asks for secretOptions, which turnout does not implement yet"
    return None


def stop_timeout_s(container: Mapping[str, Any]) -> float:
    return float(container.get("stopTimeout") or DEFAULT_STOP_TIMEOUT_S)


def ports_for(container: Mapping[str, Any], mode: str) -> tuple[Port, ...]:
    """The ports to open. Under awsvpc a task has an address of its own on AWS: here it gets ports of its own."""
    return tuple(
        Port(
            container_port=mapping["containerPort"],
            host_port=(
                mapping["containerPort"] if mode == "host" else 0 if mode == "awsvpc" else mapping.get("hostPort") or 0
            ),
            protocol=mapping.get("protocol", "tcp"),
        )
        for mapping in container.get("portMappings", ())
    )


def workload_for(
    task_id: str,
    container: Mapping[str, Any],
    override: Mapping[str, Any],
    image: str,
    mode: str,
    environment: Mapping[str, str],
) -> Workload:
    """One container of a task. `environment` is what ECS itself adds; what the definition says goes before it."""
    own = {pair["name"]: pair["value"] for pair in container.get("environment", ())}
    overridden = {pair["name"]: pair["value"] for pair in override.get("environment", ())}
    memory = override.get("memory") or container.get("memory")
    cpu = override.get("cpu") or container.get("cpu")
    return Workload(
        name=workload_name(task_id, container["name"]),
        image=image,
        command=tuple(override.get("command") or container.get("command", ())),
        entry_point=tuple(container.get("entryPoint", ())),
        environment={**environment, **own, **overridden},
        working_directory=container.get("workingDirectory"),
        user=container.get("user"),
        ports=ports_for(container, mode),
        memory_mib=memory or None,
        cpu_units=cpu or None,
    )

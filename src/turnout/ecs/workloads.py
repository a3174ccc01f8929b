"""From a container definition to what a runtime starts, and what cannot be honoured yet. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from turnout.ecs.definition_rules import cpu_units, memory_mib
from turnout.runtimes import Port, Workload

DEFAULT_STOP_TIMEOUT_S = 30.0

NOT_YET = ("firelensConfiguration", "repositoryCredentials", "resourceRequirements", "credentialSpecs")
"""Members of a container definition that would change what happens. A task that needs one fails to start."""

OF_CONTAINERS = (
    "mountPoints",
    "volumesFrom",
    "links",
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
"""Members that a runtime has to `honour`: a process of this machine cannot."""

LOG_DRIVERS = ("awslogs",)


def workload_name(task_id: str, container: str) -> str:
    """The name by which the runtime finds the container of a task again."""
    return f"{task_id}-{container}"


def task_id_of(workload: str) -> str:
    return workload[:32]


def unhonoured(container: Mapping[str, Any], honoured: Collection[str]) -> str | None:
    """Why a container cannot be started as its definition asks, for people; None if it can.

    `honoured`: the members that its runtime can do something with.
    """
    name = container["name"]
    for member in NOT_YET:
        if container.get(member):
            return f"container {name} asks for {member}, which turnout does not implement yet"
    for member in OF_CONTAINERS:
        value = container.get(member)
        if value and member not in honoured and value != {"initProcessEnabled": True}:
            return (
                f"container {name} asks for {member}, which a process of this machine cannot have: it takes an image"
                " with a userland of its own, and Docker or Podman (turnout up --runtime docker)"
            )
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
    """The ports to open. Under awsvpc the runtime says which: a process has no address of its own."""
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
    spec: Mapping[str, Any],
    container: Mapping[str, Any],
    image: str,
    environment: Mapping[str, str],
    honoured: Collection[str] = (),
) -> Workload:
    """One container of a task, whose spec is `launch.spec_for`'s. `environment` is whole."""
    override = override_of(spec, container["name"])
    whole = {**spec, **{name: spec["overrides"][name] for name in ("cpu", "memory") if spec["overrides"].get(name)}}
    return Workload(
        name=workload_name(task_id, container["name"]),
        image=image,
        command=tuple(override.get("command") or container.get("command", ())),
        entry_point=tuple(container.get("entryPoint", ())),
        environment=environment,
        working_directory=container.get("workingDirectory"),
        user=container.get("user"),
        ports=ports_for(container, spec["networkMode"]),
        memory_mib=override.get("memory") or container.get("memory") or None,
        cpu_units=override.get("cpu") or container.get("cpu") or None,
        task=task_id,
        network=spec["networkMode"],
        task_memory_mib=memory_mib(whole["memory"]) if whole.get("memory") else None,
        task_cpu_units=cpu_units(whole["cpu"]) if whole.get("cpu") else None,
        volumes={volume["name"]: volume for volume in spec["volumes"]},
        options={member: container[member] for member in honoured if container.get(member) is not None},
    )


def override_of(spec: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """What RunTask said of a container."""
    overrides = spec["overrides"].get("containerOverrides", ())
    found: Mapping[str, Any] = next((one for one in overrides if one.get("name") == container), {})
    return found

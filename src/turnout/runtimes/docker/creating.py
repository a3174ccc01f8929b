"""From a workload to the documents with which an engine creates its container and volumes. Pure.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from turnout.errors import StepFailed
from turnout.runtimes import Workload
from turnout.runtimes.docker.naming import Names

HONOURED = (
    "memoryReservation",
    "mountPoints",
    "volumesFrom",
    "links",
    "linuxParameters",
    "ulimits",
    "systemControls",
    "privileged",
    "readonlyRootFilesystem",
    "dockerSecurityOptions",
    "dockerLabels",
    "hostname",
    "extraHosts",
    "dnsServers",
    "dnsSearchDomains",
    "disableNetworking",
    "interactive",
    "pseudoTerminal",
)
"""The members of a container definition that only a container can honour."""

HOME, WORKLOAD, TASK, PORTS = "dev.turnout.home", "dev.turnout.workload", "dev.turnout.task", "dev.turnout.ports"
BIND_IP = "127.0.0.1"
"""Host ports are for the load balancer of this machine; AWS's own answer to the whole network."""
LOGS = {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}}
"""Output is read from here into CloudWatch Logs; more than this is not kept for an engine that is down."""
LEAST_CPU_SHARES = 2
"""What ECS's agent gives a container without `cpu`."""
MIB = 1 << 20

Document = dict[str, Any]


def container_document(workload: Workload, image: str, names: Names, network: str, cpus: int) -> Document:
    """Everything for POST /containers/create. `image` is an id of the engine; `network` its NetworkMode."""
    options = workload.options
    ports = [f"{port.container_port}/{port.protocol}" for port in workload.ports]
    document: Document = {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in sorted(workload.environment.items())],
        "Labels": {
            **options.get("dockerLabels", {}),
            HOME: names.home_id,
            WORKLOAD: workload.name,
            TASK: workload.task,
            PORTS: json.dumps([[port.container_port, port.protocol] for port in workload.ports]),
        },
        # The HEALTHCHECK of an image means nothing on ECS: only the task definition's checks count.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(workload, names, network, cpus),
    }
    if network.startswith("container:"):
        ports = []  # They are the pause container's.
    if ports:
        document["ExposedPorts"] = {port: {} for port in ports}
    if workload.entry_point:
        document["Entrypoint"] = list(workload.entry_point)
    if workload.command:
        document["Cmd"] = list(workload.command)
    if workload.working_directory:
        document["WorkingDir"] = workload.working_directory
    if workload.user:
        document["User"] = workload.user
    for member, ours in (("hostname", "Hostname"), ("interactive", "OpenStdin"), ("pseudoTerminal", "Tty")):
        if options.get(member):
            document[ours] = options[member]
    return document


def _host_config(workload: Workload, names: Names, network: str, cpus: int) -> Document:
    options = workload.options
    config: Document = {
        "NetworkMode": network,
        "LogConfig": LOGS,
        "CpuShares": max(LEAST_CPU_SHARES, workload.cpu_units or 0),
        **_limits(workload, cpus),
        **_linux(options.get("linuxParameters", {}), workload.memory_mib or workload.task_memory_mib),
    }
    if network == "bridge":
        config["PortBindings"] = {
            f"{port.container_port}/{port.protocol}": [{"HostIp": BIND_IP, "HostPort": str(port.host_port)}]
            for port in workload.ports
        }
    binds = [bind_of(mount, workload, names) for mount in options.get("mountPoints", ())]
    if binds:
        config["Binds"] = binds
    if options.get("volumesFrom"):
        config["VolumesFrom"] = [
            names.container(f"{workload.task}-{one['sourceContainer']}") + (":ro" if one.get("readOnly") else ":rw")
            for one in options["volumesFrom"]
        ]
    if options.get("links"):
        linked = [link.partition(":") for link in options["links"]]
        config["Links"] = [f"{names.container(f'{workload.task}-{name}')}:{alias or name}" for name, _, alias in linked]
    if options.get("ulimits"):
        config["Ulimits"] = [
            {"Name": one["name"], "Soft": one["softLimit"], "Hard": one["hardLimit"]} for one in options["ulimits"]
        ]
    if options.get("systemControls"):
        config["Sysctls"] = {one["namespace"]: one["value"] for one in options["systemControls"]}
    if options.get("extraHosts"):
        config["ExtraHosts"] = [f"{one['hostname']}:{one['ipAddress']}" for one in options["extraHosts"]]
    for member, ours in (
        ("privileged", "Privileged"),
        ("readonlyRootFilesystem", "ReadonlyRootfs"),
        ("dockerSecurityOptions", "SecurityOpt"),
        ("dnsServers", "Dns"),
        ("dnsSearchDomains", "DnsSearch"),
    ):
        if options.get(member):
            config[ours] = options[member]
    return config


def _limits(workload: Workload, cpus: int) -> Document:
    """A task's size limits each of its containers; the container's own memory limits it further."""
    limits: Document = {}
    if memory := workload.memory_mib or workload.task_memory_mib:
        limits["Memory"] = memory * MIB
    if reservation := workload.options.get("memoryReservation"):
        limits["MemoryReservation"] = reservation * MIB
    if workload.task_cpu_units:
        # An engine refuses more than the machine has, which would be no limit anyway.
        limits["NanoCpus"] = min(workload.task_cpu_units * 1_000_000_000 // 1024, cpus * 1_000_000_000)
    return limits


def _linux(parameters: Mapping[str, Any], memory_mib: int | None) -> Document:
    found: Document = {}
    capabilities = parameters.get("capabilities", {})
    for member, ours in (("add", "CapAdd"), ("drop", "CapDrop")):
        if capabilities.get(member):
            found[ours] = capabilities[member]
    if parameters.get("initProcessEnabled"):
        found["Init"] = True
    if parameters.get("sharedMemorySize"):
        found["ShmSize"] = parameters["sharedMemorySize"] * MIB
    if parameters.get("tmpfs"):
        found["Tmpfs"] = {
            one["containerPath"]: ",".join([f"size={one['size']}m", *one.get("mountOptions", ())])
            for one in parameters["tmpfs"]
        }
    if parameters.get("devices"):
        found["Devices"] = [
            {
                "PathOnHost": one["hostPath"],
                "PathInContainer": one.get("containerPath") or one["hostPath"],
                "CgroupPermissions": "".join(word[0] if word != "mknod" else "m" for word in one["permissions"])
                if one.get("permissions")
                else "rwm",
            }
            for one in parameters["devices"]
        ]
    if "maxSwap" in parameters and memory_mib:
        found["MemorySwap"] = (memory_mib + parameters["maxSwap"]) * MIB
        if "swappiness" in parameters:
            found["MemorySwappiness"] = parameters["swappiness"]
    return found


def bind_of(mount: Mapping[str, Any], workload: Workload, names: Names) -> str:
    """One mount point: source:path[:ro]. A folder of the host that is not there is made by the engine, as on EC2."""
    volume = workload.volumes.get(mount["sourceVolume"], {})
    source = volume.get("host", {}).get("sourcePath") or volume_name(volume, workload, names)
    return f"{source}:{mount['containerPath']}" + (":ro" if mount.get("readOnly") else "")


def volume_name(volume: Mapping[str, Any], workload: Workload, names: Names) -> str:
    """A volume of the task, gone with it; or one that tasks share, under the name that the definition gives it."""
    if volume.get("dockerVolumeConfiguration", {}).get("scope") == "shared":
        return str(volume["name"])
    return names.volume(workload.task, volume["name"])


def volume_documents(workload: Workload, names: Names) -> list[Document]:
    """The volumes to be made: members for `create_volume`. Raises StepFailed for a kind that there is not."""
    found = []
    for mount in workload.options.get("mountPoints", ()):
        volume = workload.volumes.get(mount["sourceVolume"])
        if volume is None:
            raise StepFailed("CannotCreateContainerError", f"there is no volume {mount['sourceVolume']!r}")
        for member in volume:
            if member not in ("name", "host", "dockerVolumeConfiguration"):
                raise StepFailed(
                    "CannotCreateContainerError", f"volume {volume['name']} is a {member}, which turnout does not have"
                )
        if volume.get("host", {}).get("sourcePath"):
            continue
        how = volume.get("dockerVolumeConfiguration", {})
        is_shared = how.get("scope") == "shared"
        if is_shared and not how.get("autoprovision"):
            continue  # It has to exist: the engine says if it does not.
        labels = dict(how.get("labels", {}))
        if not is_shared:
            labels |= {HOME: names.home_id, TASK: workload.task}
        found.append(
            {
                "name": volume_name(volume, workload, names),
                "driver": how.get("driver", "local"),
                "driver_opts": how.get("driverOpts", {}),
                "labels": labels,
            }
        )
    return found

"""From a container definition to the engine's documents, and from the engine's words to ECS's: no engine needed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from turnout.errors import SetupError, StepFailed
from turnout.runtimes import Port, Workload
from turnout.runtimes.docker.creating import container_document, volume_documents
from turnout.runtimes.docker.naming import Names
from turnout.runtimes.docker.output import Log, behind, covers, nanoseconds, parse_log, parse_position
from turnout.runtimes.docker.pause import executable
from turnout.runtimes.docker.words import cannot_pull, innermost, unix_time
from turnout.runtimes.sockets import sockets

NAMES = Names("0123456789ab")
PLATFORM = "linux/amd64"


def workload(**members: Any) -> Workload:
    return Workload("t1-web", "web@sha256:1", task="t1", **members)


def host_config(made: Workload, network: str = "bridge", cpus: int = 4) -> dict[str, Any]:
    found: dict[str, Any] = container_document(made, "sha256:1", NAMES, network, cpus)["HostConfig"]
    return found


def test_a_container_is_told_what_its_definition_says() -> None:
    made = workload(
        command=("serve",),
        entry_point=("/bin/sh", "-c"),
        environment={"B": "2", "A": "1"},
        working_directory="/srv",
        user="1000:1000",
        ports=(Port(80), Port(53, 5353, "udp")),
        options={"hostname": "web", "dockerLabels": {"team": "a"}, "pseudoTerminal": True, "interactive": False},
    )
    document = container_document(made, "sha256:1", NAMES, "bridge", 4)
    config = document.pop("HostConfig")
    assert document == {
        "Image": "sha256:1",
        "Env": ["A=1", "B=2"],
        "Labels": {
            "team": "a",
            "dev.turnout.home": "0123456789ab",
            "dev.turnout.workload": "t1-web",
            "dev.turnout.task": "t1",
            "dev.turnout.ports": '[[80, "tcp"], [53, "udp"]]',
        },
        "Healthcheck": {"Test": ["NONE"]},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["serve"],
        "WorkingDir": "/srv",
        "User": "1000:1000",
        "Hostname": "web",
        "Tty": True,
    }
    assert config["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"memory_mib": 128, "cpu_units": 256}, {"Memory": 128 << 20, "CpuShares": 256}),
        ({"options": {"memoryReservation": 64}}, {"MemoryReservation": 64 << 20, "CpuShares": 2}),
        ({"task_memory_mib": 512, "task_cpu_units": 256}, {"Memory": 512 << 20, "NanoCpus": 250_000_000}),
        ({"task_memory_mib": 512, "memory_mib": 128}, {"Memory": 128 << 20}),
        ({"task_cpu_units": 16384}, {"NanoCpus": 4_000_000_000}),
    ],
)
def test_memory_and_cpu_become_limits(members: dict[str, Any], expected: dict[str, Any]) -> None:
    config = host_config(workload(**members))
    assert expected.items() <= config.items()


def test_the_rest_of_a_definition_is_handed_on() -> None:
    options = {
        "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 2048}],
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "512"}],
        "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.1"}],
        "dnsServers": ["10.0.0.2"],
        "links": ["db:database", "cache"],
        "volumesFrom": [{"sourceContainer": "db", "readOnly": True}],
        "privileged": True,
        "readonlyRootFilesystem": True,
        "dockerSecurityOptions": ["no-new-privileges"],
        "linuxParameters": {
            "initProcessEnabled": True,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "sharedMemorySize": 64,
            "tmpfs": [{"containerPath": "/cache", "size": 16, "mountOptions": ["noexec"]}],
            "devices": [{"hostPath": "/dev/fuse", "permissions": ["read", "mknod"]}],
            "maxSwap": 0,
        },
    }
    config = host_config(workload(memory_mib=32, options=options))
    assert config == {
        "NetworkMode": "bridge",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}},
        "CpuShares": 2,
        "Memory": 32 << 20,
        "MemorySwap": 32 << 20,
        "PortBindings": {},
        "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
        "Sysctls": {"net.core.somaxconn": "512"},
        "ExtraHosts": ["db:10.0.0.1"],
        "Dns": ["10.0.0.2"],
        "Links": ["turnout-0123456789ab-t1-db:database", "turnout-0123456789ab-t1-cache:cache"],
        "VolumesFrom": ["turnout-0123456789ab-t1-db:ro"],
        "Privileged": True,
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["ALL"],
        "ShmSize": 64 << 20,
        "Tmpfs": {"/cache": "size=16m,noexec"},
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rm"}],
    }


def test_volumes_are_the_hosts_the_tasks_or_shared() -> None:
    volumes: dict[str, dict[str, Any]] = {
        "logs": {"name": "logs", "host": {"sourcePath": "/var/log"}},
        "scratch": {"name": "scratch", "host": {}},
        "data": {
            "name": "data",
            "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True, "labels": {"a": "b"}},
        },
        "theirs": {"name": "theirs", "dockerVolumeConfiguration": {"scope": "shared"}},
    }
    mounts = [{"sourceVolume": name, "containerPath": f"/{name}", "readOnly": name == "logs"} for name in volumes]
    made = workload(volumes=volumes, options={"mountPoints": mounts})
    own = "turnout-0123456789ab-t1-scratch"
    assert host_config(made)["Binds"] == ["/var/log:/logs:ro", f"{own}:/scratch", "data:/data", "theirs:/theirs"]
    labels = {"dev.turnout.home": "0123456789ab", "dev.turnout.task": "t1"}
    assert volume_documents(made, NAMES) == [
        {"name": own, "driver": "local", "driver_opts": {}, "labels": labels},
        {"name": "data", "driver": "local", "driver_opts": {}, "labels": {"a": "b"}},
    ]


def test_a_kind_of_volume_that_there_is_not_is_named() -> None:
    volumes = {"efs": {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}}
    made = workload(volumes=volumes, options={"mountPoints": [{"sourceVolume": "efs", "containerPath": "/e"}]})
    with pytest.raises(StepFailed, match="volume efs is a efsVolumeConfiguration, which turnout does not have"):
        volume_documents(made, NAMES)


def test_containers_that_share_the_network_of_their_task_publish_nothing() -> None:
    document = container_document(workload(ports=(Port(80),)), "sha256:1", NAMES, "container:abc", 4)
    assert "ExposedPorts" not in document
    assert "PortBindings" not in document["HostConfig"]
    assert document["HostConfig"]["NetworkMode"] == "container:abc"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container"
            ' process: exec: "nosuch": executable file not found in $PATH: unknown',
            'exec: "nosuch": executable file not found in $PATH',
        ),
        (
            "OCI runtime create failed: container_linux.go:380: starting container process caused: exec:"
            ' "/x": permission denied: unknown',
            'exec: "/x": permission denied',
        ),
        (
            "driver failed programming external connectivity on endpoint turnout-a-web"
            " (0e3c9f4c2a): Bind for 127.0.0.1:8080 failed: port is already allocated",
            "Bind for 127.0.0.1:8080 failed: port is already allocated",
        ),
        (
            'runc: runc create failed: unable to start container process: exec: "nosuch": executable file not found in'
            " $PATH: OCI runtime attempted to invoke a command that was not found",
            'exec: "nosuch": executable file not found in $PATH',
        ),
        ("something  else\nhappened", "something else happened"),
    ],
)
def test_of_an_engines_message_the_part_that_says_something_is_told(message: str, told: str) -> None:
    assert innermost(message) == told


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("manifest for web:9 not found: manifest unknown", "failed to resolve ref web:9: web:9: not found"),
        ('Get "https://r/v2/": dial tcp: lookup r: no such host', "ref web:9: Get"),
        (
            "no matching manifest for linux/amd64 in the manifest list entries",
            "image Manifest does not contain descriptor matching platform 'linux/amd64'",
        ),
    ],
)
def test_why_an_image_cannot_be_pulled_is_said_as_ecs_says_it(message: str, told: str) -> None:
    assert told in cannot_pull("web:9", message, PLATFORM)


def stamped(at_ns: int, text: str) -> bytes:
    return f"1970-01-01T00:00:{at_ns // 10**9:02}.{at_ns % 10**9:09}Z {text}".encode()


def test_a_line_that_the_engine_cut_is_whole_again() -> None:
    chunks = [stamped(5, "x" * 10), stamped(5, "y\n"), stamped(6, "z\n")]
    assert parse_log(chunks) == Log([(5, "xxxxxxxxxxy"), (6, "z")], 2, 3)
    assert parse_log(chunks[:1]) == Log([(5, "xxxxxxxxxx")], 0, 1)
    between = [chunks[0], chunks[2], chunks[1]]
    assert parse_log(between) == Log([(5, "xxxxxxxxxxy"), (6, "z")], 2, 3)
    assert parse_log(between[:2]).whole == 0


def test_times_of_any_precision_are_understood() -> None:
    assert nanoseconds("1970-01-01T00:00:02.000000007Z") == 2_000_000_007
    assert nanoseconds("1970-01-01T00:00:02.5Z") == 2_500_000_000
    assert nanoseconds("1970-01-01T00:00:02Z") == 2_000_000_000
    assert nanoseconds("1970-01-01T02:00:02.25+02:00") == 2_250_000_000
    assert unix_time("1970-01-01T00:00:02.123456789Z") == 2.123456
    assert unix_time("0001-01-01T00:00:00Z") == 0.0


def tail(lines: list[tuple[int, str]], count: int) -> Log:
    return Log(lines[-count:], len(lines[-count:]), len(lines[-count:]))


@pytest.mark.parametrize("seed", range(20))
def test_however_a_log_is_read_every_line_is_read_once(seed: int) -> None:
    """Also lines of one instant, and lines that the engine wrote down a little late."""
    chance = random.Random(seed)
    log: list[tuple[int, str]] = []
    at = 10**9
    for number in range(400):
        at += chance.choice([0, 1, 1000, 10**6, 3 * 10**8, 3 * 10**9])
        log.append((at - chance.choice([0, 0, 0, 10**6]), str(number)))
    read: list[str] = []
    position: str | None = None
    end = 0
    while end < len(log) or len(read) < len(log):
        end = min(len(log), end + chance.randrange(40))
        asked = 8
        while not covers(tail(log[:end], asked), asked, parse_position(position)[0]):
            asked *= 8
        lines, position = behind(log[:end][-asked:], parse_position(position))
        read += [text for _, text in lines]
    assert read == [text for _, text in log]


def test_the_pause_container_is_a_program_for_the_engines_machine() -> None:
    for architecture, machine in (("amd64", 62), ("arm64", 183)):
        program = executable(architecture)
        assert program[:5] == b"\x7fELF\x02"
        assert int.from_bytes(program[18:20], "little") == machine
        entry = int.from_bytes(program[24:32], "little")
        assert entry == 0x400000 + 120 < 0x400000 + len(program)
    with pytest.raises(StepFailed, match="no pause container for the architecture s390x"):
        executable("s390x")


def test_an_engine_of_another_machine_is_refused_with_the_reason() -> None:
    assert sockets({"DOCKER_HOST": "unix:///run/x.sock"}) == [Path("/run/x.sock")]
    with pytest.raises(SetupError, match="DOCKER_HOST is ssh://far: turnout can only use an engine of this machine"):
        sockets({"DOCKER_HOST": "ssh://far"})

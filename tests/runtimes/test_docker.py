"""What only containers can do, on a real engine."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers import ContainerEngine
from tests.runtimes.dockerrig import DockerRig
from tests.runtimes.rigs import IMAGE, ONE_PORT, REGION, Exits
from turnout.config import Config
from turnout.errors import Hindered, SetupError, StepFailed
from turnout.runtimes import Port, State, Workload
from turnout.runtimes.byimage import ByImage
from turnout.runtimes.choosing import choose
from turnout.runtimes.docker import DockerRuntime
from turnout.runtimes.docker.engine import Engine
from turnout.runtimes.process import ProcessRuntime

pytestmark = pytest.mark.real


@pytest.fixture
def _collected() -> Iterator[None]:
    """While its warnings are ignored, and not in a test to come."""
    yield
    gc.collect()


def unclosed(test: Callable[..., Any]) -> Any:
    """docker-py leaves a socket that could not connect to the garbage collector."""
    for mark in (
        pytest.mark.usefixtures("_collected"),
        pytest.mark.filterwarnings(
            "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
        ),
        pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    ):
        test = mark(test)
    return test


@pytest.fixture
def rig(container_engine: ContainerEngine, tmp_path: Path) -> DockerRig:
    return DockerRig(tmp_path / "home", container_engine)


async def ended(rig: DockerRig, name: str) -> State:
    await rig.exit_of(name)
    state = await rig.runtime.find(name)
    assert state is not None
    return state


async def test_a_container_that_is_killed_for_memory_is_told_as_such(rig: DockerRig) -> None:
    await rig.runtime.ensure_started(
        rig.workload("task", await rig.runtime.resolve(IMAGE, REGION), command=("tail", "/dev/zero"), memory_mib=16)
    )
    state = await ended(rig, "task")
    assert (state.exit_code, state.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")


async def test_the_image_says_by_which_signal_it_wants_to_be_stopped(rig: DockerRig) -> None:
    rig.engine.build(
        "stops:1",
        {"/program": "trap 'exit 9' QUIT; touch /rig/ready; while :; do sleep 0.05; done"},
        dockerfile='STOPSIGNAL SIGQUIT\nCMD ["sh", "/program"]\n',
    )
    workload = rig.workload("task", await rig.runtime.resolve("stops:1", REGION))
    await rig.runtime.ensure_started(workload)
    waits = "until [ -e /rig/ready ]; do sleep 0.02; done"
    assert (await rig.runtime.exec(workload, ["sh", "-c", waits], 20)).exit_code == 0
    await rig.runtime.kill("task", "SIGTERM")
    assert (await ended(rig, "task")).exit_code == 9


async def test_without_an_init_process_an_application_that_does_not_handle_sigterm_goes_on(rig: DockerRig) -> None:
    """As on ECS, where it is killed after its stopTimeout."""
    await rig.start("task", options={"linuxParameters": {}})
    await rig.runtime.kill("task", "SIGTERM")
    assert (await rig.exec("task", "exit 0")).exit_code == 0


async def test_a_task_under_awsvpc_has_an_address_and_its_containers_share_it(rig: DockerRig) -> None:
    members: dict[str, Any] = {"task": "t1", "network": "awsvpc"}
    web = await rig.start("web", ports=ONE_PORT, **members)
    helper = await rig.start("helper", **members)
    other = await rig.start("other", ports=ONE_PORT, task="t2", network="awsvpc")
    assert web.ports == other.ports == ONE_PORT_THERE
    assert web.host == helper.host != other.host
    assert not web.host.startswith("127.")
    assert await rig.answers(web)
    assert await rig.answers(other)
    fetched = await rig.exec("helper", "wget -q -O - http://127.0.0.1:8000/nosuch; wget -S http://127.0.0.1:8000/ 2>&1")
    assert "HTTP/1" in fetched.output
    assert await rig.runtime.names() == ["helper", "other", "web"]
    await rig.restart()
    assert await rig.runtime.find("web") == web


ONE_PORT_THERE = (Port(8000, 8000),)


async def test_the_network_of_a_task_goes_with_its_last_container_and_so_do_its_volumes(rig: DockerRig) -> None:
    volumes = {"scratch": {"name": "scratch"}}
    mounts = {"mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}]}
    members: dict[str, Any] = {"task": "t1", "network": "awsvpc"}
    await rig.start("web", **members, volumes=volumes, options=mounts)
    await rig.start("helper", **members, volumes=volumes, options=mounts)
    assert (await rig.exec("web", "echo shared > /scratch/file")).exit_code == 0
    assert (await rig.exec("helper", "cat /scratch/file")).output == "shared"
    for name in ("web", "helper"):
        await rig.end(name, 0)
        await rig.exit_of(name)
        await rig.runtime.remove(name)
        _, position = await rig.runtime.read_output(name, None)
        await rig.runtime.read_output(name, position)
    label = {"label": f"dev.turnout.home={rig.runtime.names_of.home_id}"}
    assert rig.engine.client.containers(all=True, filters=label) == []
    assert not rig.engine.client.volumes(filters=label)["Volumes"]
    await rig.restart()
    assert rig.engine.client.networks(filters=label) == []


async def test_closing_lets_go_of_the_networks_of_tasks_that_have_ended_only(rig: DockerRig) -> None:
    await rig.start("ended", task="t1", network="awsvpc")
    serving = await rig.start("serving", ports=ONE_PORT, task="t2", network="awsvpc")
    await rig.end("ended", 0)
    await rig.exit_of("ended")
    await rig.restart()
    label = {"label": f"dev.turnout.home={rig.runtime.names_of.home_id}"}
    running = rig.engine.client.containers(filters=label)
    pauses = [one for one in running if "dev.turnout.workload" not in one["Labels"]]
    assert [one["Labels"]["dev.turnout.task"] for one in pauses] == ["t2"]
    assert await rig.answers(serving)


async def test_with_the_network_of_the_host_a_port_is_the_hosts(rig: DockerRig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    state = await rig.start("task", ports=(Port(number, number),), network="host")
    assert (state.host, state.ports) == ("127.0.0.1", (Port(number, number),))
    assert await rig.answers(state)


async def test_a_fixed_port_that_is_taken_is_a_container_that_cannot_start(rig: DockerRig) -> None:
    first = await rig.start("first", ports=ONE_PORT)
    port = Port(8000, first.ports[0].host_port)
    state = await rig.start("second", ports=(port,))
    assert not state.is_running
    assert state.reason == (
        f"CannotStartContainerError: Bind for 127.0.0.1:{port.host_port} failed: port is already allocated"
    )
    assert await rig.start("second", ports=(port,)) == state


async def test_limits_users_folders_and_file_systems_are_as_the_definition_says(rig: DockerRig, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file").write_text("of the host")
    options = {
        "ulimits": [{"name": "nofile", "softLimit": 321, "hardLimit": 654}],
        "linuxParameters": {"initProcessEnabled": True, "tmpfs": [{"containerPath": "/cache", "size": 3}]},
        "mountPoints": [{"sourceVolume": "shown", "containerPath": "/shown", "readOnly": True}],
        "readonlyRootFilesystem": True,
        "hostname": "web",
    }
    volumes = {"shown": {"name": "shown", "host": {"sourcePath": str(tmp_path / "shown")}}}
    for pipe in ("told", "said"):
        (tmp_path / "pipes").mkdir(exist_ok=True)
        os.mkfifo(tmp_path / "pipes" / f"task.{pipe}")
        (tmp_path / "pipes" / f"task.{pipe}").chmod(0o666)
    for folder in (tmp_path, tmp_path / "pipes", *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    await rig.start(
        "task", options=options, volumes=volumes, user="1234:99", working_directory="/tmp", memory_mib=32, cpu_units=512
    )
    asks = (
        "id -u",
        "id -g",
        "pwd",
        "ulimit -n",
        "cat /shown/file; echo",
        "touch /shown/x /x",
        "df -k /cache",
        "hostname",
    )
    script = "; ".join(["exec 2>&1", *asks])
    said = (await rig.exec("task", script)).output.splitlines()
    assert said[:5] == ["1234", "99", "/tmp", "321", "of the host"]
    assert sum("Read-only file system" in line for line in said) == 2
    assert said[-2].split()[1] == "3072"
    assert said[-1] == "web"
    config = rig.engine.client.inspect_container(rig.id_of("task"))["HostConfig"]
    assert (config["Memory"], config["CpuShares"]) == (32 << 20, 512)


async def test_an_image_for_another_machine_is_told_as_such(rig: DockerRig) -> None:
    rig.engine.load("foreign:1", architecture="s390x")
    with pytest.raises(StepFailed) as failed:
        await rig.runtime.resolve("foreign:1", REGION)
    assert failed.value.code == "CannotPullContainerError"
    assert f"does not contain descriptor matching platform '{rig.runtime.engine.platform}'" in failed.value.message
    assert "foreign:1 is made for linux/s390x" in failed.value.message


async def test_a_tag_that_moves_moves_nothing_that_was_resolved_before(rig: DockerRig) -> None:
    rig.engine.build("moves:1", {"/version": "one"}, dockerfile='CMD ["cat", "/version"]\n')
    before = await rig.runtime.resolve("moves:1", REGION)
    rig.engine.build("moves:1", {"/version": "two"}, dockerfile='CMD ["cat", "/version"]\n')
    after = await rig.runtime.resolve("moves:1", REGION)
    assert before != after
    for name, image, said in (("old", before, "one"), ("new", after, "two")):
        await rig.runtime.ensure_started(rig.workload(name, image))
        await rig.exit_of(name)
        lines, _ = await rig.runtime.read_output(name, None)
        assert [text for _, text in lines] == [said]


async def test_a_long_line_is_one_line_and_both_streams_are_read(rig: DockerRig) -> None:
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo to stderr >&2"
    image = await rig.runtime.resolve(IMAGE, REGION)
    await rig.runtime.ensure_started(rig.workload("task", image, command=("sh", "-c", script)))
    await rig.exit_of("task")
    lines, _ = await rig.runtime.read_output("task", None)
    assert sorted(len(text) for _, text in lines) == [9, 40000]


async def test_an_engine_killed_between_creating_and_starting_a_container_starts_it(rig: DockerRig) -> None:
    workload = rig.workload("task", await rig.runtime.resolve(IMAGE, REGION), command=("sleep", "60"))
    await rig.runtime._create(workload)
    await rig.restart()
    assert await rig.runtime.find("task") is None
    assert (await rig.runtime.ensure_started(workload)).is_running
    assert await rig.runtime.names() == ["task"]


async def test_homes_do_not_see_each_others_containers(rig: DockerRig, tmp_path: Path) -> None:
    await rig.start("task")
    other = DockerRuntime(Config(home=tmp_path / "other"), Engine(rig.engine.socket))
    assert await other.names() == []
    assert await other.find("task") is None
    await other.close()


async def test_packed_images_run_as_processes_beside_containers(rig: DockerRig, tmp_path: Path) -> None:
    """What `--runtime auto` uses where an engine answers."""
    process = ProcessRuntime(rig.config, is_sandboxed=False)
    both = ByImage(process, rig.runtime)
    exits = Exits(both)
    (tmp_path / "application").mkdir()
    process.images.pack(tmp_path / "application", ["sh", "-c", "echo packed; exit 4"], "packed:1", REGION)
    packed, image = await both.resolve("packed:1", REGION), await both.resolve(IMAGE, REGION)
    await both.ensure_started(Workload("t1-a", packed, task="t1"))
    await both.ensure_started(rig.workload("t2-a", image, command=("sh", "-c", "echo contained; exit 5")))
    said = {}
    for name in ("t1-a", "t2-a"):
        await exits.of(name)
        state = await both.find(name)
        assert state is not None
        lines, _ = await both.read_output(name, None)
        said[name] = (state.exit_code, [text for _, text in lines])
    assert said == {"t1-a": (4, ["packed"]), "t2-a": (5, ["contained"])}
    assert await both.names() == ["t1-a", "t2-a"]
    assert await process.names() == ["t1-a"]
    assert (both.honours(packed), "ulimits" in both.honours(image)) == ((), True)
    for name in ("t1-a", "t2-a"):
        await both.remove(name)
    assert await both.names() == []
    await process.close()


@unclosed
async def test_an_engine_that_goes_away_is_waited_for(container_engine: ContainerEngine, tmp_path: Path) -> None:
    """Nothing is said to have ended while nobody can know."""
    gate = Gate(tmp_path / "gate.sock", container_engine.socket)
    await gate.open()
    runtime = DockerRuntime(Config(home=tmp_path / "home"), await asyncio.to_thread(Engine, gate.path))
    assert await runtime.find("task") is None
    await gate.close()
    with pytest.raises(Hindered, match="the container engine does not answer"):
        await runtime.find("task")
    assert await runtime.read_output("task", "7") == ([], "7")
    await gate.open()
    assert await runtime.find("task") is None
    await runtime.close()
    await gate.close()


class Gate:
    """A socket before the engine's that can be shut."""

    def __init__(self, path: Path, behind: Path) -> None:
        self.path, self._behind = path, behind
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._met, self.path)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._behind)
        self._writers += [writer, back]
        self._tasks += [asyncio.create_task(_pass(reader, back)), asyncio.create_task(_pass(there, writer))]

    async def close(self) -> None:
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def test_what_was_chosen_is_said_with_the_reason(
    container_engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{container_engine.socket}")
    for asked, name, why in (
        ("auto", "docker", "because it answers; what `turnout pack` made as processes"),
        ("docker", "docker", f"at {container_engine.socket} (--runtime docker)"),
        ("process", "process", "process (--runtime process)"),
    ):
        runtime, words = choose(Config(home=tmp_path, runtime=asked))
        assert runtime.name == name
        assert why in words
        asyncio.run(runtime.close())


@unclosed
def test_without_an_engine_auto_takes_processes_and_docker_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    runtime, words = choose(Config(home=tmp_path))
    assert runtime.name == "process"
    assert words.startswith(f"process (there is no socket {tmp_path}/no.sock: start Docker or Podman")
    with pytest.raises(SetupError, match="--runtime docker: there is no socket"):
        choose(Config(home=tmp_path, runtime="docker"))
    (tmp_path / "containers").write_text("/var/run/docker.sock\n")
    with pytest.raises(SetupError, match=f"the containers of {tmp_path}: there is no socket"):
        choose(Config(home=tmp_path))


@unclosed
def test_a_socket_that_nobody_listens_on_and_one_that_is_forbidden_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(SetupError, match=r"nobody listens on .*dead\.sock"):
        Engine(path)
    monkeypatch.setattr(socket.socket, "connect", _refused)
    with pytest.raises(SetupError, match=r"permission denied on .*dead\.sock.*usermod -aG docker"):
        Engine(path)


def _refused(*_: object) -> None:
    raise PermissionError(13, "Permission denied")

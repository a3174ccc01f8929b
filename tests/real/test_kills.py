"""SIGKILL of one part, and of all at once, while a release is under way and clients ask: what is lost, and is told."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene, load_on
from turnout.cli.demo.versions import Version
from turnout.cli.follow import follow
from turnout.cli.releases import Release
from turnout.cli.running import ask, wait_until_gone
from turnout.cli.up import start_detached
from turnout.config import Config
from turnout.runtimes.processes import every_process, stat_of

pytestmark = pytest.mark.real

GROUP = {"applicationName": "hello", "deploymentGroupName": "hello"}
KEPT, FRESH = 12, 4


class Yard:
    """The example's stack on an engine that may be killed. Every version of it has a number."""

    def __init__(self) -> None:
        self.scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
        self.running = self.scene.start_engine()
        self.made = self.scene.build_stack(self.clients, lambda kind, name, is_created: None)
        self.number = 0

    @property
    def clients(self) -> Clients:
        return Clients(self.running)

    def release(self) -> tuple[str, str]:
        """(the version's name, its commit)."""
        self.number += 1
        version = Version(f"k{self.number}", "#57606a", f"Survive kill {self.number}")
        commit = self.scene.commit(version)
        self.scene.push()
        return version.name, commit

    def follow(self, commit: str) -> Release:
        return follow(self.clients, "hello", commit, lambda stages, waits: None, 120)

    def newest(self) -> dict[str, Any] | None:
        """The newest deployment."""
        client = self.clients("codedeploy")
        found = [client.get_deployment(deploymentId=i) for i in client.list_deployments(**GROUP)["deployments"]]
        return max((f["deploymentInfo"] for f in found), key=lambda info: info["createTime"], default=None)

    def is_deploying(self, before: int) -> bool:
        """Whether a deployment beyond these many has created its task set."""
        client = self.clients("codedeploy")
        return len(client.list_deployments(**GROUP)["deployments"]) > before and len(self.task_sets()) > 1

    def deployments(self) -> int:
        return len(self.clients("codedeploy").list_deployments(**GROUP)["deployments"])

    def service(self) -> dict[str, Any]:
        return dict(self.clients("ecs").describe_services(cluster="hello", services=["hello"])["services"][0])

    def task_sets(self) -> list[dict[str, Any]]:
        return list(self.service()["taskSets"])

    def weights(self) -> dict[str, int]:
        """Target group → weight at the production listener."""
        elbv2 = self.clients("elbv2")
        (balancer,) = elbv2.describe_load_balancers(Names=["hello"])["LoadBalancers"]
        listeners = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        (production,) = [listener for listener in listeners if listener["Port"] == 80]
        groups = production["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
        return {group["TargetGroupArn"].split("/")[1]: group["Weight"] for group in groups}

    def kill_engine(self) -> None:
        os.kill(self.running.pid, signal.SIGKILL)
        assert wait_until_gone(self.running, 5)

    def start_engine(self) -> None:
        self.running = start_detached(Config(home=self.scene.home, port=self.running.port, free_listener_ports=True))

    @property
    def envoy(self) -> int:
        return int(json.loads((self.scene.home / "envoy" / "process.json").read_text())["pid"])

    def kill_tasks(self, folders: list[Path]) -> None:
        """Supervisors, sandboxes and applications, as a machine that goes down does."""
        leaders = {int((folder / "pid").read_text().split()[1]) for folder in folders}
        for stat in [s for s in every_process() if s.session in leaders or s.pid in leaders]:
            if stat_of(stat.pid) is not None:
                os.kill(stat.pid, signal.SIGKILL)

    def tasks(self) -> list[Path]:
        return [folder.parent for folder in (self.scene.home / "tasks").glob("*/pid")]


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    yard = Yard()
    try:
        yield yard
    finally:
        yard.scene.end()


def until(is_so: Callable[[], Any], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.02)


def test_envoy_killed_in_a_deployment_costs_what_was_in_flight_and_says_so(yard: Yard) -> None:
    with load_on(yard.made, kept=KEPT, fresh=FRESH) as load:
        before = yard.deployments()
        version, commit = yard.release()
        until(lambda: yard.is_deploying(before))
        envoy = yard.envoy
        os.kill(envoy, signal.SIGKILL)
        release = yard.follow(commit)
        assert release.status == "Succeeded", release.failure
        assert load.tally().version == version
    failures = load.tally().failures
    # Each client had one connection at the most, and one request on it; nobody was turned away.
    assert load.tally().failed <= KEPT + FRESH, failures
    assert not [reason for reason in failures if "connect" in reason and "closed" not in reason], failures
    assert yard.envoy != envoy
    info = yard.newest()
    assert info is not None
    receipt = ask(yard.running, f"receipts/{yard.running.region}/{info['deploymentId']}")
    (told,) = receipt["interruptions"]
    assert "SIGKILL" in told["why"]
    assert told["newConnections"] == "waited"
    assert told["connections"] >= KEPT
    assert not receipt["traffic"]["green"]["isWhole"]
    assert ask(yard.running, "health")["interruptions"] == [told]


def test_an_engine_killed_in_the_middle_of_a_rollback_finishes_it(yard: Yard) -> None:
    yard.clients("codedeploy").update_deployment_group(
        applicationName="hello",
        currentDeploymentGroupName="hello",
        deploymentConfigName="CodeDeployDefault.ECSCanary10Percent15Minutes",
    )
    with load_on(yard.made, kept=KEPT, fresh=FRESH) as load:
        was = yard.weights()
        _, commit = yard.release()
        until(lambda: sorted(yard.weights().values()) == [10, 90])
        info = yard.newest()
        assert info is not None
        yard.clients("codedeploy").stop_deployment(deploymentId=info["deploymentId"], autoRollbackEnabled=True)
        yard.kill_engine()
        yard.start_engine()
        assert yard.follow(commit).status == "Failed"
        until(lambda: (yard.newest() or {})["status"] == "Succeeded")
        rollback = yard.newest()
        assert rollback is not None
        assert rollback["creator"] == "codeDeployRollback"
        until(lambda: len(yard.task_sets()) == 1)
        assert yard.weights() == was
    assert dict(load.tally().failures) == {}


@pytest.mark.parametrize("moment", ["deployment", "rollback"])
def test_when_everything_is_killed_up_finishes_what_was_under_way(yard: Yard, moment: str) -> None:
    """The canary of the test before is still what the deployment group asks for."""
    was = yard.weights()
    _, commit = yard.release()
    until(lambda: sorted(yard.weights().values()) == [10, 90])
    info = yard.newest()
    assert info is not None
    if moment == "rollback":
        yard.clients("codedeploy").stop_deployment(deploymentId=info["deploymentId"], autoRollbackEnabled=True)
    os.kill(yard.running.pid, signal.SIGKILL)
    os.kill(yard.envoy, signal.SIGKILL)
    yard.kill_tasks(yard.tasks())
    assert wait_until_gone(yard.running, 5)
    yard.start_engine()
    assert ask(yard.running, "health")["interruptions"][-1]["endedAt"] is None
    until(lambda: yard.service()["runningCount"] >= 1)
    if moment == "deployment":
        # It goes on where it was: the canary waits out its quarter of an hour, and can be stopped.
        again = yard.newest()
        assert again is not None
        assert (again["deploymentId"], again["status"]) == (info["deploymentId"], "InProgress")
        assert sorted(yard.weights().values()) == [10, 90]
        until(lambda: all(one["stabilityStatus"] == "STEADY_STATE" for one in yard.task_sets()))
        yard.clients("codedeploy").stop_deployment(deploymentId=info["deploymentId"], autoRollbackEnabled=True)
    assert yard.follow(commit).status == "Failed"
    until(lambda: (yard.newest() or {})["creator"] == "codeDeployRollback" and yard.newest()["status"] == "Succeeded")
    assert yard.weights() == was
    until(lambda: [one["stabilityStatus"] for one in yard.task_sets()] == ["STEADY_STATE"])
    with load_on(yard.made, kept=2, fresh=2) as load:
        until(lambda: load.tally().requests > 50)
    assert dict(load.tally().failures) == {}


def test_a_killed_task_is_replaced_and_only_what_was_in_flight_on_it_is_lost(yard: Yard) -> None:
    ecs = yard.clients("ecs")
    ecs.update_service(cluster="hello", service="hello", desiredCount=2)
    until(lambda: yard.service()["runningCount"] == 2 and yard.task_sets()[0]["stabilityStatus"] == "STEADY_STATE")
    running = set(ecs.list_tasks(cluster="hello", desiredStatus="RUNNING")["taskArns"])
    victim = sorted(running)[0]
    (folder,) = [f for f in yard.tasks() if victim.rpartition("/")[2] in f.name]
    with load_on(yard.made, kept=KEPT, fresh=FRESH) as load:
        until(lambda: load.tally().requests > 100)
        yard.kill_tasks([folder])
        until(lambda: set(ecs.list_tasks(cluster="hello", desiredStatus="RUNNING")["taskArns"]) - running)
        until(lambda: yard.task_sets()[0]["stabilityStatus"] == "STEADY_STATE")
    assert load.tally().failed <= KEPT + FRESH, load.tally().failures
    (task,) = ecs.describe_tasks(cluster="hello", tasks=[victim])["tasks"]
    assert task["lastStatus"] == "STOPPED"
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["containers"][0]["reason"] == (
        "how it ended is not known: its supervisor was killed, or the machine went down"
    )
    ecs.update_service(cluster="hello", service="hello", desiredCount=1)


def test_a_killed_build_fails_and_says_why(yard: Yard) -> None:
    codebuild = yard.clients("codebuild")
    spec = json.dumps({"version": "0.2", "phases": {"build": {"commands": ["echo begun", "sleep 600"]}}})
    project = codebuild.batch_get_projects(names=["hello"])["projects"][0]
    build_id = codebuild.start_build(
        projectName=project["name"],
        sourceTypeOverride="NO_SOURCE",
        artifactsOverride={"type": "NO_ARTIFACTS"},
        buildspecOverride=spec,
    )["build"]["id"]
    folder = yard.scene.home / "codebuild" / build_id.partition(":")[2] / "BUILD"
    log = folder.parent / "log"
    until(lambda: log.exists() and b"\nbegun" in log.read_bytes())
    yard.kill_tasks([folder])

    def build() -> Any:
        return codebuild.batch_get_builds(ids=[build_id])["builds"][0]

    until(lambda: build()["buildComplete"])
    assert build()["buildStatus"] == "FAILED"
    (phase,) = [phase for phase in build()["phases"] if phase["phaseType"] == "BUILD"]
    assert phase["phaseStatus"] == "FAILED"
    assert phase["contexts"][0]["message"] == (
        "The process of the phase ended before its commands did: it was killed, and its supervisor with it"
    )

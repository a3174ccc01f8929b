"""An engine with the example's stack whose waits pass faster, and versions of the example that go wrong in service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from turnout.cli.bootstrap import Made
from turnout.cli.clients import Clients
from turnout.cli.demo.scene import Scene
from turnout.cli.running import wait_until_gone
from turnout.cli.up import start_detached
from turnout.config import Config
from turnout.names import resource_of

NAMES = {"applicationName": "hello", "deploymentGroupName": "hello"}
GREETING = 'self.send(200, f"hello {release.version}\\n")'
ERROR = 'self.send(500, "this version has a bug\\n")'
SLOW = f"time.sleep(0.4)\n                {GREETING}"


class Shop:
    def __init__(self, scene: Scene, speed: float) -> None:
        self.scene = scene
        self._config = Config(home=scene.home, port=0, free_listener_ports=True, speed=speed)
        self.start()
        self.made: Made = scene.build_stack(self.clients, lambda kind, name, is_created: None)
        self._app = (scene.work_tree / "app.py").read_text()
        assert GREETING in self._app

    def start(self) -> None:
        self.running = start_detached(self._config)
        self.clients = Clients(self.running)

    def kill(self) -> None:
        """SIGKILL of the engine; Envoy and the tasks go on."""
        os.kill(self.running.pid, signal.SIGKILL)
        assert wait_until_gone(self.running, 5)

    def kill_envoy(self) -> None:
        """And wait until its port is closed."""
        envoy = json.loads((self.scene.home / "envoy" / "process.json").read_text())
        os.kill(envoy["pid"], signal.SIGKILL)
        self.until(lambda: not Path(f"/proc/{envoy['pid']}").exists())

    def is_open(self) -> bool:
        """Whether the production listener accepts connections."""
        try:
            with socket.create_connection(("127.0.0.1", urlsplit(self.made.address).port or 80), timeout=1):
                return True
        except OSError:
            return False

    def sum_of(self, metric: str) -> float:
        """Of everything that has been published of the load balancer."""
        now = datetime.now(UTC)
        points = self.clients("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[{"Name": "LoadBalancer", "Value": self.balancer}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    @property
    def balancer(self) -> str:
        """The dimension LoadBalancer."""
        (balancer,) = self.clients("elbv2").describe_load_balancers()["LoadBalancers"]
        return resource_of(balancer["LoadBalancerArn"]).removeprefix("loadbalancer/")

    def alarm(self, name: str, metric: str, threshold: float, **statistic: str) -> None:
        self.clients("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[{"Name": "LoadBalancer", "Value": self.balancer}],
            Period=60,
            EvaluationPeriods=1,
            Threshold=threshold,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            **statistic,
        )

    def watch(self, *alarms: str, kept_minutes: int = 0) -> None:
        """The deployment group rolls back when one of these goes off."""
        self.clients("codedeploy").update_deployment_group(
            applicationName="hello",
            currentDeploymentGroupName="hello",
            alarmConfiguration={"enabled": True, "alarms": [{"name": name} for name in alarms]},
            autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_FAILURE"]},
            blueGreenDeploymentConfiguration={
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
                "terminateBlueInstancesOnDeploymentSuccess": {
                    "action": "TERMINATE",
                    "terminationWaitTimeInMinutes": kept_minutes,
                },
            },
        )

    def deploy(self, name: str, greeting: str = GREETING, *words: str) -> tuple[int, str]:
        """A version that greets like this, by `turnout deploy`: (exit status, output)."""
        self.pack(name, greeting)
        done = self._turnout("deploy", "--image", f"hello:{name}", *words)
        return done.returncode, done.stdout + done.stderr

    def pack(self, name: str, greeting: str = GREETING) -> None:
        """The image hello:name of a version that greets like this."""
        (self.scene.work_tree / "app.py").write_text(self._app.replace(GREETING, greeting))
        release = self.scene.work_tree / "release.json"
        release.write_text(f'{{"version": "{name}", "colour": "#57606a"}}\n')
        packed = self._turnout("pack", ".", "--tag", f"hello:{name}")
        assert packed.returncode == 0, packed.stderr

    def _turnout(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "turnout", verb, "--home", str(self.scene.home), *words]
        return subprocess.run(
            command,
            cwd=self.scene.work_tree,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def deployments(self) -> list[dict[str, Any]]:
        """deploymentInfo of each, newest first."""
        codedeploy = self.clients("codedeploy")
        ids = codedeploy.list_deployments(**NAMES)["deployments"]
        infos = [codedeploy.get_deployment(deploymentId=one)["deploymentInfo"] for one in ids]
        return sorted(infos, key=lambda info: info["createTime"], reverse=True)

    def receipt(self, deployment_id: str) -> dict[str, Any]:
        receipt: dict[str, Any] = self.clients.told(f"receipts/{self.clients.region}/{deployment_id}")
        return receipt

    def settles(self, count: Callable[[], float], least: float, most: float, within_s: float = 60) -> None:
        """Wait until so much has been counted. It must not become more."""
        deadline = time.monotonic() + within_s
        while (counted := count()) < least and time.monotonic() < deadline:
            time.sleep(0.1)
        assert least <= counted <= most, f"{counted}, and not {least} to {most}"

    def until(self, is_so: Callable[[], Any], within_s: float = 60) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := is_so()):
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.1)
        return found


@contextmanager
def shop(speed: float) -> Iterator[Shop]:
    scene = Scene(Path(tempfile.mkdtemp(prefix="turnout-test-")))
    try:
        yield Shop(scene, speed)
    finally:
        scene.end()

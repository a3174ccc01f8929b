"""What every measurement stands on: an engine in a temporary home, answering machines, a balancer in front of them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

REGION = "us-east-1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_true: Callable[[], Any], within_s: float, what: str) -> Any:
    """Ask until the answer is true; the error says what was waited for."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := is_true():
            return answer
        time.sleep(0.01)
    raise TimeoutError(f"{what}: not within {within_s:g} s")


@contextmanager
def process(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
    running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def service(argv: Sequence[str]) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A proxy as a service manager starts it and as turnout starts Envoy: in a session of its own.

    The kernel schedules sessions as groups (sched_autogroup), which is worth 7 % of a proxy's throughput when the load
    generator and the upstream are in another one: all that are compared have to be on the same footing."""
    return process(argv, start_new_session=True)


def answers_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Engine:
    """An engine that was started for a measurement. `ready_s` is the time from exec to its first answer."""

    pid: int
    endpoint: str
    home: Path
    ready_s: float

    def client(self, service: str) -> Any:
        return boto3.client(
            service, REGION, endpoint_url=self.endpoint, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.endpoint}/_turnout/{path}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def engine() -> Iterator[Engine]:
    """`turnout up` on any free port, over a home that is thrown away."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="turnout-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "turnout", "up", "--home", str(home), "--port", "0"]
        running = stack.enter_context(process(command))
        addresses = json.loads(wait_until(lambda: _read(home / "engine.json"), 30, "engine.json"))
        started = Engine(running.pid, addresses["endpoint"], home, 0.0)
        wait_until(lambda: _answers(started), 10, "the first answer of the engine")
        yield Engine(running.pid, addresses["endpoint"], home, time.monotonic() - began)


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _answers(engine: Engine) -> bool:
    try:
        return bool(engine.ask("health"))
    except OSError:
        return False


@contextmanager
def answering(body: str) -> Iterator[int]:
    """A fast upstream (nginx, one worker) that answers `body` with its name in X-Version. Yields its port."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="turnout-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 1000000000;\n"
            f" server {{ listen 127.0.0.1:{port} reuseport backlog=4096;\n"
            f' location / {{ add_header X-Version {body}; default_type text/plain; return 200 "{body}\\n"; }} }} }}\n'
        )
        stack.enter_context(process(["nginx", "-p", str(folder), "-c", str(config)]))
        wait_until(lambda: answers_on(port), 5, "nginx")
        yield port


@dataclass(frozen=True)
class Balancer:
    """A load balancer with one listener and two target groups, both healthy."""

    port: int
    listener: str
    blue: str
    green: str

    def forward(self, elbv2: Any, blue: int, green: int) -> None:
        """Set the weights."""
        groups = [{"TargetGroupArn": self.blue, "Weight": blue}, {"TargetGroupArn": self.green, "Weight": green}]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        elbv2.modify_listener(ListenerArn=self.listener, DefaultActions=[action])


def balance(engine: Engine, blue_port: int, green_port: int) -> Balancer:
    """Put a balancer in front of two upstreams, all weight on blue."""
    elbv2, ec2 = engine.client("elbv2"), engine.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
    balancer = elbv2.create_load_balancer(Name="bench", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    groups = [_group(elbv2, vpc, name, port) for name, port in (("blue", blue_port), ("green", green_port))]
    port = free_port()
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": groups[0], "Weight": 100},
                {"TargetGroupArn": groups[1], "Weight": 0},
            ]
        },
    }
    listener = elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[forward])[
        "Listeners"
    ][0]["ListenerArn"]
    for group in groups:
        wait_until(lambda group=group: _is_healthy(elbv2, group), 20, f"{group} healthy")
    wait_until(lambda: answers_on(port), 10, f"port {port}")
    return Balancer(port, listener, *groups)


def _group(elbv2: Any, vpc: str, name: str, port: int) -> str:
    group: str = elbv2.create_target_group(
        Name=name,
        Protocol="HTTP",
        Port=80,
        VpcId=vpc,
        TargetType="ip",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": port}])
    return group


def _is_healthy(elbv2: Any, group: str) -> bool:
    described = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return bool(described) and all(target["TargetHealth"]["State"] == "healthy" for target in described)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

"""The data path: throughput and p99 through turnout's Envoy, a hand-written static Envoy, nginx and HAProxy.

The same upstream, the same wrk, one after the other in rounds, so that all see the same machine.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.stage import Engine, answering, answers_on, balance, free_port, service, wait_until
from turnout.cli.load import Load

ROUNDS = 3
SECONDS = 5
CONNECTIONS = 64


@dataclass(frozen=True)
class Path_:
    """What wrk saw: requests per second and the 99th percentile of latency in ms, medians over the rounds."""

    name: str
    per_s: float
    p99_ms: float


def measure(engine: Engine) -> list[Path_]:
    with ExitStack() as stack:
        blue, green = stack.enter_context(answering("blue")), stack.enter_context(answering("green"))
        ports = {
            "turnout": balance(engine, blue, green).port,
            "static Envoy": stack.enter_context(static_envoy(blue)),
            "nginx": stack.enter_context(nginx(blue)).port,
            "HAProxy": stack.enter_context(haproxy(blue)).port,
        }
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ports}
        for _ in range(ROUNDS):
            for name, port in ports.items():
                seen[name].append(wrk(port))
    return [
        Path_(name, statistics.median(s for s, _ in rounds), statistics.median(p for _, p in rounds))
        for name, rounds in seen.items()
    ]


def wrk(port: int) -> tuple[float, float]:
    """(requests per second, p99 in ms) of a few seconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert per_s
    assert p99, said
    return float(per_s[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]


@dataclass(frozen=True)
class Reloading:
    """A proxy that is told of new weights by rewriting its configuration and reloading."""

    port: int
    config: Path
    pid: int
    text: str

    def forward(self, upstream: int) -> None:
        self.config.write_text(self.text.replace("UPSTREAM", str(upstream)))


NGINX = """daemon off; pid FOLDER/pid; error_log FOLDER/error.log; worker_processes 1;
events { worker_connections 4096; }
http { access_log off;
 upstream up { server 127.0.0.1:UPSTREAM; keepalive 256; }
 server { listen 127.0.0.1:PORT;
  location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
"""
HAPROXY = """global
 nbthread 1
defaults
 mode http
 timeout connect 5s
 timeout client 60s
 timeout server 60s
frontend f
 bind 127.0.0.1:PORT
 default_backend b
backend b
 server up 127.0.0.1:UPSTREAM
"""
ENVOY = """static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: "/"}, route: {cluster: up}}]}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: UPSTREAM}}}
"""


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="turnout-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def nginx(upstream: int) -> Iterator[Reloading]:
    with _folder() as folder:
        port = free_port()
        text = NGINX.replace("FOLDER", str(folder)).replace("PORT", str(port))
        config = folder / "nginx.conf"
        config.write_text(text.replace("UPSTREAM", str(upstream)))
        with service(["nginx", "-p", str(folder), "-c", str(config)]) as running:
            wait_until(lambda: answers_on(port), 5, "nginx")
            yield Reloading(port, config, running.pid, text)


@contextmanager
def haproxy(upstream: int) -> Iterator[Reloading]:
    with _folder() as folder:
        port = free_port()
        text = HAPROXY.replace("PORT", str(port))
        config = folder / "haproxy.cfg"
        config.write_text(text.replace("UPSTREAM", str(upstream)))
        with service(["haproxy", "-W", "-db", "-f", str(config)]) as running:
            wait_until(lambda: answers_on(port), 5, "HAProxy")
            yield Reloading(port, config, running.pid, text)


@contextmanager
def static_envoy(upstream: int) -> Iterator[int]:
    from turnout.loadbalancer.envoy.process import binary

    with _folder() as folder:
        port = free_port()
        config = folder / "envoy.yaml"
        config.write_text(ENVOY.replace("PORT", str(port)).replace("UPSTREAM", str(upstream)))
        command = [binary(), "-c", str(config), "--concurrency", "2", "--disable-hot-restart", "-l", "off"]
        with service(command):
            wait_until(lambda: answers_on(port), 10, "Envoy")
            yield port


def lost_by_reloading(kind: str, shifts: int = 40) -> tuple[int, int]:
    """(requests, failed) over `shifts` reloads of nginx or HAProxy under the load that turnout is given."""
    proxy = {"nginx": nginx, "HAProxy": haproxy}[kind]
    number = {"nginx": "HUP", "HAProxy": "USR2"}[kind]
    with answering("blue") as blue, answering("green") as green, proxy(blue) as reloading:
        with Load("127.0.0.1", reloading.port, kept=64, fresh=8, rest_s=0.02) as load:
            for shift in range(shifts):
                reloading.forward(blue if shift % 2 else green)
                subprocess.run(["kill", f"-{number}", str(reloading.pid)], check=True)
                time.sleep(0.25)
        tally = load.tally()
    return tally.requests, tally.failed

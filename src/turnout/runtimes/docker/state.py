"""What an engine tells of a container, as a State. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from turnout.runtimes import Port, State, Usage
from turnout.runtimes.docker.creating import BIND_IP, PORTS
from turnout.runtimes.docker.words import has_failed_to_start, innermost, unix_time, why_it_ended

RUNNING = ("running", "paused", "restarting")


def is_running(document: Mapping[str, Any]) -> bool:
    return document["State"]["Status"] in RUNNING


def pause_of(document: Mapping[str, Any]) -> str | None:
    """The id of the container that holds its network; None if it has its own."""
    mode = str(document["HostConfig"]["NetworkMode"])
    return mode.removeprefix("container:") if mode.startswith("container:") else None


def state_of(document: Mapping[str, Any], host: str = BIND_IP) -> State | None:
    """None of a container that was created and never started: an engine was killed in between."""
    state = document["State"]
    if has_failed_to_start(state):
        reason = f"CannotStartContainerError: {innermost(state['Error'])}"
        at = unix_time(document["Created"])
        return State(False, _wanted(document), host, at, state["ExitCode"] or None, reason)
    if state["Status"] in ("created", "configured", "initialized"):
        return None
    started_at = unix_time(state["StartedAt"])
    if is_running(document):
        return State(True, _ports(document), host, started_at)
    return State(False, _ports(document), host, started_at, state["ExitCode"], why_it_ended(state))


def usage_of(stats: Mapping[str, Any]) -> Usage | None:
    """None of a container that does not run. Memory as `docker stats` shows it: without files that could be dropped.

    https://docs.docker.com/reference/cli/docker/container/stats/
    """
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cached = details.get("total_inactive_file", details.get("inactive_file", 0))
    cpu_ns = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return Usage(cpu_ns / 1e9, max(0, memory["usage"] - cached))


def _wanted(document: Mapping[str, Any]) -> tuple[Port, ...]:
    ports = json.loads(document["Config"]["Labels"].get(PORTS, "[]"))
    return tuple(Port(port, protocol=protocol) for port, protocol in ports)


def _ports(document: Mapping[str, Any]) -> tuple[Port, ...]:
    """In the order in which they were asked for. With the host's network or an address of its own: as they are."""
    if document["HostConfig"]["NetworkMode"] in ("host", "none") or pause_of(document):
        return tuple(Port(port.container_port, port.container_port, port.protocol) for port in _wanted(document))
    published = document["NetworkSettings"].get("Ports") or {}
    found = []
    for port in _wanted(document):
        if bound := published.get(f"{port.container_port}/{port.protocol}"):
            found.append(Port(port.container_port, int(bound[0]["HostPort"]), port.protocol))
    return tuple(found)

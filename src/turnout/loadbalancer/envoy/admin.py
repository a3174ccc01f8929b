"""Envoy's own account of itself, over its admin socket: counters, what it has accepted, what its checks say."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.loadbalancer.envoy.wire import EnvoySilent, Wire
from turnout.loadbalancer.proxy import GroupCounters, GroupMeter, PortMeter

METERED = (
    r"^(cluster\.[^.]+\.upstream_(rq_(completed|[2345]xx)|cx_(total|active))"
    r"|http\.port-\d+\.downstream_cx_(total|active))$"
)
END, MOST_ENDS = 6, 8
"""config_dump takes only small expressions (RE2's program of about 100), and answers 400 to the names of five clusters:
it is asked by so many last characters of so many names, and of whatever else ends alike what was meant is picked."""
MOST_NAMES = 40
"""Names in one filter; beyond that everything is asked for, and picked from here."""


@dataclass(frozen=True)
class HostHealth:
    group: str
    address: str
    is_failing: bool


class Admin:
    """A client of one Envoy, whichever life it is in."""

    def __init__(self, path: Path) -> None:
        self._wire = Wire(path)

    async def _get(self, path: str, **query: str) -> Any:
        return json.loads(await self._wire.ask("GET", path, query))

    async def is_live(self) -> bool:
        """Whether the listeners accept connections."""
        try:
            return bool((await self._get("/server_info"))["state"] == "LIVE")
        except EnvoySilent:
            return False

    async def groups(self, names: Collection[str], *, latency: bool = False) -> dict[str, GroupCounters]:
        """Counters of clusters; histograms, if asked for, as of a flush that this brings about."""
        words = "total|active|pending_active|completed|5xx" + ("|time" if latency else "")
        query = {"format": "json", "filter": rf"^cluster\.{_choice(names)}\.upstream_rq_({words})$"}
        if latency:
            query["histogram_buckets"] = "detailed"
            # The first question makes the workers hand in their histograms, the second reads the sum.
            await self._get("/stats", **query)
            await asyncio.sleep(0.02)
        return _groups(names, (await self._get("/stats", **query))["stats"])

    async def meters(self) -> tuple[dict[str, GroupMeter], dict[int, PortMeter]]:
        """Of every cluster and every listener."""
        said = await self._wire.ask("GET", "/stats", {"filter": METERED})
        return meters_of(said.decode())

    async def completed(self, group: str) -> int:
        """Requests that a cluster has answered."""
        counter = rf"^cluster\.{re.escape(group)}\.upstream_rq_completed$"
        return int((await self._wire.ask("GET", "/stats", {"filter": counter})).rpartition(b":")[2] or 0)

    async def connections(self, prefix: str) -> int | None:
        """Client connections that are open on a listener."""
        return await self._of_listener(prefix, "downstream_cx_active")

    async def goodbyes(self, prefix: str) -> int | None:
        """Client connections of a listener that were ended with a goodbye."""
        return await self._of_listener(prefix, "downstream_cx_drain_close")

    async def _of_listener(self, prefix: str, name: str) -> int | None:
        """A gauge or counter of a listener; None of an Envoy that was started without it."""
        said = await self._wire.ask("GET", "/stats", {"filter": rf"^http\.{re.escape(prefix)}\.{name}$"})
        return int(said.rpartition(b":")[2]) if said.strip() else None

    async def load(self) -> tuple[int, int]:
        """(client connections, requests in flight) on all listeners."""
        said = await self._get("/stats", format="json", filter=r"^http\.port-\d+\.downstream_(cx|rq)_active$")
        values = [(stat["name"], stat["value"]) for stat in said["stats"]]
        connections = sum(value for name, value in values if name.endswith("cx_active"))
        return connections, sum(value for _, value in values) - connections

    async def route_versions(self) -> dict[str, str]:
        """The version of each route configuration in force, as the main thread sees it."""
        query = {"resource": "dynamic_route_configs", "mask": "version_info,route_config.name"}
        dump = await self._get("/config_dump", **query)
        return {
            config["route_config"]["name"]: config.get("version_info", "")
            for config in dump.get("configs", [])
            if "route_config" in config
        }

    async def listener_errors(self) -> dict[str, str]:
        """What is wrong with listeners that Envoy was told but did not take, by name."""
        query = {"resource": "dynamic_listeners", "mask": "name,error_state.details"}
        dump = await self._get("/config_dump", **query)
        return {
            listener["name"]: listener["error_state"].get("details", "refused")
            for listener in dump.get("configs", [])
            if "error_state" in listener
        }

    async def health(self, names: Collection[str]) -> list[HostHealth]:
        """What active checks say of every endpoint of these clusters."""
        query = {"format": "json", **({"filter": f"^{_choice(names)}$"} if len(names) <= MOST_NAMES else {})}
        answer = await self._get("/clusters", **query)
        wanted = set(names)
        return [
            _host(cluster["name"], host)
            for cluster in answer.get("cluster_statuses", [])
            if cluster["name"] in wanted
            for host in cluster.get("host_statuses", [])
        ]

    async def checked(self, names: Collection[str]) -> set[str]:
        """Those of these clusters whose active version has health checks."""
        query = {"resource": "dynamic_active_clusters", "mask": "cluster.name,cluster.health_checks"}
        if len(names) <= MOST_ENDS:
            query["name_regex"] = f".*({'|'.join(sorted({re.escape(name[-END:]) for name in names}))})"
        dump = await self._get("/config_dump", **query)
        clusters = [config["cluster"] for config in dump.get("configs", []) if "cluster" in config]
        return {cluster["name"] for cluster in clusters if cluster.get("health_checks")} & set(names)

    async def reopen_logs(self) -> None:
        await self._wire.ask("POST", "/reopen_logs", {})

    async def close(self) -> None:
        await self._wire.close()


def meters_of(said: str) -> tuple[dict[str, GroupMeter], dict[int, PortMeter]]:
    """From the lines of /stats: "cluster.blue.upstream_rq_2xx: 3". Pure."""
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for line in said.splitlines():
        name, _, value = line.partition(": ")
        kind, owner, counter = name.split(".", 2)
        counted.setdefault((kind, owner), {})[counter] = int(value)
    groups, ports = {}, {}
    for (kind, owner), counters in counted.items():
        if kind == "cluster":
            two, three, four, five = (counters.get(f"upstream_rq_{n}xx", 0) for n in (2, 3, 4, 5))
            groups[owner] = GroupMeter(
                completed=counters.get("upstream_rq_completed", 0),
                answers=(two, three, four, five),
                connections=counters.get("upstream_cx_total", 0),
                open_connections=counters.get("upstream_cx_active", 0),
            )
        else:
            connections, open_ones = (counters.get(f"downstream_cx_{word}", 0) for word in ("total", "active"))
            ports[int(owner.removeprefix("port-"))] = PortMeter(connections, open_ones)
    return groups, ports


def _choice(names: Collection[str]) -> str:
    return "[^.]+" if len(names) > MOST_NAMES else f"({'|'.join(re.escape(name) for name in names)})"


def _host(cluster: str, host: dict[str, Any]) -> HostHealth:
    address = host["address"]["socket_address"]
    status = host.get("health_status", {})
    return HostHealth(
        cluster,
        f"{address['address']}:{address['port_value']}",
        bool(status.get("failed_active_health_check")),
    )


def _groups(names: Collection[str], stats: list[dict[str, Any]]) -> dict[str, GroupCounters]:
    values: dict[tuple[str, str], int] = {}
    latency: dict[str, tuple[tuple[float, int], ...]] = {}
    for stat in stats:
        if "histograms" in stat:
            for histogram in stat["histograms"].get("details", []):
                latency[histogram["name"].split(".")[1]] = tuple(
                    (_milliseconds(bucket), bucket["count"]) for bucket in histogram["totals"]
                )
        else:
            _, group, counter = stat["name"].split(".", 2)
            values[group, counter.removeprefix("upstream_rq_")] = stat["value"]
    return {
        name: GroupCounters(
            sent=values.get((name, "total"), 0),
            completed=values.get((name, "completed"), 0),
            in_flight=values.get((name, "active"), 0) + values.get((name, "pending_active"), 0),
            errors=values.get((name, "5xx"), 0),
            latency=latency.get(name, ()),
        )
        for name in names
    }


def _milliseconds(bucket: dict[str, Any]) -> float:
    """The middle of a bucket. Envoy cuts latencies down to whole milliseconds: its 0 is anything below 1."""
    return float(bucket["lower_bound"]) + max(float(bucket["width"]), 1.0) / 2

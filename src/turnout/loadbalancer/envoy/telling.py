"""From one picture to the next: which files change, when, and in which order Envoy hears of them.

What is referred to comes before what refers to it: endpoints, clusters, routes, listeners; and goes after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from turnout.loadbalancer.envoy.clusterfile import ClusterFile, IsHealthy
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.listenerfile import ListenerFile, shape_of
from turnout.loadbalancer.envoy.listeners import Shape
from turnout.loadbalancer.envoy.pace import CLUSTER_S, HOST_S, Pace
from turnout.loadbalancer.envoy.ports import PortMap
from turnout.loadbalancer.envoy.routefile import RouteFiles
from turnout.loadbalancer.envoy.routes import compact, discovery
from turnout.loadbalancer.envoy.tls import render_secret
from turnout.loadbalancer.envoy.watchers import Watchers
from turnout.loadbalancer.picture import Group, Picture

CLUSTERS = "clusters"


class Teller:
    """Knows the picture that Envoy should have, and what it has yet to be told of it."""

    def __init__(
        self, folder: Folder, ports: PortMap, host: str, is_healthy: IsHealthy, is_held: Callable[[str], bool]
    ) -> None:
        self._folder = folder
        watchers = Watchers()
        self._clusters = ClusterFile(folder, watchers, is_healthy)
        self._listeners = ListenerFile(folder, watchers, ports, host, is_held)
        self._routes = RouteFiles(folder, ports)
        self._pace = Pace()
        self._is_telling = False
        self._has_news = False
        self._are_checked = True
        self._going: dict[str, Group] = {}
        """Groups that are no more, until no route leads to them."""
        self._stale_clusters = self._stale_listeners = False
        self._stale_ports: set[int] = set()
        self._ended_secrets: set[str] = set()
        self.picture = Picture()

    @property
    def versions(self) -> dict[int, str]:
        """Port → version of its routes, as last told; "" while the last ones have yet to be told."""
        return {**self._routes.versions, **dict.fromkeys(self._stale_ports, "")}

    def addresses(self) -> list[str]:
        """Where Envoy has been told to listen: "tcp://127.0.0.1:80"."""
        return self._listeners.addresses()

    def wanted_addresses(self) -> list[str]:
        """Where Envoy should listen."""
        return [self._listeners.address(port) for port in self.picture.ports]

    @property
    def unsettled(self) -> set[str]:
        """Groups that are told without their checks, until `settle`."""
        return self._clusters.unsettled

    def begin(self) -> None:
        """A new Envoy is about to start: write everything, but no checks."""
        self._are_checked = False
        self._listeners.begin()
        self._listeners.put(self.picture)
        self._clusters.begin(self.picture.groups.keys())
        self._tell_all()

    def tell_all(self) -> None:
        """Envoy runs: write every file that does not say so already."""
        self._are_checked = True
        self._clusters.adopt()
        self._listeners.adopt()
        self._tell_all()

    def tell(self, was: Picture) -> set[str]:
        """Write what differs from `was`, or will soon. Returns the groups whose endpoints or checks are others."""
        if not self._is_telling:
            return set()
        changed = self._note(was)
        self._folder.drop_endpoints(was.groups.keys() - self.picture.groups.keys())
        self._routes.drop(was.ports.keys() - self.picture.ports.keys())
        self.write()
        return changed

    def settle(self) -> None:
        """The second phase of changed clusters: checks again."""
        self._clusters.unsettled = set()
        self._stale_clusters = True
        self.write()

    def try_ports_again(self) -> None:
        """Listen on ports that were taken, if they are free now."""
        if self._listeners.misses(self.picture):
            self._stale_listeners = True
            self.write()

    def has_news(self) -> bool:
        """Whether anything was told since this was last asked."""
        had, self._has_news = self._has_news, False
        return had

    def write(self) -> None:
        """Write what is stale and whose time has come; `wait_s` says when to call again."""
        now = time.monotonic()
        groups = self._groups()
        if self._stale_clusters and not self._pace.wait_s(CLUSTERS, now):
            self._stale_clusters = False
            self._clusters.put({**self._going, **groups}, self.picture.endpoints)
            self._pace.wrote(CLUSTERS, now, len(groups) * CLUSTER_S)
        for port in sorted(self._stale_ports):
            sites = self.picture.ports[port]
            if not self._pace.wait_s(port, now) and self._clusters.knows(sites):
                self._stale_ports.discard(port)
                self._routes.put(port, sites)
                self._pace.wrote(port, now, len(sites) * HOST_S)
        if self._stale_listeners and not self._stale_ports:
            self._stale_listeners = False
            self._listeners.put(self.picture)
            for name in self._ended_secrets - self.picture.secrets.keys():
                self._folder.drop(self._folder.secret(name))
            self._ended_secrets = set()
        if self._going and not self._stale_ports:
            self._going = {}
            self._stale_clusters = True

    def wait_s(self) -> float | None:
        """How long until there is something to write; None if everything has been told."""
        now = time.monotonic()
        waits = [self._pace.wait_s(port, now) for port in self._stale_ports]
        if self._stale_clusters:
            waits.append(self._pace.wait_s(CLUSTERS, now))
        return max(0.001, min(waits)) if waits else None

    def _groups(self) -> dict[str, Group]:
        if self._are_checked:
            return dict(self.picture.groups)
        return {name: replace(group, check=None) for name, group in self.picture.groups.items()}

    def _tell_all(self) -> None:
        self._is_telling = True
        self._pace = Pace()
        self._note(Picture())
        self._stale_clusters = self._stale_listeners = True
        self.write()
        self._folder.keep(self.picture.groups.keys(), self.picture.ports.keys(), self.picture.secrets.keys())

    def _note(self, was: Picture) -> set[str]:
        """Find out what is stale. Files of endpoints and of certificates are small, and written at once."""
        self._has_news = True
        now, groups = self.picture, self._groups()
        moved = {
            name: now.endpoints.get(name, ())
            for name in groups
            if now.endpoints.get(name) != was.endpoints.get(name) or name not in was.groups
        }
        changed = moved.keys() | {name for name, group in now.groups.items() if group != was.groups.get(name)}
        inline = self._clusters.put_endpoints(groups, moved)
        self._going = {
            **{name: group for name, group in self._going.items() if name not in groups},
            **{name: group for name, group in was.groups.items() if name not in groups},
        }
        if inline or now.groups != was.groups:
            self._stale_clusters = True
        self._stale_ports |= {port for port, sites in now.ports.items() if sites != was.ports.get(port)}
        self._stale_ports &= now.ports.keys()
        if _listening(now) != _listening(was):
            self._stale_listeners = True
        for name, secret in now.secrets.items():
            if secret != was.secrets.get(name):
                self._folder.put(self._folder.secret(name), discovery(compact(render_secret(name, secret)))[0])
        if ended := was.secrets.keys() - now.secrets.keys():
            self._ended_secrets |= ended
            self._stale_listeners = True
        return changed


def _listening(picture: Picture) -> dict[int, Shape]:
    """What of the ports is in the listeners themselves."""
    return {port: shape_of(sites) for port, sites in picture.ports.items()}

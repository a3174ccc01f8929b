"""The file of clusters, and the files of their endpoints.

A group's endpoints are in a file of their own as long as Envoy may watch another one: then targets come and go by
themselves. Beyond that they are written *into* the cluster, and Envoy replaces the whole cluster when they change. It
would go on with the former one until the first check of every endpoint has ended, so such a change comes in two
phases: first without checks, each endpoint with the health that is known of it, which holds at once; a moment later
with the checks again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from turnout.loadbalancer.envoy.clusters import render_assignment, render_cluster
from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.routes import compact, discovery
from turnout.loadbalancer.envoy.watchers import Watchers
from turnout.loadbalancer.picture import Endpoint, Group, Site, group_name

log = logging.getLogger(__name__)

IsHealthy = Callable[[str, str], bool]
"""Whether the checks last found the endpoint of a group (name, address) healthy."""

_Key = tuple[Group, tuple[Endpoint, ...] | None, tuple[bool, ...] | None]


class ClusterFile:
    """Knows which groups have a file, and what each cluster was last told as."""

    def __init__(self, folder: Folder, watchers: Watchers, is_healthy: IsHealthy) -> None:
        self._folder = folder
        self._watchers = watchers
        self._is_healthy = is_healthy
        self._watched: set[str] = set()
        self._inline: set[str] = set()
        self._told: dict[str, tuple[_Key, str]] = {}
        self.unsettled: set[str] = set()
        """Groups in the first phase."""

    def begin(self, groups: Collection[str]) -> None:
        """A new Envoy is about to start: decide who gets a file. Replacing a cluster takes a second watcher."""
        allowed = self._watchers.available(2 * len(groups)) // 2
        self._watched = set(list(groups)[:allowed])
        self._watchers.take(2 * len(self._watched))
        self._inline = set(groups) - self._watched
        self.unsettled = set()

    def adopt(self) -> None:
        """Envoy was found running: what it watches is in its file."""
        if self._told or not self._folder.clusters.exists():
            return
        try:
            resources = json.loads(self._folder.clusters.read_text())["resources"]
            kinds = {str(cluster["name"]): cluster["type"] for cluster in resources}
        except (ValueError, LookupError, TypeError) as error:
            log.error("%s is damaged, and is written again: %s", self._folder.clusters, error)
            return
        self._watched = {name for name, kind in kinds.items() if kind == "EDS"}
        self._inline = kinds.keys() - self._watched

    def put_endpoints(self, groups: Mapping[str, Group], changed: Mapping[str, tuple[Endpoint, ...]]) -> set[str]:
        """Write the files of those that have one. Returns the others, whose clusters have to be told again."""
        inline = set()
        for name, endpoints in changed.items():
            if self._has_file(name):
                text, _ = discovery(compact(render_assignment(name, endpoints)))
                self._folder.put(self._folder.endpoints(name), text)
            else:
                inline.add(name)
                told = self._told.get(name)
                if groups[name].check is not None and told is not None and told[0][1] != endpoints:
                    self.unsettled.add(name)
        return inline

    def put(self, groups: Mapping[str, Group], endpoints: Mapping[str, tuple[Endpoint, ...]]) -> None:
        """Write the clusters of exactly these groups."""
        told = {}
        for name, group in groups.items():
            key = self._key(name, group, endpoints.get(name, ()))
            known = self._told.get(name)
            told[name] = known if known is not None and known[0] == key else (key, self._render(name, key))
        self._told = told
        self._watched &= groups.keys()
        self._inline &= groups.keys()
        self.unsettled &= groups.keys()
        self._folder.put(self._folder.clusters, f'{{"resources":[{",".join(text for _, text in told.values())}]}}')

    def knows(self, sites: Sequence[Site]) -> bool:
        """Whether Envoy has been told every group that these lead to."""
        return all(
            group_name(group["TargetGroupArn"]) in self._told
            for site in sites
            for rule in site.rules
            for action in rule.actions
            if action["Type"] == "forward"
            for group in action["ForwardConfig"]["TargetGroups"]
        )

    def _has_file(self, name: str) -> bool:
        if name not in self._watched and name not in self._inline:
            (self._watched if self._watchers.take(1) else self._inline).add(name)
        return name in self._watched

    def _key(self, name: str, group: Group, endpoints: tuple[Endpoint, ...]) -> _Key:
        if name in self._watched:
            return group, None, None
        if name in self.unsettled:
            return replace(group, check=None), endpoints, tuple(self._is_healthy(name, e.address) for e in endpoints)
        return group, endpoints, None

    def _render(self, name: str, key: _Key) -> str:
        group, endpoints, healths = key
        source = self._folder.endpoints(name) if endpoints is None else render_assignment(name, endpoints, healths)
        return compact(render_cluster(name, group, source, self._folder.health_log))

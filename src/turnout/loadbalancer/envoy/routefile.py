"""The files of routes, one per port. What has been rendered once is kept: a weight changes one host of many."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.ports import PortMap
from turnout.loadbalancer.envoy.routes import claimed_domains, compact, discovery, render_host, render_routes
from turnout.loadbalancer.picture import Site


class RouteFiles:
    """Knows the version of each port's routes, as last told."""

    def __init__(self, folder: Folder, ports: PortMap) -> None:
        self._folder = folder
        self._ports = ports
        self._hosts: dict[int, dict[str, tuple[Site, tuple[str, ...], str]]] = {}
        self.versions: dict[int, str] = {}

    def put(self, port: int, sites: Sequence[Site]) -> None:
        claimed = claimed_domains(sites)
        hosts = ",".join(self._host(port, site, domains) for site, domains in claimed)
        self._hosts[port] = {site.listener_arn: self._hosts[port][site.listener_arn] for site, _ in claimed}
        text, self.versions[port] = discovery(f'{compact(render_routes(port))[:-1]},"virtual_hosts":[{hosts}]}}')
        self._folder.put(self._folder.routes(port), text)

    def drop(self, ports: Collection[int]) -> None:
        for port in ports:
            self._folder.drop(self._folder.routes(port))
            self.versions.pop(port, None)
            self._hosts.pop(port, None)

    def _host(self, port: int, site: Site, domains: tuple[str, ...]) -> str:
        hosts = self._hosts.setdefault(port, {})
        known = hosts.get(site.listener_arn)
        if known is not None and known[0] == site and known[1] == domains:
            return known[2]
        text = compact(render_host(site, domains, self._ports.of))
        hosts[site.listener_arn] = (site, domains, text)
        return text

"""From rows to the picture that the proxy has: only what is stale is read again.

The proxy is a cache of the rows: it is told after each commit, and of everything at every start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from turnout.certificates import Certificates, Material
from turnout.loadbalancer.attributes import BALANCER, GROUP, with_defaults
from turnout.loadbalancer.picture import SHARES, Check, Endpoint, Group, Picture, Rule, Secret, Site, Tls, group_name
from turnout.loadbalancer.proxy import Proxy
from turnout.loadbalancer.records import Document, Records, balancer_of, served_by
from turnout.traffic import LONG_CONNECTIONS_TAG

THIS_MACHINE = "127.0.0.1"
"""Where every instance is."""


log = logging.getLogger(__name__)

NamesOf = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Placed:
    """A site at its port. `rank` is the age of the load balancer: the oldest answers the hosts that nobody claims.

    The domains of its certificates are its hosts as well, unless somebody else claims them."""

    port: int
    rank: tuple[float, str]
    site: Site
    materials: tuple[Material, ...] = ()


class Mirror:
    """The picture, and what of it no longer holds."""

    def __init__(self, records: Records, proxy: Proxy, certificates: Certificates, names_of: NamesOf) -> None:
        self._records = records
        self._proxy = proxy
        self._certificates = certificates
        self._names_of = names_of
        self._placed: dict[str, Placed] = {}
        self.picture = Picture()
        self.arns: dict[str, str] = {}
        """Name of a group at the proxy → its ARN."""
        self.stale_listeners: set[str] = set()
        self.stale_groups: set[str] = set()

    def tell_all(self) -> None:
        """Read everything again, and tell it."""
        self._placed = {}
        self.picture = Picture()
        self.stale_listeners = {doc["ListenerArn"] for _, doc in self._records.listeners.everywhere()}
        self.stale_groups = {doc["TargetGroupArn"] for _, doc in self._records.groups.everywhere()}
        self.tell()

    def tell(self) -> None:
        """Bring the picture up to date with the rows, and tell it."""
        groups, endpoints = dict(self.picture.groups), dict(self.picture.endpoints)
        for arn in self.stale_groups:
            name = group_name(arn)
            group = self._records.groups.find(region_of(arn), arn)
            if group is None:
                groups.pop(name, None)
                endpoints.pop(name, None)
                self.arns.pop(name, None)
            else:
                groups[name] = self._group(group)
                endpoints[name] = self._endpoints(group)
                self.arns[name] = arn
        ports = dict(self.picture.ports)
        for port in self._place(self.stale_listeners):
            if sites := self._sites(port):
                ports[port] = sites
            else:
                ports.pop(port, None)
        self.stale_groups, self.stale_listeners = set(), set()
        self.picture = Picture(groups, endpoints, ports, self._secrets())
        self._proxy.apply(self.picture)

    def is_default(self, listener_arn: str) -> bool:
        """Whether a listener answers the hosts that nobody claims on its port."""
        placed = self._placed.get(listener_arn)
        return placed is not None and self._in_order(placed.port)[0] is placed

    def _place(self, arns: set[str]) -> set[int]:
        """Read listeners again. Returns the ports concerned."""
        ports = set()
        for arn in arns:
            if (was := self._placed.pop(arn, None)) is not None:
                ports.add(was.port)
            listener = self._records.listeners.find(region_of(arn), arn)
            if listener is not None and (placed := self._read(listener)) is not None:
                self._placed[arn] = placed
                ports.add(placed.port)
        return ports

    def _secrets(self) -> dict[str, Secret]:
        materials = {one.name: one for placed in self._placed.values() for one in placed.materials}
        return {name: Secret(one.chain, one.key) for name, one in sorted(materials.items())}

    def _sites(self, port: int) -> tuple[Site, ...]:
        placed = self._in_order(port)
        claimed = {domain for one in placed for domain in one.site.domains}
        sites = []
        for number, one in enumerate(placed):
            certified = dict.fromkeys(domain for material in one.materials for domain in material.domains)
            more = tuple(domain for domain in certified if domain not in claimed)
            claimed.update(more)
            rest = ("*",) if number == 0 else ()
            sites.append(replace(one.site, domains=(*one.site.domains, *more, *rest)))
        return tuple(sites)

    def _in_order(self, port: int) -> list[Placed]:
        return sorted((p for p in self._placed.values() if p.port == port), key=lambda placed: placed.rank)

    def _read(self, listener: Document) -> Placed | None:
        """None: it cannot answer, for want of a certificate."""
        arn = listener["ListenerArn"]
        region, balancer_arn = region_of(arn), balancer_of(arn)
        balancer = self._records.balancer(region, balancer_arn)
        attributes = with_defaults(BALANCER, self._records.attributes.find(region, balancer_arn) or {})
        rules = tuple(
            Rule(rule["RuleArn"], rule["Conditions"], rule["Actions"]) for rule in self._records.rules_of(region, arn)
        )
        own = (balancer["DNSName"].lower(), f"{balancer['LoadBalancerName'].lower()}.elb.localhost")
        domains = tuple(dict.fromkeys((*own, *self._names_of(own[0]))))
        idle_timeout_s = int(attributes["idle_timeout.timeout_seconds"])
        tls, materials = None, self._materials(listener)
        if listener["Protocol"] == "HTTPS":
            if not materials:
                log.error("the listener %s does not answer: its certificate, or its key, is gone from the home", arn)
                return None
            names = tuple(material.name for material in materials)
            tls = Tls(names, listener["SslPolicy"], attributes["routing.http2.enabled"] == "true")
        site = Site(arn, domains, rules, idle_timeout_s, self._marks(region, arn), tls)
        return Placed(listener["Port"], (balancer["CreatedTime"], arn), site, materials)

    def _materials(self, listener: Document) -> tuple[Material, ...]:
        """What its certificates are made of, the default one first."""
        arn = listener["ListenerArn"]
        more = (self._records.certificates.find(region_of(arn), arn) or {}).get("arns", ())
        found = [self._certificates.material(one) for one in served_by(listener, more)]
        return tuple(one for one in found if one is not None)

    def _marks(self, region: str, listener_arn: str) -> tuple[int, ...]:
        tags = self._records.tags.find(region, listener_arn) or {}
        if tags.get(LONG_CONNECTIONS_TAG) != "announce":
            return ()
        said = self._records.goodbyes.find(region, listener_arn) or {"marks": [0] * SHARES}
        return tuple(said["marks"])

    def _group(self, group: Document) -> Group:
        arn = group["TargetGroupArn"]
        attributes = with_defaults(GROUP, self._records.attributes.find(region_of(arn), arn) or {})
        algorithm = attributes["load_balancing.algorithm.type"]
        check = Check(
            path=group["HealthCheckPath"],
            interval_s=group["HealthCheckIntervalSeconds"],
            timeout_s=group["HealthCheckTimeoutSeconds"],
            healthy_threshold=group["HealthyThresholdCount"],
            unhealthy_threshold=group["UnhealthyThresholdCount"],
            matcher=group["Matcher"]["HttpCode"],
        )
        return Group(
            # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html:
            # targets are checked once a listener or rule refers to their group.
            check if self._records.balancers_of(arn) else None,
            "least_outstanding_requests" if algorithm == "least_outstanding_requests" else "round_robin",
            int(attributes["slow_start.duration_seconds"]),
        )

    def _endpoints(self, group: Document) -> tuple[Endpoint, ...]:
        rows = self._records.store.all(
            "SELECT target_id, port FROM elbv2_targets WHERE target_group_arn = ? AND stage = 'listed' ORDER BY id",
            (group["TargetGroupArn"],),
        )
        check_port = group["HealthCheckPort"]
        return tuple(
            dict.fromkeys(
                Endpoint(
                    host_of(row["target_id"]),
                    row["port"],
                    row["port"] if check_port == "traffic-port" else int(check_port),
                )
                for row in rows
            )
        )


def host_of(target_id: str) -> str:
    """Where a target is: an instance is this machine, an address is itself."""
    return THIS_MACHINE if target_id.startswith("i-") else target_id


def region_of(arn: str) -> str:
    return arn.split(":", 4)[3]

"""Elastic Load Balancing (v2): AWS's operations, over rows; the traffic itself is Envoy's.

Topics: elbv2.health/<region>/<target group ARN> is woken when the state of any target of the group changes.
After a crash the rows are all there is: every start tells the proxy the whole picture again.
"""

from __future__ import annotations

from collections.abc import Callable

from turnout.aws import Aws
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.config import Config
from turnout.loadbalancer.balancers import Balancers
from turnout.loadbalancer.goodbyes import Goodbyes
from turnout.loadbalancer.groups import TargetGroups
from turnout.loadbalancer.interruptions import Interruptions
from turnout.loadbalancer.listeners import Listeners
from turnout.loadbalancer.metrics import Metrics
from turnout.loadbalancer.mirror import NamesOf
from turnout.loadbalancer.plans import Deregistration, Registration
from turnout.loadbalancer.proxy import Proxy
from turnout.loadbalancer.rules import Rules
from turnout.loadbalancer.schema import MIGRATIONS
from turnout.loadbalancer.tags import Tags
from turnout.loadbalancer.targets import Targets
from turnout.loadbalancer.traffic import BalancerTraffic
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Store

__all__ = ["MIGRATIONS", "LoadBalancer"]


class LoadBalancer(Balancers, Listeners, Rules, TargetGroups, Targets, Tags):
    """The room."""

    SERVICE = "elbv2"

    def __init__(
        self,
        store: Store,
        runs: Runs,
        aws: Aws,
        clock: Clock,
        config: Config,
        proxy: Proxy,
        is_watched: Callable[[str], bool],
        certificates: Certificates,
        names_of: NamesOf,
    ) -> None:
        """`is_watched`: whether any alarm looks at a metric of a namespace."""
        super().__init__(store, runs, aws, clock, config, proxy, certificates, names_of)
        certificates.listen(self.certificate_changed)
        self.metrics = Metrics(self.records, self.mirror, proxy, aws, clock, is_watched)
        self.interruptions = Interruptions(store, clock)
        balancing = (self.records, self.rises, Goodbyes(self), proxy, clock, self.mirror)
        self.traffic = BalancerTraffic(*balancing, self.interruptions)
        self.plans: list[Plan] = [Registration(self), Deregistration(self)]

    async def start(self) -> None:
        """Tell the proxy everything, and bring it up or find it running."""
        self.proxy.listen(self.take_in)
        self.proxy.on_interruption(self.interruptions.keep)
        self.mirror.tell_all()
        await self.proxy.start()

    async def close(self) -> None:
        """Let go: the traffic goes on."""
        await self.rises.close()
        await self.proxy.close()

    def ports(self) -> dict[str, str]:
        """Listener ARN → the address at which this machine reaches it; only of those that answer."""
        arns = [(region, listener["ListenerArn"]) for region, listener in self.records.listeners.everywhere()]
        found = {arn: self.traffic.address_of(region, arn) for region, arn in arns}
        return {arn: address for arn, address in found.items() if address is not None}

    def silent_ports(self) -> dict[str, str]:
        """Listener ARN → why it does not answer, of those that do not."""
        found = {
            listener["ListenerArn"]: self.proxy.bound(listener["Port"]).error
            for _, listener in self.records.listeners.everywhere()
        }
        return {arn: error for arn, error in found.items() if error is not None}

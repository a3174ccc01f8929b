"""What the parts of the room share."""

from __future__ import annotations

from turnout.aws import Aws
from turnout.certificates import Certificates
from turnout.clock import Clock
from turnout.config import Config
from turnout.errors import AwsError
from turnout.loadbalancer.attributes import BALANCER, GROUP, LISTENER, Table, with_defaults
from turnout.loadbalancer.mirror import Mirror, NamesOf
from turnout.loadbalancer.proxy import Proxy
from turnout.loadbalancer.records import Records, kind_of
from turnout.loadbalancer.rises import Rises
from turnout.runs import Runs
from turnout.store import Store, Transaction

TABLES: dict[str, Table] = {"loadbalancer": BALANCER, "listener": LISTENER, "targetgroup": GROUP}


class Room:
    """The memory, the way to the proxy, and the words that several parts use."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        aws: Aws,
        clock: Clock,
        config: Config,
        proxy: Proxy,
        certificates: Certificates,
        names_of: NamesOf,
    ) -> None:
        """`names_of`: the names that lead to a load balancer's, by its DNS name."""
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.config = config
        self.proxy = proxy
        self.records = Records(store, clock)
        self.certificates = certificates
        self.mirror = Mirror(self.records, proxy, certificates, names_of)
        self.rises = Rises(store, clock, proxy)

    def attributes_of(self, region: str, arn: str) -> dict[str, str]:
        """Every attribute of a load balancer, listener or target group."""
        return with_defaults(TABLES[kind_of(arn)], self.records.attributes.find(region, arn) or {})

    def tell(self, tx: Transaction, *, listeners: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> None:
        """Have the proxy told what these have become, as soon as the transaction is durable."""
        self.mirror.stale_listeners.update(listeners)
        self.mirror.stale_groups.update(groups)
        tx.after_commit(self.mirror.tell)

    def wake(self, tx: Transaction, region: str, group_arn: str) -> None:
        self.runs.wake(tx, health_topic(region, group_arn))

    def check_existing(self, region: str, arn: str) -> None:
        """Raise the error of whatever this ARN should name, if it names nothing."""
        getters = {
            "loadbalancer": self.records.balancer,
            "listener": self.records.listener,
            "listener-rule": self.records.rule,
            "targetgroup": self.records.group,
        }
        getter = getters.get(kind_of(arn))
        if getter is None:
            raise AwsError("ValidationError", f"'{arn}' is not a valid resource ARN")
        getter(region, arn)


def health_topic(region: str, group_arn: str) -> str:
    """Woken when the state of any target of the group changes."""
    return f"elbv2.health/{region}/{group_arn}"

"""What the proxy is told: listeners, rules, target groups and their endpoints.

The room keeps the whole picture and hands it over after each commit; the proxy finds out what changed. Actions and
conditions are AWS's own documents, because they are the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from turnout.names import resource_of

SHARES = 10
"""Into so many shares the connections of a port are parted where they are told goodbye one share after the other."""


@dataclass(frozen=True)
class Check:
    """The health check of a target group, in its own settings."""

    path: str
    interval_s: int
    timeout_s: int
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str
    """HTTP codes: "200", "200,204" or "200-299"."""


@dataclass(frozen=True)
class Group:
    """A target group. `check` is None while no listener or rule refers to it: then nobody checks its targets."""

    check: Check | None
    algorithm: Literal["round_robin", "least_outstanding_requests"] = "round_robin"
    slow_start_s: int = 0


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int
    check_port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Rule:
    """One rule of a listener with AWS's documents; the default rule has no conditions."""

    arn: str
    conditions: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Secret:
    """A certificate and its key, as PEM: the leaf first, then what vouches for it."""

    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Tls:
    """How an HTTPS listener speaks: names of secrets, the default one first, and ELB's security policy."""

    certificates: tuple[str, ...]
    policy: str
    is_http2: bool = True


@dataclass(frozen=True)
class Site:
    """A listener of one load balancer: what is answered to the hosts it claims on its port."""

    listener_arn: str
    domains: tuple[str, ...]
    """Host names, in lower case, without a port; "*" answers every host that nobody claims."""
    rules: tuple[Rule, ...]
    """In the order in which they are tried; the default rule is the last."""
    idle_timeout_s: int = 60
    marks: tuple[int, ...] = ()
    """One for each of SHARES, or none at all: whenever a mark rises, goodbye is said on that share's connections."""
    tls: Tls | None = None
    """None: plain HTTP."""


@dataclass(frozen=True)
class Picture:
    """Everything that the proxy has to know. Groups go by `group_name`, sites by the port of the API."""

    groups: Mapping[str, Group] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    ports: Mapping[int, tuple[Site, ...]] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """The certificates that sites name."""


def group_name(target_group_arn: str) -> str:
    """The name of a target group at the proxy, unique and fit for a file: "web-blue-0123456789abcdef"."""
    return resource_of(target_group_arn).removeprefix("targetgroup/").replace("/", "-")

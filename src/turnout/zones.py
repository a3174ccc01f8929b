"""The records of the hosted zones that Route 53 (moto) keeps: which names lead where.

They are read when somebody asks, and again once Route 53 has changed something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from turnout.aws import Others

REGION = "us-east-1"
"""Route 53 is one for all regions."""
TOPIC = "route53.records"
"""Woken when records have changed."""


@dataclass(frozen=True)
class Record:
    """A record set. Names are in lower case and without the last dot; a wildcard is written "*"."""

    zone: str
    is_private: bool
    name: str
    type: str
    ttl: int
    values: tuple[str, ...]
    alias: str | None = None
    """Where an alias leads to, instead of values."""


class Zones:
    """What the hosted zones say. `is_there`: whether there is anything of moto's at all; else it need not be woken."""

    def __init__(self, others: Others, is_there: Callable[[], bool]) -> None:
        self._others = others
        self._is_there = is_there
        self._records: tuple[Record, ...] | None = None
        self._names: dict[str, tuple[str, ...]] | None = None

    def forget(self) -> None:
        """Route 53 has changed something."""
        self._records = self._names = None

    def records(self) -> tuple[Record, ...]:
        if self._records is None:
            self._records = tuple(self._read()) if self._is_there() else ()
        return self._records

    def has(self, name: str, kind: str, value: str) -> bool:
        """Whether a public zone has a record with exactly this value."""
        wanted = (plain(name), kind, (plain(value),))
        return any(
            (record.name, record.type, tuple(map(plain, record.values))) == wanted and not record.is_private
            for record in self.records()
        )

    def names_leading_to(self, target: str) -> tuple[str, ...]:
        """Every name whose alias or CNAME leads to a name, directly or by way of others."""
        if self._names is None:
            self._names = _reverse(self.records())
        found: dict[str, None] = {}
        front = [plain(target)]
        while front:
            for name in self._names.get(front.pop(), ()):
                if name not in found:
                    found[name] = None
                    front.append(name)
        return tuple(found)

    def _read(self) -> Iterator[Record]:
        for zone in self._all("ListHostedZones", "HostedZones", {}):
            private = bool(zone.get("Config", {}).get("PrivateZone", False))
            wanted = {"HostedZoneId": zone["Id"].rpartition("/")[2]}
            for found in self._all("ListResourceRecordSets", "ResourceRecordSets", wanted):
                yield Record(
                    zone=plain(zone["Name"]),
                    is_private=private,
                    name=plain(found["Name"]),
                    type=found["Type"],
                    ttl=int(found.get("TTL", 60)),
                    values=tuple(value["Value"] for value in found.get("ResourceRecords", ())),
                    alias=_target(found["AliasTarget"]["DNSName"]) if found.get("AliasTarget") else None,
                )

    def _all(self, operation: str, member: str, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every page of a list."""
        more: dict[str, Any] = {}
        while True:
            said = self._others.call("route53", operation, REGION, {**wanted, **more})
            yield from said.get(member, ())
            if not said.get("IsTruncated"):
                return
            if operation == "ListHostedZones":
                more = {"Marker": said["NextMarker"]}
            else:
                more = {"StartRecordName": said["NextRecordName"], "StartRecordType": said["NextRecordType"]}
                if said.get("NextRecordIdentifier"):
                    more["StartRecordIdentifier"] = said["NextRecordIdentifier"]


def plain(name: str) -> str:
    """A name as it is compared: Route 53 writes `\\052` for a wildcard."""
    return name.lower().rstrip(".").replace("\\052", "*")


def _target(name: str) -> str:
    """An alias to a load balancer's name may ask for IPv6 beside IPv4 by a prefix."""
    return plain(name).removeprefix("dualstack.")


def _reverse(records: tuple[Record, ...]) -> dict[str, tuple[str, ...]]:
    """Target → the names that lead to it."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        targets = [record.alias] if record.alias is not None else []
        targets += [_target(value) for value in record.values] if record.type == "CNAME" else []
        for target in targets:
            found.setdefault(target, {})[record.name] = None
    return {target: tuple(names) for target, names in found.items()}

"""Certificates for tests of rooms: signed by an authority of their own, at the time of the world."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.conftest import World
from turnout.authority import Authority, Issued


@cache
def authority() -> Authority:
    return Authority(Path(mkdtemp(prefix="turnout-ca-")))


def signed(world: World, *names: str, algorithm: str = "EC_prime256v1") -> Issued:
    return authority().issue(names, algorithm, world.clock.now())


def imported(world: World, *names: str, **more: Any) -> str:
    """The ARN of an imported certificate for these names."""
    issued = signed(world, *names)
    given = {"Certificate": issued.certificate.encode(), "PrivateKey": issued.key.encode(), **more}
    return str(world.boto("acm").import_certificate(**given)["CertificateArn"])


def validate(world: World, certificate_arn: str, *, action: str = "UPSERT") -> None:
    """Put a certificate's records into a hosted zone of each domain; the zone is made if need be."""
    options = world.boto("acm").describe_certificate(CertificateArn=certificate_arn)["Certificate"]
    records = {one["ResourceRecord"]["Name"]: one["ResourceRecord"] for one in options["DomainValidationOptions"]}
    for record in records.values():
        zone = ".".join(record["Name"].rstrip(".").split(".")[-2:])
        change_record(world, zone, record["Name"], record["Type"], record["Value"], action=action)


def change_record(world: World, zone: str, name: str, kind: str, value: str, *, action: str = "UPSERT") -> None:
    record = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    change_set(world, zone, record, action=action)


def change_set(world: World, zone: str, record: dict[str, Any], *, action: str = "UPSERT") -> None:
    route53 = world.boto("route53")
    zones = {one["Name"].rstrip("."): one["Id"] for one in route53.list_hosted_zones()["HostedZones"]}
    if zone not in zones:
        made = route53.create_hosted_zone(Name=zone, CallerReference=f"{zone} {len(zones)}")
        zones[zone] = made["HostedZone"]["Id"]
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zones[zone], ChangeBatch=batch)

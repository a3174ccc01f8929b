"""HTTPS on a service's own name: a certificate by DNS, an alias, and releases under load that nobody notices."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from tests.stories.bluegreen import BlueGreen
from tests.stories.stage import Stage, until

NAME = "www.example.com"


class Secure(BlueGreen):
    """Its production listener speaks HTTPS alone, with a certificate of ACM's, under a name in a hosted zone."""

    def __init__(self, stage: Stage, version: str = "v1") -> None:
        made = stage.clients("route53").create_hosted_zone(Name="example.com", CallerReference="stories")
        self._zone = made["HostedZone"]["Id"]
        self.acm = stage.clients("acm")
        self.certificate = self._ask()
        super().__init__(stage, version)
        alias = {
            "HostedZoneId": self.balancer["CanonicalHostedZoneId"],
            "DNSName": self.balancer["DNSName"],
            "EvaluateTargetHealth": True,
        }
        self._record(stage, {"Name": NAME, "Type": "A", "AliasTarget": alias})

    def _ask(self) -> str:
        asked = self.acm.request_certificate(DomainName=NAME, ValidationMethod="DNS", KeyAlgorithm="EC_prime256v1")
        return str(asked["CertificateArn"])

    def _record(self, stage: Stage, record: dict[str, Any]) -> None:
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        stage.clients("route53").change_resource_record_sets(HostedZoneId=self._zone, ChangeBatch=batch)

    def certified(self) -> dict[str, Any]:
        return dict(self.acm.describe_certificate(CertificateArn=self.certificate)["Certificate"])

    def _validate(self) -> None:
        record = self.certified()["DomainValidationOptions"][0]["ResourceRecord"]
        value = [{"Value": record["Value"]}]
        wanted = {"Name": record["Name"], "Type": record["Type"], "TTL": 60, "ResourceRecords": value}
        self._record(self.stage, wanted)
        until(lambda: self.certified()["Status"] == "ISSUED", "the certificate is issued")

    def _listen(self, port: int) -> str:
        if port >= 21000:
            return super()._listen(port)
        self._validate()
        made = self.elb.create_listener(
            LoadBalancerArn=self.balancer["LoadBalancerArn"],
            Protocol="HTTPS",
            Port=port,
            SslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
            Certificates=[{"CertificateArn": self.certificate}],
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.a}],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def speaks(self) -> dict[str, Any]:
        authority = self.stage.config.authority / "ca.pem"
        return {"name": NAME, "tls": ssl.create_default_context(cafile=str(authority))}


@pytest.fixture(scope="module")
def service(stage: Stage) -> BlueGreen:
    return Secure(stage).ready()


def test_releases_and_new_certificates_cost_no_request_over_https(service: Secure) -> None:
    serials = {service.certified()["Serial"]}
    with service.load() as load:
        for version in ("v2", "v3"):
            deployment = service.deploy(version)
            service.acm.renew_certificate(CertificateArn=service.certificate)
            serials.add(service.certified()["Serial"])
            service.wait(deployment)
            service.until_all_is(load, version)
            receipt = service.receipt(deployment)
            assert sum(flow["failed"] for flow in receipt["traffic"].values()) == 0
    assert len(serials) == 3
    assert load.tally().requests > 100

"""HTTPS listeners as clients of the API see them, and what the proxy is told of them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import World
from tests.rooms.certifying import imported
from tests.rooms.test_loadbalancer import Stack, code


@pytest.fixture
def stack(world: World) -> Stack:
    return Stack(world)


def secure(stack: Stack, *certificates: str, port: int = 443, **settings: Any) -> dict[str, Any]:
    made = stack.elb.create_listener(
        LoadBalancerArn=stack.balancer_arn,
        Protocol="HTTPS",
        Port=port,
        Certificates=[{"CertificateArn": one} for one in certificates],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": stack.blue}],
        **settings,
    )
    return dict(made["Listeners"][0])


def arns(stack: Stack, listener: dict[str, Any]) -> list[tuple[str, bool]]:
    said = stack.elb.describe_listener_certificates(ListenerArn=listener["ListenerArn"])["Certificates"]
    return [(one["CertificateArn"], one["IsDefault"]) for one in said]


def test_a_listener_serves_its_certificate_by_its_policy(stack: Stack) -> None:
    certificate = imported(stack.world, "www.example.com")
    listener = secure(stack, certificate)
    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    assert listener["Certificates"] == [{"CertificateArn": certificate}]
    assert listener["SslPolicy"] == "ELBSecurityPolicy-2016-08"
    assert listener["MutualAuthentication"] == {"Mode": "off"}
    (site,) = stack.world.proxy.picture.ports[443]
    assert site.tls is not None
    (name,) = site.tls.certificates
    assert stack.world.proxy.picture.secrets[name].chain.startswith("-----BEGIN CERTIFICATE")
    assert "PRIVATE KEY" not in repr(stack.world.proxy.picture)
    assert stack.world.engine.loadbalancer.ports()[listener["ListenerArn"]] == "https://127.0.0.1:18443"
    assert secure(stack, certificate)["ListenerArn"] == listener["ListenerArn"]


def test_certificates_are_added_and_removed_but_for_the_default(stack: Stack) -> None:
    first, second = imported(stack.world, "www.example.com"), imported(stack.world, "*.example.org")
    listener = secure(stack, first)
    more = [{"CertificateArn": second}, {"CertificateArn": first}]
    added = stack.elb.add_listener_certificates(ListenerArn=listener["ListenerArn"], Certificates=more)
    assert [one["IsDefault"] for one in added["Certificates"]] == [False, True]
    assert arns(stack, listener) == [(first, True), (second, False)]
    (site,) = stack.world.proxy.picture.ports[443]
    assert site.domains[2:] == ("www.example.com", "*.example.org", "*")
    with pytest.raises(ClientError) as error:
        stack.elb.remove_listener_certificates(ListenerArn=listener["ListenerArn"], Certificates=more[1:])
    assert code(error) == "OperationNotPermitted"
    stack.elb.modify_listener(ListenerArn=listener["ListenerArn"], Certificates=more[:1])
    stack.elb.remove_listener_certificates(ListenerArn=listener["ListenerArn"], Certificates=more[1:])
    assert arns(stack, listener) == [(second, True)]
    assert len(stack.world.proxy.picture.secrets) == 1


def test_a_listener_that_becomes_plain_lets_go_of_its_certificates(stack: Stack) -> None:
    listener = secure(stack, imported(stack.world, "www.example.com"))
    with pytest.raises(ClientError, match="Certificates and a security policy are for HTTPS"):
        stack.elb.modify_listener(
            ListenerArn=stack.listener, Certificates=listener["Certificates"], SslPolicy=listener["SslPolicy"]
        )
    plain = stack.elb.modify_listener(ListenerArn=listener["ListenerArn"], Protocol="HTTP")["Listeners"][0]
    assert "Certificates" not in plain
    assert "SslPolicy" not in plain
    assert arns(stack, listener) == []
    assert stack.world.proxy.picture.secrets == {}


def test_what_aws_refuses_of_certificates_is_refused(stack: Stack) -> None:
    good = imported(stack.world, "www.example.com")
    acm = stack.world.boto("acm")
    pending = acm.request_certificate(DomainName="a.example.com", ValidationMethod="DNS")["CertificateArn"]
    for certificates, settings, expected in (
        ((), {}, "ValidationError"),
        ((good, good), {}, "ValidationError"),
        ((good[:-4] + "0000",), {}, "CertificateNotFound"),
        ((pending,), {}, "UnsupportedCertificate"),
        ((good,), {"SslPolicy": "ELBSecurityPolicy-none"}, "SSLPolicyNotFound"),
        ((good,), {"AlpnPolicy": ["HTTP2Only"]}, "InvalidConfigurationRequest"),
        ((good,), {"MutualAuthentication": {"Mode": "passthrough"}}, "InvalidConfigurationRequest"),
    ):
        with pytest.raises(ClientError) as error:
            secure(stack, *certificates, **settings)
        assert code(error) == expected
    with pytest.raises(ClientError, match="not one of HTTPS"):
        stack.elb.add_listener_certificates(ListenerArn=stack.listener, Certificates=[{"CertificateArn": good}])


def test_security_policies_are_those_that_elb_documents(stack: Stack) -> None:
    policies = stack.elb.describe_ssl_policies()["SslPolicies"]
    assert len(policies) == 23
    (one,) = stack.elb.describe_ssl_policies(Names=["ELBSecurityPolicy-TLS13-1-2-Res-2021-06"])["SslPolicies"]
    assert one["SslProtocols"] == ["TLSv1.3", "TLSv1.2"]
    assert [cipher["Priority"] for cipher in one["Ciphers"]] == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(ClientError, match="FIPS module") as error:
        stack.elb.describe_ssl_policies(Names=["ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04"])
    assert code(error) == "SSLPolicyNotFound"


def test_security_policies_agree_with_motos_copy_of_the_documentation() -> None:
    from moto.elbv2.ssl_policies import SSL_POLICIES as THEIRS

    from turnout.loadbalancer.ssl_policies import SSL_POLICIES

    shared = THEIRS.keys() & SSL_POLICIES.keys()
    assert len(shared) == 18
    for name in shared - {"ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09"}:  # moto gives it Ext2's
        assert list(SSL_POLICIES[name].ciphers) == THEIRS[name]["ciphers"], name
        assert list(SSL_POLICIES[name].protocols) == THEIRS[name]["ssl_protocols"], name

"""ACM as clients see it: certificates that are asked for, validated, imported, listed, renewed and deleted."""

from __future__ import annotations

import stat
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.conftest import World
from tests.rooms.certifying import imported, signed, validate
from tests.rooms.test_loadbalancer import Stack, code
from tests.rooms.test_loadbalancer_tls import secure

DAY = 86400.0


@pytest.fixture
def acm(world: World) -> Any:
    return world.boto("acm")


def requested(world: World, *names: str, **more: Any) -> str:
    wanted = {"ValidationMethod": "DNS", "KeyAlgorithm": "EC_prime256v1", **more}
    if names[1:]:
        wanted["SubjectAlternativeNames"] = list(names[1:])
    return str(world.boto("acm").request_certificate(DomainName=names[0], **wanted)["CertificateArn"])


def issued(world: World, *names: str, **more: Any) -> str:
    arn = requested(world, *names, **more)
    validate(world, arn)
    world.tick()
    return arn


def described(world: World, arn: str) -> dict[str, Any]:
    return dict(world.boto("acm").describe_certificate(CertificateArn=arn)["Certificate"])


def test_a_certificate_waits_for_its_records_and_is_then_signed_by_the_local_authority(world: World, acm: Any) -> None:
    arn = requested(world, "example.com", "*.example.com", "www.example.org")
    world.tick(DAY)
    pending = described(world, arn)
    assert pending["Status"] == "PENDING_VALIDATION"
    records = [one["ResourceRecord"]["Name"] for one in pending["DomainValidationOptions"]]
    assert records[0] == records[1], "a wildcard needs no record of its own"
    assert [one["ValidationStatus"] for one in pending["DomainValidationOptions"]] == ["PENDING_VALIDATION"] * 3
    with pytest.raises(ClientError) as error:
        acm.get_certificate(CertificateArn=arn)
    assert code(error) == "RequestInProgressException"
    validate(world, arn)
    world.tick()
    now = described(world, arn)
    assert now["Status"] == "ISSUED"
    assert [one["ValidationStatus"] for one in now["DomainValidationOptions"]] == ["SUCCESS"] * 3
    assert now["Issuer"] == "turnout local CA"
    assert now["KeyAlgorithm"] == "EC_prime256v1"
    assert (now["NotAfter"] - now["NotBefore"]).days == 395
    said = acm.get_certificate(CertificateArn=arn)
    leaf, root = (x509.load_pem_x509_certificate(said[one].encode()) for one in ("Certificate", "CertificateChain"))
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com", "*.example.com", "www.example.org"]
    (key,) = (world.home / "acm").iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((world.home / "ca" / "ca.key").stat().st_mode) == 0o600


def test_one_record_of_two_is_not_enough_and_three_days_are_the_end(world: World, acm: Any) -> None:
    arn = requested(world, "example.com", "example.org")
    validate(world, requested(world, "example.com"))
    world.tick()
    assert [one["ValidationStatus"] for one in described(world, arn)["DomainValidationOptions"]] == [
        "SUCCESS",
        "PENDING_VALIDATION",
    ]
    world.tick(3 * DAY)
    assert described(world, arn)["Status"] == "VALIDATION_TIMED_OUT"
    acm.delete_certificate(CertificateArn=arn)
    with pytest.raises(ClientError) as error:
        acm.describe_certificate(CertificateArn=arn)
    assert code(error) == "ResourceNotFoundException"


def test_the_next_request_for_a_domain_needs_no_new_record(world: World) -> None:
    first = issued(world, "example.com")
    again = requested(world, "example.com")
    assert again != first
    world.tick()
    assert described(world, again)["Status"] == "ISSUED"


def test_the_same_request_with_its_token_is_the_same_certificate(world: World) -> None:
    first = requested(world, "example.com", IdempotencyToken="once")
    assert requested(world, "example.com", IdempotencyToken="once") == first
    assert requested(world, "example.org", IdempotencyToken="once") != first
    world.clock.advance(3601)
    assert requested(world, "example.com", IdempotencyToken="once") != first


def test_what_turnout_cannot_issue_is_refused(world: World, acm: Any) -> None:
    for more, message in (
        ({"ValidationMethod": "EMAIL"}, "ValidationMethod DNS"),
        ({"ValidationMethod": "HTTP"}, "ValidationMethod DNS"),
        ({"KeyAlgorithm": "RSA_4096"}, "RSA_2048"),
        ({"CertificateAuthorityArn": "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/1"}, "Private CA"),
    ):
        with pytest.raises(ClientError, match=message):
            requested(world, "example.com", **more)
    assert acm.list_certificates()["CertificateSummaryList"] == []


def test_an_imported_certificate_is_checked_and_can_be_replaced(world: World, acm: Any) -> None:
    one, other = signed(world, "www.example.com"), signed(world, "www.example.com")
    good = {"Certificate": one.certificate.encode(), "PrivateKey": one.key.encode()}
    for wrong, message in (
        ({"PrivateKey": other.key.encode()}, "does not match"),
        ({"PrivateKey": b"no key"}, "private key provided is not in a valid PEM"),
        ({"Certificate": b"no certificate"}, "certificate provided is not in a valid PEM"),
        ({"Certificate": (one.certificate + other.certificate).encode()}, "more than one certificate"),
        ({"CertificateChain": other.certificate.encode()}, "with the certificate chain"),
    ):
        with pytest.raises(ClientError, match=message) as error:
            acm.import_certificate(**{**good, **wrong})
        assert code(error) == "ValidationException"
    arn = acm.import_certificate(**good, Tags=[{"Key": "team", "Value": "web"}])["CertificateArn"]
    first = described(world, arn)
    assert (first["Type"], first["Status"], first["InUseBy"]) == ("IMPORTED", "ISSUED", [])
    again = {"Certificate": other.certificate.encode(), "PrivateKey": other.key.encode(), "CertificateArn": arn}
    assert acm.import_certificate(**again)["CertificateArn"] == arn
    assert described(world, arn)["Serial"] != first["Serial"]
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "team", "Value": "web"}]
    assert len(list((world.home / "acm").iterdir())) == 1, "the former key is gone"
    world.clock.advance(400 * DAY)
    assert described(world, arn)["Status"] == "EXPIRED"
    with pytest.raises(ClientError, match="valid at the time of import"):
        acm.import_certificate(**good)


def test_only_a_certificate_that_was_asked_for_so_can_be_exported(world: World, acm: Any) -> None:
    with pytest.raises(ClientError, match="is not a private certificate"):
        acm.export_certificate(CertificateArn=issued(world, "example.com"), Passphrase=b"secret")
    arn = issued(world, "example.org", Options={"Export": "ENABLED"})
    said = acm.export_certificate(CertificateArn=arn, Passphrase=b"secret")
    key = serialization.load_pem_private_key(said["PrivateKey"].encode(), b"secret")
    leaf = x509.load_pem_x509_certificate(said["Certificate"].encode())
    assert key.public_key() == leaf.public_key()


def test_certificates_are_listed_by_status_kind_of_key_and_page(world: World, acm: Any) -> None:
    rsa = requested(world, "a.example.com", KeyAlgorithm="RSA_2048")
    world.clock.advance(1)
    curve = issued(world, "b.example.com")
    every = {"Includes": {"keyTypes": ["RSA_2048", "EC_prime256v1"]}}

    def arns(**filters: Any) -> list[str]:
        return [one["CertificateArn"] for one in acm.list_certificates(**filters)["CertificateSummaryList"]]

    assert arns() == [rsa], "AWS lists RSA alone unless it is asked for others"
    assert arns(**every) == [rsa, curve]
    assert arns(**every, SortBy="CREATED_AT", SortOrder="DESCENDING") == [curve, rsa]
    assert arns(**every, CertificateStatuses=["ISSUED"]) == [curve]
    page = acm.list_certificates(**every, MaxItems=1)
    assert page["CertificateSummaryList"][0]["DomainName"] == "a.example.com"
    assert arns(**every, MaxItems=1, NextToken=page["NextToken"]) == [curve]


def test_a_certificate_in_use_cannot_be_deleted(world: World, acm: Any) -> None:
    arn, stack = issued(world, "example.com"), Stack(world)
    listener = secure(stack, imported(world, "www.example.com"))["ListenerArn"]
    stack.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": arn}])
    assert described(world, arn)["InUseBy"] == [stack.balancer_arn]
    assert described(world, arn)["RenewalEligibility"] == "ELIGIBLE"
    with pytest.raises(ClientError) as error:
        acm.delete_certificate(CertificateArn=arn)
    assert code(error) == "ResourceInUseException"
    stack.elb.delete_load_balancer(LoadBalancerArn=stack.balancer_arn)
    acm.delete_certificate(CertificateArn=arn)
    assert len(list((world.home / "acm").iterdir())) == 1


def test_a_certificate_in_use_is_renewed_sixty_days_before_its_end(world: World) -> None:
    arn, stack = issued(world, "example.com"), Stack(world)
    world.tick(336 * DAY)
    first = described(world, arn)
    assert "RenewalSummary" not in first, "nobody uses it"
    secure(stack, arn)
    (secret,) = world.proxy.picture.secrets.values()
    validate(world, arn, action="DELETE")
    world.tick(2 * 3600.0)
    assert described(world, arn)["RenewalSummary"]["RenewalStatus"] == "PENDING_VALIDATION"
    validate(world, arn)
    world.tick(2.0)
    now = described(world, arn)
    assert now["RenewalSummary"]["RenewalStatus"] == "SUCCESS"
    assert now["NotAfter"] > first["NotAfter"]
    assert now["Serial"] != first["Serial"]
    assert list(world.proxy.picture.secrets.values()) != [secret], "the proxy has been told"
    world.tick(336 * DAY)
    assert described(world, arn)["NotAfter"] > now["NotAfter"], "and so on"


def test_a_renewal_can_be_asked_for(world: World, acm: Any) -> None:
    arn = issued(world, "example.com")
    first = described(world, arn)["Serial"]
    acm.renew_certificate(CertificateArn=arn)
    assert described(world, arn)["Serial"] != first


def test_tags_come_and_go(world: World, acm: Any) -> None:
    arn = requested(world, "example.com", Tags=[{"Key": "a", "Value": "1"}])
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "c"}])
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "a"}, {"Key": "b", "Value": "other"}])
    tags = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == tags
    assert acm.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags
    with pytest.raises(ClientError) as error:
        acm.list_tags_for_certificate(CertificateArn="arn:aws:acm:us-east-1:000000000000:other/x")
    assert code(error) == "InvalidArnException"


def test_certificates_survive_a_restart_and_keys_of_nobody_do_not(world: World) -> None:
    arn, pending = issued(world, "example.com"), requested(world, "example.org")
    before = described(world, arn)
    (world.home / "acm" / "left-by-a-kill.pem").write_text("key")
    world.reboot()
    assert described(world, arn) == before
    assert [path.name for path in (world.home / "acm").iterdir()] != []
    assert not (world.home / "acm" / "left-by-a-kill.pem").exists()
    validate(world, pending)
    world.tick()
    assert described(world, pending)["Status"] == "ISSUED"

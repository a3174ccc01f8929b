"""Requests and answers on the wire, from botocore's models."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from xml.etree import ElementTree

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from turnout.errors import AwsError
from turnout.gateway.guard import refusal
from turnout.gateway.models import OwnedModels, find_operation
from turnout.gateway.protocol import CBOR, Wire, parse, serialize, serialize_error
from turnout.gateway.signatures import LONGEST_S, check_region, credential_of, verify
from turnout.gateway.validation import validate


def operation(service: str, name: str):  # type: ignore[no-untyped-def]
    found = find_operation(service, name)
    assert found is not None
    return found


def wire(body: bytes = b"", **headers: str) -> Wire:
    return Wire("POST", "/", "", {k.replace("_", "-"): v for k, v in headers.items()}, body)


def test_json_ignores_unknown_members_and_takes_null_for_absent() -> None:
    body = json.dumps({"applicationName": "a", "tags": None, "surprise": 1}).encode()
    assert parse(operation("codedeploy", "CreateApplication"), "json", wire(body)) == {"applicationName": "a"}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b"null", b"x", b'{"a":' * 5000, b'{"a": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_refused_instead_of_read_as_an_empty_one(body: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        parse(operation("codedeploy", "ListDeployments"), "json", wire(body))
    assert refused.value.code == "SerializationException"


def test_a_character_that_json_writes_in_two_halves_is_read() -> None:
    body = json.dumps({"applicationName": "\N{ROCKET}"}).encode()
    assert b"ud83d" in body
    assert parse(operation("codedeploy", "CreateApplication"), "json", wire(body)) == {"applicationName": "\N{ROCKET}"}


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(AwsError) as refused:
        parse(operation("codedeploy", "ListDeployments"), "json", wire(b'{"createTimeRange": {"start": 1e30}}'))
    assert refused.value.code == "SerializationException"


def test_times_come_in_and_go_out_as_unix_seconds() -> None:
    body = json.dumps({"createTimeRange": {"start": 1700000000.5}}).encode()
    parsed = parse(operation("codedeploy", "ListDeployments"), "json", wire(body))
    assert parsed["createTimeRange"]["start"] == 1700000000.5
    answer = {"application": {"applicationName": "a", "createTime": 1700000000.25}}
    reply = serialize(operation("codedeploy", "GetApplication"), "json", answer, "r")
    assert json.loads(reply.body)["application"]["createTime"] == 1700000000.25
    assert reply.headers["content-type"] == "application/x-amz-json-1.1"


def test_cbor_carries_times_as_tag_one() -> None:
    described = operation("codedeploy", "GetApplication")
    answer = {"application": {"applicationName": "a", "createTime": 1700000000.25}}
    reply = serialize(described, CBOR, answer, "r")
    assert cbor2.loads(reply.body)["application"]["createTime"].timestamp() == 1700000000.25
    assert parse(described, CBOR, wire(cbor2.dumps({"applicationName": "a"}))) == {"applicationName": "a"}


def test_query_reads_members_and_writes_xml() -> None:
    body = b"Action=DescribeTags&Version=2015-12-01&ResourceArns.member.1=x&ResourceArns.member.2=y"
    described = operation("elbv2", "DescribeTags")
    assert parse(described, "query", wire(body)) == {"ResourceArns": ["x", "y"]}
    reply = serialize(described, "query", {"TagDescriptions": [{"ResourceArn": "x", "Tags": []}]}, "r")
    assert b"<DescribeTagsResult>" in reply.body
    assert b"<RequestId>r</RequestId>" in reply.body


@pytest.mark.parametrize("protocol", ["json", CBOR])
def test_an_error_names_itself_in_the_body_and_in_the_header(protocol: str) -> None:
    error = AwsError("ApplicationDoesNotExistException", "No application found for name: x")
    reply = serialize_error(operation("codedeploy", "GetApplication"), protocol, error, "r")
    body = json.loads(reply.body) if protocol == "json" else cbor2.loads(reply.body)
    assert body == {"__type": "ApplicationDoesNotExistException", "message": "No application found for name: x"}
    assert reply.headers["x-amzn-errortype"] == "ApplicationDoesNotExistException"
    assert reply.status == 400


def test_elb_drops_exception_from_its_error_codes() -> None:
    reply = serialize_error(operation("elbv2", "DescribeRules"), "query", AwsError("RuleNotFoundException", "<x>"), "r")
    assert b"<Code>RuleNotFound</Code>" in reply.body
    assert b"&lt;x&gt;" in reply.body


@pytest.mark.parametrize(
    ("service", "name", "params", "code"),
    [
        ("codepipeline", "GetPipeline", {}, "ValidationException"),
        ("codepipeline", "GetPipeline", {"name": "a b"}, "ValidationException"),
        ("codedeploy", "GetApplication", {}, "ApplicationNameRequiredException"),
        ("codecommit", "GetRepository", {"repositoryName": "a b"}, "InvalidRepositoryNameException"),
        ("ecs", "DescribeServices", {}, "InvalidParameterException"),
        ("elbv2", "CreateTargetGroup", {"Name": "x", "Protocol": "FTP"}, "ValidationError"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_in_the_services_own_words(
    service: str, name: str, params: dict[str, object], code: str
) -> None:
    with pytest.raises(AwsError) as refused:
        validate(operation(service, name), params)
    assert refused.value.code == code
    assert "failed to satisfy constraint" in refused.value.message


def test_owned_services_are_told_apart_by_prefix_and_version() -> None:
    models = OwnedModels(["codedeploy", "elbv2"])
    assert models.by_target_prefix == {"CodeDeploy_20141006": "codedeploy"}
    assert models.by_query_version == {("elasticloadbalancing", "2015-12-01"): "elbv2"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4566", "localhost:4566", "[::1]:1", "b.s3.localhost:4566", "ecs.eu-west-1.amazonaws.com"]
)
def test_names_of_this_machine_and_of_aws_may_pass(host: str) -> None:
    assert refusal({"host": host}, ()) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost", "origin": "https://evil.example"},
        {"host": "localhost", "origin": "null"},
        {"host": "localhost", "origin": "https://a-bucket-of-anybody.s3.amazonaws.com"},
        {"host": "localhost", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_web_page_of_another_origin_cannot_reach_the_gateway(headers: dict[str, str]) -> None:
    assert refusal(headers, ())


def test_a_refused_host_is_told_how_to_be_allowed() -> None:
    assert "--allow-host evil.example" in (refusal({"host": "evil.example"}, ()) or "")
    assert refusal({"host": "build.lan:4566"}, ("build.lan",)) is None


def signed(
    secret: str, service: str = "codedeploy", *, query: str = "x=1", headers: Mapping[str, str] | None = None
) -> Wire:
    path, body = "/a" if service == "s3" else "/a%20b", b"{}"
    url = f"http://127.0.0.1:4566{path}?{query}"
    request = AWSRequest("POST", url, data=body, headers={"X-Amz-Target": "a.b", **(headers or {})})
    SigV4Auth(Credentials("KEY", secret), service, "eu-west-1").add_auth(request)
    sent = {name.lower(): value for name, value in request.headers.items()}
    return Wire("POST", path, query, {"host": "127.0.0.1:4566", **sent}, body)


def test_a_right_signature_passes_and_names_its_scope() -> None:
    verify(signed("secret"), {"KEY": "secret"}, time.time())
    credential = credential_of(signed("secret"))
    assert credential
    assert (credential.key_id, credential.region, credential.service) == ("KEY", "eu-west-1", "codedeploy")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (signed("wrong"), "InvalidSignatureException"),
        (Wire("POST", "/", "", {"host": "localhost"}, b""), "MissingAuthenticationTokenException"),
    ],
)
def test_a_wrong_or_missing_signature_is_refused(request_: Wire, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        verify(request_, {"KEY": "secret"}, time.time())
    assert refused.value.code == code


@pytest.mark.parametrize("service", ["codedeploy", "s3"])
def test_a_signature_does_not_pass_with_another_body(service: str) -> None:
    """SDKs send the hash of the body in a header: signing that header is not the same as the body."""
    said = {"X-Amz-Content-SHA256": sha256(b"{}").hexdigest()}
    request_ = signed("secret", service, headers=said)
    verify(request_, {"KEY": "secret"}, time.time())
    with pytest.raises(AwsError, match="x-amz-content-sha256"):
        verify(replace(request_, body=b'{"force": true}'), {"KEY": "secret"}, time.time())


def test_only_s3_takes_a_body_that_was_not_signed() -> None:
    said = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    verify(signed("secret", "s3", headers=said), {"KEY": "secret"}, time.time())
    with pytest.raises(AwsError, match="x-amz-content-sha256"):
        verify(signed("secret", "ecs", headers=said), {"KEY": "secret"}, time.time())


@pytest.mark.parametrize("later_s", [-LONGEST_S - 5, LONGEST_S + 5])
def test_a_signature_cannot_be_sent_again_later(later_s: float) -> None:
    with pytest.raises(AwsError, match="Signature expired"):
        verify(signed("secret"), {"KEY": "secret"}, time.time() + later_s)


def test_a_query_that_repeats_a_name_is_signed_with_every_value() -> None:
    verify(signed("secret", query="tag=b&tag=a"), {"KEY": "secret"}, time.time())


def test_a_form_that_is_not_text_is_the_callers_mistake() -> None:
    with pytest.raises(AwsError) as refused:
        parse(operation("elbv2", "DescribeTags"), "query", wire(b"Action=DescribeTags&x=\xff"))
    assert refused.value.code == "SerializationException"


def test_a_host_that_is_none_is_refused() -> None:
    assert refusal({"host": "["}, ())
    assert refusal({"host": "localhost", "origin": "http://["}, ())


def test_an_image_in_a_page_cannot_ask_for_an_operation() -> None:
    """Browsers say where a request comes from only to names that they trust, and send no Origin with an image."""
    page = {"host": "localhost.localstack.cloud:4566", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    query = "Action=DeleteLoadBalancer&Version=2015-12-01&LoadBalancerArn=x"
    assert "localhost" in (refusal(page, (), query) or "")
    assert refusal(page, (), "list-type=2") is None
    assert refusal({**page, "sec-fetch-site": "same-origin"}, (), query) is None
    assert refusal({**page, "user-agent": "aws-cli/2.17.0"}, (), query) is None


@pytest.mark.parametrize("region", ["..", "us east", "x'y", "a:b", "-"])
def test_a_region_that_no_folder_may_be_named_by_is_refused(region: str) -> None:
    text = f"AWS4-HMAC-SHA256 Credential=KEY/20260101/{region}/codecommit/aws4_request"
    credential = credential_of(wire(authorization=text))
    assert credential
    with pytest.raises(AwsError) as refused:
        check_region(credential)
    assert refused.value.code == "InvalidSignatureException"


def test_xml_escapes_values_and_leaves_out_what_is_not_there() -> None:
    answer = {"TagDescriptions": [{"ResourceArn": None, "Tags": [{"Key": "<&>", "Value": "ü"}]}], "Surprise": 1}
    body = serialize(operation("elbv2", "DescribeTags"), "query", answer, "r").body.decode()
    assert "<Tags><member><Key>&lt;&amp;&gt;</Key><Value>ü</Value></member></Tags>" in body
    assert "ResourceArn" not in body
    assert "Surprise" not in body


@pytest.mark.parametrize("number", [b"Infinity", b"-Infinity", b"NaN", b"1e400"])
def test_a_number_that_no_sdk_can_write_is_refused_instead_of_taken_for_a_bug(number: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        listing = operation("ecs", "ListServices")
        validate(listing, parse(listing, "json", wire(b'{"maxResults": %s}' % number)))
    assert refused.value.code == "SerializationException"


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**70])
def test_an_integer_that_does_not_fit_its_type_is_a_fault_of_the_caller(number: int) -> None:
    with pytest.raises(AwsError, match="an integer of 32 bits"):
        validate(operation("ecs", "UpdateService"), {"service": "web", "desiredCount": number})


def test_xml_never_holds_a_character_that_no_parser_reads() -> None:
    described = operation("elbv2", "DescribeTags")
    error = serialize_error(described, "query", AwsError("TargetGroupNotFound", "'\x01\x00\ufffe' not found"), "r")
    tags = {"TagDescriptions": [{"ResourceArn": "x", "Tags": [{"Key": "a\x02", "Value": "b\tc\N{ROCKET}"}]}]}
    answer = serialize(described, "query", tags, "r")
    assert "'\ufffd\ufffd\ufffd' not found" in "".join(ElementTree.fromstring(error.body).itertext())
    assert "a\ufffdb\tc\N{ROCKET}" in "".join(ElementTree.fromstring(answer.body).itertext())


@pytest.mark.parametrize(
    ("service", "name", "body", "why"),
    [
        ("ecs", "UpdateService", {"service": "web", "desiredCount": 1.5}, "1.5 at 'desiredCount'.* an integer"),
        ("ecs", "UpdateService", {"service": "web", "desiredCount": True}, "true at 'desiredCount'.* an integer"),
        ("ecs", "UpdateService", {"service": "web", "desiredCount": "2"}, "\"2\" at 'desiredCount'.* an integer"),
        ("ecs", "UpdateService", {"service": 7}, "7 at 'service'.* a string"),
        ("ecs", "UpdateService", {"service": "web", "forceNewDeployment": "true"}, "true or false"),
        ("ecs", "DescribeServices", {"services": "web"}, "\"web\" at 'services'.* a list"),
        ("ecs", "CreateService", {"deploymentConfiguration": []}, r"\[\] at 'deploymentConfiguration'.* a structure"),
        ("codedeploy", "TagResource", {"ResourceArn": "a", "Tags": [{"Key": 1}]}, "1 at 'Tags.1.member.Key'"),
        ("application-autoscaling", "PutScalingPolicy", {"StepScalingPolicyConfiguration": {"Cooldown": "x"}}, "Cool"),
    ],
)
@pytest.mark.parametrize("protocol", ["json", CBOR])
def test_a_value_of_another_type_cannot_be_read_whatever_else_is_wrong(
    protocol: str, service: str, name: str, body: dict[str, object], why: str
) -> None:
    """And is not taken for what Python can make of it: AWS says so of "1" for a number, in every service."""
    written = json.dumps(body).encode() if protocol == "json" else cbor2.dumps(body)
    with pytest.raises(AwsError, match=why) as refused:
        validate(operation(service, name), parse(operation(service, name), protocol, wire(written)))
    assert refused.value.code == "SerializationException"


def test_whole_numbers_are_integers_however_json_writes_them() -> None:
    body = b'{"service": "web", "desiredCount": 2.0}'
    assert parse(operation("ecs", "UpdateService"), "json", wire(body)) == {"service": "web", "desiredCount": 2}

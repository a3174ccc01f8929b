"""The services that moto keeps, through boto3 and raw requests."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.fakes.boto import client
from turnout.clock import Clock
from turnout.errors import AwsError
from turnout.gateway.others import Others


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests look at what AWS ships, policies and images, which others do without."""
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "true")


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Others]:
    others = Others(tmp_path / "moto", Clock())
    others.start()
    yield others
    others.close()


@pytest.mark.parametrize(
    ("endpoint", "style"),
    [
        ("http://127.0.0.1:4566", "path"),
        ("http://localhost:4566", "virtual"),
        ("http://s3.localhost:4566", "virtual"),
        ("http://s3.localhost.localstack.cloud:4566", "virtual"),
        ("https://s3.eu-central-1.amazonaws.com", "virtual"),
    ],
)
def test_an_object_is_found_in_either_style_of_address(others: Others, endpoint: str, style: str) -> None:
    s3 = client(others, "s3", "eu-central-1", endpoint=endpoint, style=style)
    s3.create_bucket(Bucket="a-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="a-bucket", Key="a/ä b+c%2F.txt", Body=b"hello", Metadata={"my_key": "1"})

    found = s3.get_object(Bucket="a-bucket", Key="a/ä b+c%2F.txt")
    assert found["Body"].read() == b"hello"
    assert found["Metadata"] == {"my_key": "1"}
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="a-bucket")["Contents"]] == ["a/ä b+c%2F.txt"]


def test_a_stream_with_its_checksum_behind_arrives_whole(others: Others) -> None:
    """boto3 sends an unseekable or unsigned body aws-chunked, with x-amz-checksum-crc32 as a trailer."""
    s3 = client(others, "s3", endpoint="https://s3.us-east-1.amazonaws.com")
    s3.create_bucket(Bucket="bbb")
    data = bytes(range(256)) * 12_000
    s3.put_object(Bucket="bbb", Key="big", Body=io.BytesIO(data), ContentEncoding="gzip")

    found = s3.get_object(Bucket="bbb", Key="big")
    assert found["Body"].read() == data
    assert found["ContentEncoding"] == "gzip"
    assert found["ContentLength"] == len(data)


def test_a_large_object_goes_up_in_parts(others: Others) -> None:
    s3 = client(others, "s3")
    s3.create_bucket(Bucket="bbb")
    upload = s3.create_multipart_upload(Bucket="bbb", Key="k")["UploadId"]
    sizes = (5 << 20, 17)
    parts = [
        {
            "PartNumber": n,
            "ETag": s3.upload_part(Bucket="bbb", Key="k", UploadId=upload, PartNumber=n, Body=b"%d" % n * size)["ETag"],
        }
        for n, size in enumerate(sizes, start=1)
    ]
    s3.complete_multipart_upload(Bucket="bbb", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket="bbb", Key="k")["ContentLength"] == sum(sizes)


def test_a_policy_that_is_said_of_some_requests_only_refuses_none(others: Others) -> None:
    """Who asks, by what way, with what encryption: nobody here judges conditions, as nobody enforces roles."""
    s3 = client(others, "s3", endpoint="https://s3.us-east-1.amazonaws.com")
    s3.create_bucket(Bucket="bbb")
    s3.put_object(Bucket="bbb", Key="a", Body=b"hello")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bbb/*"}
    by_tls = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket="bbb", Policy=json.dumps({"Version": "2012-10-17", "Statement": [by_tls]}))
    assert s3.get_object(Bucket="bbb", Key="a")["Body"].read() == b"hello"
    assert json.loads(s3.get_bucket_policy(Bucket="bbb")["Policy"])["Statement"] == [by_tls]

    s3.put_bucket_policy(Bucket="bbb", Policy=json.dumps({"Version": "2012-10-17", "Statement": [by_tls, deny]}))
    with pytest.raises(ClientError, match="403"):
        s3.get_object(Bucket="bbb", Key="a")


def test_a_network_interface_goes_with_its_instance_or_its_nat_gateway(others: Others) -> None:
    ec2 = client(others, "ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]

    def interfaces() -> list[str]:
        return [each["NetworkInterfaceId"] for each in ec2.describe_network_interfaces()["NetworkInterfaces"]]

    image = ec2.describe_images()["Images"][0]["ImageId"]
    kept = {"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": False}
    launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1}
    instances = [
        ec2.run_instances(**launch, **more)["Instances"][0]
        for more in ({"SubnetId": subnet}, {"NetworkInterfaces": [kept]})
    ]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert len(interfaces()) == 3
    for _ in range(2):  # what is terminated may be terminated again
        ec2.terminate_instances(InstanceIds=[each["InstanceId"] for each in instances])
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert interfaces() == [instances[1]["NetworkInterfaces"][0]["NetworkInterfaceId"]]
    assert "AssociationId" not in ec2.describe_addresses()["Addresses"][0]
    states = [one["State"]["Name"] for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]
    assert states == ["terminated", "terminated"]


def test_there_is_no_ec2_classic_any_more(others: Others) -> None:
    attributes = client(others, "ec2").describe_account_attributes()["AccountAttributes"]
    named = {each["AttributeName"]: [one["AttributeValue"] for one in each["AttributeValues"]] for each in attributes}
    assert named["supported-platforms"] == ["VPC"]


def test_a_presigned_url_needs_nothing_else(others: Others) -> None:
    s3 = client(others, "s3", "eu-central-1")
    s3.create_bucket(Bucket="bbb", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for method, body in (("put_object", b"by hand"), ("get_object", b"")):
        url = urlsplit(s3.generate_presigned_url(method, Params={"Bucket": "bbb", "Key": "k"}))
        verb = method.partition("_")[0].upper()
        status, _, answer = others.handle(verb, f"{url.path}?{url.query}", [("Host", url.netloc)], body, None, None)
        assert status == 200
    assert answer == b"by hand"


def test_a_call_in_process_answers_in_our_shapes(others: Others) -> None:
    others.call("s3", "CreateBucket", "us-east-1", {"Bucket": "bbb"})
    others.call("s3", "PutObject", "us-east-1", {"Bucket": "bbb", "Key": "k", "Body": b"x"})
    answer = others.call("s3", "GetObject", "us-east-1", {"Bucket": "bbb", "Key": "k"})
    assert answer["Body"] == b"x"
    assert isinstance(answer["LastModified"], float)
    assert "ResponseMetadata" not in answer


def test_an_error_of_the_service_is_an_aws_error(others: Others) -> None:
    with pytest.raises(AwsError) as raised:
        others.call("s3", "GetObject", "us-east-1", {"Bucket": "none", "Key": "k"})
    assert (raised.value.code, raised.value.status) == ("NoSuchBucket", 404)


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ec2", "GetIpamPoolAllocations", {"IpamPoolId": "x"}),
        ("lambda", "GetFunctionRecursionConfig", {"FunctionName": "x"}),
        ("ecr", "GetAccountSetting", {"name": "x"}),
    ],
)
def test_what_moto_does_not_implement_says_so(
    others: Others, service: str, operation: str, params: dict[str, str]
) -> None:
    with pytest.raises(AwsError) as raised:
        others.call(service, operation, "us-east-1", params)
    assert (raised.value.code, raised.value.status) == ("NotImplementedException", 501)


def test_a_function_is_kept_but_not_said_to_have_run(others: Others) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("hook.py", "")
    functions, queues = client(others, "lambda"), client(others, "sqs")
    iam = client(others, "iam")
    role = iam.create_role(RoleName="hook", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions.create_function(
        FunctionName="hook", Runtime="python3.12", Role=role, Handler="hook.f", Code={"ZipFile": packed.getvalue()}
    )
    with pytest.raises(ClientError, match=r"lambda\.Invoke is not implemented by turnout"):
        functions.invoke(FunctionName="hook")

    queue = queues.create_queue(QueueName="inbox")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    functions.create_event_source_mapping(FunctionName="hook", EventSourceArn=arn)
    queues.send_message(QueueUrl=queue, MessageBody="work")
    assert queues.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "work"


def test_a_patient_reader_of_an_empty_queue_is_answered_at_once(others: Others) -> None:
    queues = client(others, "sqs")
    queue = queues.create_queue(QueueName="inbox", Attributes={"ReceiveMessageWaitTimeSeconds": "20"})["QueueUrl"]
    assert "Messages" not in queues.receive_message(QueueUrl=queue, WaitTimeSeconds=20)


def test_endpoint_services_are_listed_with_what_is_installed(others: Others) -> None:
    names = client(others, "ec2").describe_vpc_endpoint_services()["ServiceNames"]
    assert {"com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.ecr.dkr"} <= set(names)


def test_the_instance_types_of_a_region_are_read_when_asked_for(others: Others) -> None:
    ec2 = client(others, "ec2", "eu-central-1")
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}]
    )["InstanceTypeOfferings"]
    assert {o["Location"] for o in offered} == {"eu-central-1a", "eu-central-1b", "eu-central-1c"}
    assert {o["LocationType"] for o in offered} == {"availability-zone"}


def test_there_is_one_account(others: Others) -> None:
    assert client(others, "sts", "eu-central-1").get_caller_identity()["Account"] == "000000000000"
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert client(others, "iam").get_policy(PolicyArn=policy)["Policy"]["Arn"] == policy
    topic = client(others, "sns", "eu-central-1").create_topic(Name="t")["TopicArn"]
    assert topic == "arn:aws:sns:eu-central-1:000000000000:t"

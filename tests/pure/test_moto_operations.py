import pytest

from turnout.gateway.moto.operations import is_invocation, is_read
from turnout.gateway.moto.request import Request

FORM = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]


def target(name: str) -> list[tuple[str, str]]:
    return [("X-Amz-Target", name)]


@pytest.mark.parametrize(
    ("request_", "is_one"),
    [
        (Request("POST", "/", target("AmazonSSM.GetParameter"), b"{}", "ssm"), True),
        (Request("POST", "/", target("AmazonSSM.PutParameter"), b"{}", "ssm"), False),
        (Request("POST", "/", target("TrentService.Decrypt"), b"{}", "kms"), True),
        (Request("POST", "/", target("TrentService.DescribeKey"), b"{}", "kms"), False),
        (Request("POST", "/", target("AmazonSQS.ReceiveMessage"), b"{}", "sqs"), False),
        (Request("POST", "/", target("DynamoDB_20120810.Query"), b"{}", "dynamodb"), True),
        (Request("POST", "/", FORM, b"Action=DescribeVpcs&Version=2016-11-15", "ec2"), True),
        (Request("POST", "/", FORM, b"Version=2016-11-15&Action=CreateVpc", "ec2"), False),
        (Request("POST", "/", FORM, b"Action=AssumeRole&RoleArn=Action%3DGetX", "sts"), False),
        (Request("GET", "/?Action=CreateVpc&Version=2016-11-15", [], b"", "ec2"), False),
        (Request("GET", "/bucket/key?versionId=1", [], b"", "s3"), True),
        (Request("HEAD", "/bucket", [], b"", "s3"), True),
        (Request("POST", "/bucket/key?uploads", [], b"", "s3"), False),
        (Request("PUT", "/bucket/key", [], b"", "s3"), False),
        (Request("DELETE", "/2013-04-01/hostedzone/Z1", [], b"", "route53"), False),
        (Request("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", [], b""), False),
        (Request("POST", "/", target("Unheard.Of"), b"{}", "new"), False),
    ],
)
def test_what_is_not_clearly_a_read_is_journaled(request_: Request, is_one: bool) -> None:
    assert is_read(request_) is is_one


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/2015-03-31/functions/hook/invocations", True),
        ("/2014-11-13/functions/hook/invoke-async", True),
        ("/2015-03-31/functions/hook", False),
    ],
)
def test_a_request_to_run_a_function_is_told_apart(path: str, is_one: bool) -> None:
    assert is_invocation(Request("POST", path, [], b"{}", "lambda")) is is_one

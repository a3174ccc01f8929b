"""A function that reaches home: boto3 inside it finds the engine without being told where it is."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.real.conftest import Live

pytestmark = pytest.mark.real

CODE = """\
import boto3

def handler(event, context):
    return boto3.client("codedeploy").list_applications()["applications"]
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def test_boto3_inside_a_function_reaches_the_engine(live: Live) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", CODE)
    live.clients("iam").create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps(TRUST))
    functions = live.clients("lambda")
    functions.create_function(
        FunctionName="f",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/f",
        Handler="app.handler",
        Timeout=60,
        Code={"ZipFile": body.getvalue()},
    )
    answer = functions.invoke(FunctionName="f")
    assert json.loads(answer["Payload"].read()) == ["hello"]

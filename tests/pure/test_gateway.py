"""What the gateway says to clients that do not know where they are going."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from turnout.aws import Aws
from turnout.config import Config
from turnout.gateway.models import OwnedModels
from turnout.gateway.server import Gateway, Page


class Nobody:
    """moto, that knows none of it."""

    def handle(self, *_: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        return 404, [], b""

    def call(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"{service}.{operation}")


async def _no_git(*_: Any) -> None:
    raise AssertionError("git")


def answer(path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """(status, body) of a POST."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    start, content = talk(Config(home=Path("/nowhere")), path, [{"type": "http.request", "body": body}], named)
    return start["status"], content["body"]


def talk(
    config: Config, path: str, messages: Iterable[dict[str, Any]], headers: Mapping[str, str], method: str = "POST"
) -> list[dict[str, Any]]:
    """What is sent back for what is received."""
    nobody = Nobody()
    pages: dict[str, Page] = {
        "health": lambda rest: {"version": "0"},
        "receipts": lambda rest: ["secrets of a release"],
    }
    gateway = Gateway(Aws(nobody), OwnedModels(["ecs"]), nobody, config, _no_git, _no_git, pages)
    received = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(received)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw}
    asyncio.run(gateway(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    "path", ["/", "/service", "/service/AmazonEC2ContainerServiceV20141113", "/service/x/operation/y"]
)
def test_a_cbor_request_to_a_path_of_no_operation_is_not_an_accident(path: str) -> None:
    assert answer(path, b"\xff", smithy_protocol="rpc-v2-cbor")[0] == 404


@pytest.mark.parametrize("target", ["AmazonEC2ContainerServiceV20141113.ListClusters", "Other.List"])
def test_a_region_that_is_none_is_refused_before_anything_is_done(target: str) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=KEY/20260101/../ecs/aws4_request"
    status, body = answer("/", b"{}", x_amz_target=target, authorization=scope)
    assert status == 403
    assert json.loads(body)["__type"] == "InvalidSignatureException"


LIST = {"x_amz_target": "AmazonEC2ContainerServiceV20141113.ListClusters", "content_encoding": "gzip"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 400, "SerializationException"),
        (gzip.compress(b"{}" * 100, mtime=0)[:-9], 400, "SerializationException"),
        (gzip.compress(bytes(65 * 2**20), mtime=0), 413, "RequestEntityTooLargeException"),
    ],
)
def test_a_body_that_is_not_what_its_encoding_says_or_opens_to_too_much_is_refused(
    body: bytes, status: int, code: str
) -> None:
    said, answered = answer("/", body, **LIST)
    assert (said, json.loads(answered)["__type"]) == (status, code)


def test_a_request_whose_client_leaves_before_its_end_is_not_answered_with_half_of_it() -> None:
    """Else an upload that is broken off would become an object."""
    half: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert talk(Config(home=Path("/nowhere")), "/bucket/key", half, {}, "PUT") == []


def test_where_keys_are_asked_what_was_released_is_told_to_who_has_one() -> None:
    config = Config(home=Path("/nowhere"), keys={"KEY": "secret"})
    assert talk(config, "/_turnout/health", [], {}, "GET")[0]["status"] == 200
    assert talk(config, "/_turnout/receipts/us-east-1", [], {}, "GET")[0]["status"] == 403
    request = AWSRequest("GET", "http://localhost/_turnout/receipts/us-east-1")
    SigV4Auth(Credentials("KEY", "secret"), "turnout", "us-east-1").add_auth(request)
    start, content = talk(config, "/_turnout/receipts/us-east-1", [], dict(request.headers.items()), "GET")
    assert start["status"] == 200
    assert b"secrets" in content["body"]

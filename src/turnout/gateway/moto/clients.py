"""botocore clients without sockets: they make the request, and read the answer, of an in-process call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.response import StreamingBody
from botocore.utils import parse_timestamp

from turnout.errors import AwsError
from turnout.gateway.models import LOADER
from turnout.gateway.moto.request import Reply, Request

Answer = dict[str, Any]


class Clients:
    """One client per service and region, made when it is first used and kept."""

    def __init__(self, send: Callable[[Request], Reply]) -> None:
        self._send = send
        self._session = botocore.session.Session()
        self._session.register_component("data_loader", LOADER)
        self._session.set_credentials("turnout", "turnout")
        parsers = self._session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=lambda value: parse_timestamp(value).timestamp())
        self._config = Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            # The checksum would be one more pass over every artifact, for bytes that never leave this process.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._made: dict[tuple[str, str], Any] = {}

    def call(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> Answer:
        """The parsed answer: times in unix seconds, bodies read. Raises AwsError as the service would."""
        client = self._made.get((service, region)) or self._make(service, region)
        name = xform_name(operation)
        if name not in client.meta.method_to_api_mapping:
            raise AwsError("UnknownOperationException", f"{service} has no operation {operation}")
        try:
            answer: Answer = getattr(client, name)(**params)
        except ClientError as error:
            raise _aws_error(error) from error
        except ParamValidationError as error:
            raise AwsError("ValidationException", str(error)) from error
        answer.pop("ResponseMetadata", None)
        return {name: value.read() if isinstance(value, StreamingBody) else value for name, value in answer.items()}

    def _make(self, service: str, region: str) -> Any:
        client = self._session.create_client(service, region, config=self._config)
        events: Any = client.meta.events  # its stub wants None of a hook, which for before-send is to answer
        events.register("before-send", _Sender(self._send, service, region))
        self._made[service, region] = client
        return client


class _Sender:
    def __init__(self, send: Callable[[Request], Reply], service: str, region: str) -> None:
        self._send = send
        self._service = service
        self._region = region

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        headers.append(("Host", parts.netloc))
        body = request.body.read() if hasattr(request.body, "read") else request.body
        body = body.encode() if isinstance(body, str) else bytes(body or b"")
        status, headers, body = self._send(Request(request.method, path, headers, body, self._service, self._region))
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(dict(headers)), _Raw(body))


class _Raw:
    """What botocore reads of urllib3's response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, amount: int | None = None) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        return None


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _aws_error(error: ClientError) -> AwsError:
    described = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    return AwsError(described.get("Code", "InternalFailure"), described.get("Message") or str(error), status)

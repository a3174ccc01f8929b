"""boto3 clients whose requests reach an `Others` without a socket."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from turnout.gateway.others import Others

ENDPOINT = "http://127.0.0.1:4566"


class Raw:
    """What botocore expects of urllib3's response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body

    def read(self, amount: int | None = None) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        return None


def session() -> Any:
    made = botocore.session.Session()
    made.set_credentials("AKIDEXAMPLE", "secret")
    return made


SESSION = session()


def client(
    others: Others, service: str, region: str = "us-east-1", *, endpoint: str = ENDPOINT, style: str = "path"
) -> Any:
    """A client of `service` as a user makes it."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": style})
    made = SESSION.create_client(service, region, endpoint_url=endpoint, config=config)
    made.meta.events.register("before-send", lambda request, **_: answer(others, request, service, region))
    return made


def answer(others: Others, request: Any, service: str | None, region: str | None) -> AWSResponse:
    """Hand a prepared request to moto as the gateway does."""
    parts = urlsplit(request.url)
    body = request.body.read() if hasattr(request.body, "read") else request.body
    body = body.encode() if isinstance(body, str) else bytes(body or b"")
    headers = [(n, v.decode() if isinstance(v, bytes) else str(v)) for n, v in request.headers.items()]
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    status, replied, body = others.handle(
        request.method, path, [*headers, ("Host", parts.netloc)], body, service, region
    )
    return AWSResponse(request.url, status, dict(replied), Raw(body))

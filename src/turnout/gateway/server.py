"""The gateway: one port that answers every AWS request, git over HTTP, docker, and the few questions that are ours.

Three layers: who may speak (guard), which room answers (route), and the answer in the caller's protocol.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from moto.core.model import OperationModel

from turnout.aws import Aws, Call
from turnout.config import Config
from turnout.errors import AwsError
from turnout.gateway import protocol
from turnout.gateway.compression import is_form, opened
from turnout.gateway.guard import refusal
from turnout.gateway.hindered import hindered
from turnout.gateway.models import OwnedModels, find_operation
from turnout.gateway.protocol import CBOR, Reply, Wire
from turnout.gateway.signatures import Credential, check_region, credential_of, verify
from turnout.gateway.validation import validate
from turnout.hindrances import hindrance
from turnout.names import new_uuid

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]
App = Callable[[Scope, Receive, Send], Any]
Page = Callable[[str], dict[str, Any] | list[Any] | None]
"""The rest of a path of ours → a JSON document; None: not found."""

UNOWNED_CBOR = {"GraniteServiceVersion20100801": "cloudwatch"}
"""Services of moto's that new SDKs speak CBOR to, which moto does not: they are dispatched in-process."""


class OtherServices(Protocol):
    def handle(
        self,
        method: str,
        path_and_query: str,
        headers: list[tuple[str, str]],
        body: bytes,
        service: str | None,
        region: str | None,
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...


class Gateway:
    """An ASGI application. `pages` are ours, under /_turnout/; `git` answers under /v1/repos/, `images` under /v2/."""

    def __init__(
        self,
        aws: Aws,
        models: OwnedModels,
        others: OtherServices,
        config: Config,
        git: App,
        images: App,
        pages: Mapping[str, Page],
    ) -> None:
        self._aws = aws
        self._models = models
        self._others = others
        self._config = config
        self._git = git
        self._images = images
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        if reason := refusal(headers, self._config.allowed_hosts, query):
            await _send(send, _json(403, {"__type": "AccessDeniedException", "message": reason}))
        elif scope["path"].startswith("/v1/repos/"):
            await self._git(scope, receive, send)
        elif _is_for_images(scope["path"], headers):
            await self._images(scope, receive, send)
        elif scope["path"].startswith("/_turnout/") or scope["path"] == "/_localstack/health":
            await _send(send, self._page(scope["path"], Wire(scope["method"], path, query, headers, b"")))
        elif (body := await _body(receive)) is not None:
            wire = Wire(scope["method"], path, query, headers, body)
            await _send(send, await self._answer(wire, scope["headers"]))

    def _page(self, path: str, wire: Wire) -> Reply:
        """Whether there is an engine, and which, everybody may know; what it did is for who has a key."""
        name, _, rest = path.removeprefix("/_turnout/").removeprefix("/_localstack/").partition("/")
        if name != "health":
            try:
                self._admit(wire, credential_of(wire))
            except AwsError as error:
                return _json(error.status, {"__type": error.code, "message": error.message})
        document = self._pages[name](unquote(rest)) if name in self._pages else None
        return _json(404, {"message": f"nothing at {path}"}) if document is None else _json(200, document)

    async def _answer(self, sent: Wire, raw_headers: list[tuple[bytes, bytes]]) -> Reply:
        request_id = new_uuid()
        credential = credential_of(sent)
        try:
            wire = opened(sent)
        except AwsError as error:
            return _json(error.status, {"__type": error.code, "message": error.message})
        routed = self._route(wire, credential) or self._route_rest(wire, credential)
        if routed is None:
            return self._from_others(sent, raw_headers, credential, request_id)
        service, name, wire_protocol, wire = routed
        operation = find_operation(service, name)
        if operation is None:
            return _json(400, {"__type": "UnknownOperationException", "message": f"{service} has no operation {name}"})
        try:
            self._admit(sent, credential)
            if wire_protocol != CBOR and self._aws.operation_of(service, name) is None:
                return self._from_others(sent, raw_headers, credential, request_id)
            params = protocol.parse(operation, wire_protocol, wire)
            validate(operation, params)
            region = credential.region if credential else self._config.region
            call = Call(service, name, region, params, request_id=request_id)
            return protocol.serialize(operation, wire_protocol, await self._aws.dispatch(call), request_id)
        except AwsError as error:
            log.info("%s.%s %s %s", service, name, request_id, error)
            return protocol.serialize_error(operation, wire_protocol, error, request_id)
        except Exception as error:
            if (why := hindrance(error)) is not None:
                log.warning("%s.%s %s: %s", service, name, request_id, why)
                return protocol.serialize_error(operation, wire_protocol, hindered(why), request_id)
            return self._bug(operation, wire_protocol, request_id)

    def _admit(self, wire: Wire, credential: Credential | None) -> None:
        """Raise AwsError unless the scope is one that can be served, and its signature right where keys are asked."""
        if credential is not None:
            check_region(credential)
        if self._config.keys:
            verify(wire, self._config.keys, time.time())  # what the client's clock says, whatever the engine's

    def _bug(self, operation: OperationModel, wire_protocol: str, request_id: str) -> Reply:
        log.exception("%s, request %s", operation.name, request_id)
        message = f"a bug in turnout; the traceback is in the engine's log under request {request_id}"
        return protocol.serialize_error(operation, wire_protocol, AwsError("InternalFailure", message, 500), request_id)

    def _route(self, wire: Wire, credential: Credential | None) -> tuple[str, str, str, Wire] | None:
        """(service, operation, protocol, request) of a request that is for us to parse."""
        by_prefix = self._models.by_target_prefix
        if target := wire.headers.get("x-amz-target"):
            prefix, _, operation = target.rpartition(".")
            return (by_prefix[prefix], operation, "json", wire) if prefix in by_prefix else None
        if wire.headers.get("smithy-protocol") == "rpc-v2-cbor":
            prefix, separator, operation = wire.path.removeprefix("/service/").partition("/operation/")
            service = by_prefix.get(prefix) or UNOWNED_CBOR.get(prefix)
            return (service, operation, CBOR, wire) if service and separator else None
        form = dict(parse_qsl(wire.body.decode("utf-8", "replace") if is_form(wire) else wire.query))
        if "Action" in form and "Version" in form:
            for (signing_name, version), service in self._models.by_query_version.items():
                if version == form["Version"] and (credential is None or credential.service == signing_name):
                    return service, form["Action"], "query", wire
        return None

    def _route_rest(self, wire: Wire, credential: Credential | None) -> tuple[str, str, str, Wire] | None:
        """The same of a request whose operation is its method and path."""
        services = self._models.rest_services
        wanted = services.values() if credential is None else [services.get(credential.service, "")]
        for service in wanted:
            if found := self._models.rest_operation(service, wire.method, wire.path):
                return service, found[0], "rest-json", replace(wire, url_params=found[1])
        return None

    def _from_others(
        self, wire: Wire, raw_headers: list[tuple[bytes, bytes]], credential: Credential | None, request_id: str
    ) -> Reply:
        try:
            self._admit(wire, credential)
        except AwsError as error:
            return _json(error.status, {"__type": error.code, "message": error.message})
        status, headers, body = self._others.handle(
            wire.method,
            f"{wire.path}?{wire.query}" if wire.query else wire.path,
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers],
            wire.body,
            credential.service if credential else None,
            credential.region if credential else None,
        )
        answer = {"x-amzn-requestid": request_id}
        answer |= {name.lower(): value for name, value in headers}
        return Reply(status, answer, body)


def _is_for_images(path: str, headers: Mapping[str, str]) -> bool:
    """Whether a request is one to a registry: AWS's services that have paths below /v2/ are asked with signatures."""
    is_below = path == "/v2" or path.startswith("/v2/")
    return is_below and not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256")


def _json(status: int, document: dict[str, Any] | list[Any]) -> Reply:
    body = json.dumps(document, indent=1).encode()
    return Reply(status, {"content-type": "application/json"}, body)


async def _body(receive: Receive) -> bytes | None:
    """None if the client left before its end: half an object must not become one."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if "content-length" not in reply.headers:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

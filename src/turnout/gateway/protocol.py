"""AWS's wire protocols, from botocore's models: JSON 1.0 and 1.1, query/XML, rest-json, rest-xml, smithy RPC v2 CBOR.

moto's protocol layer (`moto.core.parse`, `moto.core.serialize`) does the reading and writing; it is internal to moto,
so nothing else of ours may touch it, and moto is pinned.
Errors are written here, as SDKs expect them: `__type` in the body for JSON, and the header beside it.
https://smithy.io/2.0/aws/protocols/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import cbor2
from botocore.utils import parse_timestamp
from moto.core.model import OperationModel, Shape
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.serialize import SerializationContext, get_serializer_class
from werkzeug.datastructures import Headers, MultiDict

from turnout.errors import AwsError
from turnout.gateway.documents import to_cbor, to_json, to_xml, xml_text
from turnout.jsontext import quickly_read

CBOR = "smithy-rpc-v2-cbor"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Wire:
    """A request as it came: header names are lower case; `url_params` are the labels of a REST path."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    url_params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class _JsonParser(PROTOCOL_PARSERS["json"]):  # type: ignore[misc]
    """moto's, without what it makes of a value of another type: 1 of "1", true and 1.5, letters of a text where a list
    belongs. Such a value stays as it was written, and `validate` refuses it.
    """

    def _parse_body_as_json(self, body_contents: bytes) -> Any:
        """moto's takes a body that is not JSON for an input without members, and the call would be made."""
        return _read_json(body_contents)

    def _parse_integer(self, shape: Shape, value: Any) -> Any:
        """JSON has one kind of number: 1.0 is 1."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _parse_float(self, shape: Shape, value: Any) -> Any:
        """SDKs write what JSON has no numbers for as words."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if is_whole or value in ("NaN", "Infinity", "-Infinity") else value

    def _parse_list(self, shape: Shape, value: Any) -> Any:
        return super()._parse_list(shape, value) if isinstance(value, list) else value

    def _parse_map(self, shape: Shape, value: Any) -> Any:
        return super()._parse_map(shape, value) if isinstance(value, dict) else value

    def _parse_structure(self, shape: Shape, value: Any) -> Any:
        return super()._parse_structure(shape, value) if isinstance(value, dict) else value

    _parse_byte = _parse_short = _parse_long = _parse_integer
    _parse_double = _parse_float


def parse(operation: OperationModel, protocol: str, wire: Wire) -> dict[str, Any]:
    """The input with wire names; times are unix seconds. Members that are null count as absent."""
    shape = operation.input_shape
    if shape is None:
        return {}
    if protocol == CBOR:
        try:
            parsed = cbor2.loads(wire.body) if wire.body else {}
        except cbor2.CBORDecodeError as error:
            raise AwsError("SerializationException", f"the body is not CBOR: {error}") from error
        read: dict[str, Any] = _from_cbor(shape, parsed)
        return read
    parser = (_JsonParser if protocol == "json" else PROTOCOL_PARSERS[protocol])(operation, timestamp_parser=_seconds)
    try:
        parsed = parser.parse({"body": wire.body} if protocol == "json" else _request(protocol, wire))
    except (RequestParserError, ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise AwsError("SerializationException", f"the request cannot be read as {operation.name}: {error}") from error
    given: dict[str, Any] = _without_none(parsed)
    return given


def _request(protocol: str, wire: Wire) -> dict[str, Any]:
    """What moto's parsers read of a request whose input is not its body alone. Raises ValueError."""
    values = MultiDict(parse_qsl(wire.query, keep_blank_values=True))
    if protocol == "query":
        values.update(parse_qsl(wire.body.decode(), keep_blank_values=True))
    return {
        "method": wire.method,
        "values": values,
        # Only REST binds members to headers.
        "headers": Headers(list(wire.headers.items())) if protocol.startswith("rest") else {},
        "body": wire.body,
        "url_path": wire.path,
        "url_params": wire.url_params,
    }


def _read_json(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises AwsError."""
    document = quickly_read(body) if body else {}
    if document is None:
        try:
            document = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise AwsError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise AwsError("SerializationException", "the body is not a JSON object")
    if _SURROGATE.search(body):
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise AwsError("SerializationException", f"the body holds half a character: {error}") from error
    return document


def _refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity, which no SDK writes and no column holds."""
    raise ValueError(f"{name} is not JSON")


def serialize(operation: OperationModel, protocol: str, answer: dict[str, Any], request_id: str) -> Reply:
    """An answer in the protocol of its request."""
    headers = {"x-amzn-requestid": request_id}
    if protocol == CBOR:
        headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return Reply(200, headers, to_cbor(operation.output_shape, answer))
    if protocol == "json":
        headers["content-type"] = _content_type(operation, protocol)
        return Reply(200, headers, to_json(operation.output_shape, answer))
    if protocol == "query":
        headers["content-type"] = _content_type(operation, protocol)
        namespace = operation.service_model.metadata.get("xmlNamespace", "")
        return Reply(200, headers, to_xml(operation.output_shape, operation.name, namespace, answer, request_id))
    serializer = get_serializer_class(operation.service_model.service_name, protocol)
    written = serializer(operation, SerializationContext(request_id)).serialize(answer)
    text = written["body"]
    headers |= {name.lower(): value for name, value in written["headers"].items()}
    headers["content-type"] = _content_type(operation, protocol)
    shape = operation.output_shape
    members = shape.members.items() if shape is not None else ()
    said = [name for name, member in members if member.serialization.get("location") == "statusCode"]
    status = int(answer[said[0]]) if said and said[0] in answer else written["status_code"]
    return Reply(status, headers, text.encode() if isinstance(text, str) else text or b"")


def serialize_error(operation: OperationModel, protocol: str, error: AwsError, request_id: str) -> Reply:
    """An error in the protocol of its request. A modelled error carries the status that its model says."""
    model = operation.service_model
    shape = next((s for s in model.error_shapes if error.code in (s.name, s.error_code)), None)
    described = shape.metadata.get("error", {}) if shape is not None else {}
    status = int(described.get("httpStatusCode", error.status))
    code = str(described.get("code", error.code)) if protocol == "query" else error.code
    headers = {"x-amzn-requestid": request_id, "content-type": _content_type(operation, protocol)}
    if protocol in ("query", "rest-xml"):
        fault = "Receiver" if status >= 500 else "Sender"
        namespace = model.metadata.get("xmlNamespace", "")
        body = (
            f'<ErrorResponse xmlns="{namespace}"><Error><Type>{fault}</Type><Code>{xml_text(code)}</Code>'
            f"<Message>{xml_text(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Reply(status, headers, body.encode())
    members = {"__type": code, "message": error.message, **error.members}
    headers["x-amzn-errortype"] = code
    if protocol == CBOR:
        return Reply(status, {**headers, "smithy-protocol": "rpc-v2-cbor"}, cbor2.dumps(members))
    return Reply(status, headers, json.dumps(members, default=str).encode())


def _content_type(operation: OperationModel, protocol: str) -> str:
    match protocol:
        case "json":
            return f"application/x-amz-json-{operation.service_model.metadata.get('jsonVersion', '1.1')}"
        case "rest-json":
            return "application/json"
        case "smithy-rpc-v2-cbor":
            return "application/cbor"
        case _:
            return "text/xml"


def _seconds(value: Any) -> float:
    try:
        moment: datetime = parse_timestamp(value)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value


def _from_cbor(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            known = {name: member for name, member in shape.members.items() if value.get(name) is not None}
            return {name: _from_cbor(member, value[name]) for name, member in known.items()}
        case "list" if isinstance(value, list):
            return [_from_cbor(shape.member, item) for item in value]
        case "map" if isinstance(value, dict):
            return {key: _from_cbor(shape.value, item) for key, item in value.items()}
        case "timestamp" if isinstance(value, datetime):
            return value.timestamp()
    return value

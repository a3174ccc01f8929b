"""Answers as documents: what JSON, CBOR and the query protocol's XML write, member by member of the model.

moto's serialiser looks every member of the model up in every answer, which was three quarters of the time of a large
one; this walk looks at what is there. Members that are None, or not in the model, are left out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import cbor2
from moto.core.model import Shape

Leaf = Callable[[Any], Any]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Text as XML holds it. A character that XML 1.0 cannot hold would make the whole answer unreadable."""
    return escape(_NOT_XML.sub("\ufffd", text))


def to_json(shape: Shape | None, answer: dict[str, Any]) -> bytes:
    """Times are unix seconds to the millisecond, blobs base64."""
    document = _walk(shape, answer, {"timestamp": _milliseconds, "blob": _base64})
    return json.dumps(document, separators=(",", ":")).encode()


def to_cbor(shape: Shape | None, answer: dict[str, Any]) -> bytes:
    """Times are tag 1, blobs byte strings."""
    document = _walk(shape, answer, {"timestamp": _moment, "blob": _bytes, "float": float, "double": float})
    return cbor2.dumps(document, datetime_as_timestamp=True)


def to_xml(shape: Shape | None, operation: str, namespace: str, answer: dict[str, Any], request_id: str) -> bytes:
    """The query protocol: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html"""
    result = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation}Result")
        result = f"<{wrapper}>{''.join(_members(shape, answer))}</{wrapper}>"
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    text = f'<{operation}Response xmlns="{namespace}">{result}{metadata}</{operation}Response>'
    return text.encode()


def _members(shape: Shape, value: dict[str, Any]) -> Iterator[str]:
    for name, item in value.items():
        member = shape.members.get(name)
        if item is not None and member is not None:
            yield from _element(member, member.serialization.get("name", name), item)


def _element(shape: Shape, name: str, value: Any) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            yield f"<{name}>{''.join(_members(shape, value))}</{name}>"
        case "list" if shape.serialization.get("flattened"):
            for item in value:
                yield from _element(shape.member, shape.member.serialization.get("name", name), item)
        case "list":
            inner = shape.member.serialization.get("name", "member")
            yield f"<{name}>{''.join(text for item in value for text in _element(shape.member, inner, item))}</{name}>"
        case "map":
            words = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
            entries = (
                "".join((*_element(shape.key, words[0], key), *_element(shape.value, words[1], item)))
                for key, item in value.items()
            )
            if shape.serialization.get("flattened"):
                yield from (f"<{name}>{entry}</{name}>" for entry in entries)
            else:
                yield f"<{name}>{''.join(f'<entry>{entry}</entry>' for entry in entries)}</{name}>"
        case "boolean":
            yield f"<{name}>{'true' if value else 'false'}</{name}>"
        case "timestamp":
            yield f"<{name}>{_moment(value).isoformat(timespec='milliseconds').replace('+00:00', 'Z')}</{name}>"
        case "blob":
            yield f"<{name}>{_base64(value)}</{name}>"
        case _:
            yield f"<{name}>{xml_text(str(value))}</{name}>"


def _walk(shape: Shape | None, value: Any, leaves: dict[str, Leaf]) -> Any:
    if shape is None:
        return {}
    match shape.type_name:
        case "structure":
            if shape.is_document_type:
                return value
            members = shape.members
            return {
                member.serialization.get("name", name): _walk(member, item, leaves)
                for name, item in value.items()
                if item is not None and (member := members.get(name)) is not None
            }
        case "list":
            return [_walk(shape.member, item, leaves) for item in value]
        case "map":
            return {key: _walk(shape.value, item, leaves) for key, item in value.items()}
        case kind:
            leaf = leaves.get(kind)
            return value if leaf is None else leaf(value)


def _milliseconds(value: Any) -> float:
    return round(value.timestamp() if isinstance(value, datetime) else float(value), 3)


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value

"""Answers as documents: what JSON, CBOR and the query protocol's XML write, member by member of the model.

moto's serialiser looks every member of the model up in every answer, which was three quarters of the time of a large
one; this walk looks at what is there. Members that are None, or not in the model, are left out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

import cbor2
from moto.core.model import Shape

from turnout.jsontext import written

Leaf = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Leaves:
    """How a protocol writes values that are no documents, by the name of their type; and its writers so far."""

    by_kind: dict[str, Leaf]
    writers: dict[Shape, Leaf | None] = field(default_factory=dict)


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Text as XML holds it. A character that XML 1.0 cannot hold would make the whole answer unreadable."""
    return escape(_NOT_XML.sub("\ufffd", text))


def to_json(shape: Shape | None, answer: dict[str, Any]) -> bytes:
    """Times are unix seconds to the millisecond, blobs base64."""
    return written(_document(shape, answer, JSON))


def to_cbor(shape: Shape | None, answer: dict[str, Any]) -> bytes:
    """Times are tag 1, blobs byte strings."""
    document = _document(shape, answer, CBOR)
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


def _writer(shape: Shape | None, leaves: Leaves) -> Leaf | None:
    """What makes a document of a value of this shape; None where it is one already.

    It is made once per shape: an answer of a hundred events asks the model about the members of an event only once.
    """
    if shape is None:
        return lambda value: {}
    writers = leaves.writers
    if shape not in writers:
        writers[shape] = None  # of a shape that holds itself, which only a structure can
        writers[shape] = _make_writer(shape, leaves)
    return writers[shape]


def _make_writer(shape: Shape, leaves: Leaves) -> Leaf | None:
    match shape.type_name:
        case "structure":
            return None if shape.is_document_type else _Structure(shape, leaves)
        case "list":
            return None if (item := _writer(shape.member, leaves)) is None else partial(_list, item)
        case "map":
            return None if (item := _writer(shape.value, leaves)) is None else partial(_map, item)
        case kind:
            return leaves.by_kind.get(kind)


def _list(write: Leaf, value: Iterable[Any]) -> list[Any]:
    return [*map(write, value)]


def _map(write: Leaf, value: dict[str, Any]) -> dict[str, Any]:
    return {key: write(part) for key, part in value.items()}


class _Structure:
    """Writes a structure: members that are None, or that its shape does not have, are left out."""

    def __init__(self, shape: Shape, leaves: Leaves) -> None:
        self._shape, self._leaves = shape, leaves
        self._known: dict[str, tuple[str, Leaf | None] | None] = {}

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        document, known = {}, self._known
        for name, item in value.items():
            if item is None:
                continue
            try:
                found = known[name]
            except KeyError:
                found = known[name] = self._look_up(name)
            if found is not None:
                wire_name, write = found
                document[wire_name] = item if write is None else write(item)
        return document

    def _look_up(self, name: str) -> tuple[str, Leaf | None] | None:
        """A member's name on the wire and its writer, looked up when it is first there: shapes may hold themselves."""
        member = self._shape.members.get(name)
        return None if member is None else (member.serialization.get("name", name), _writer(member, self._leaves))


def _milliseconds(value: Any) -> float:
    if type(value) is float:  # nearly always, and an answer has dozens
        return round(value, 3)
    return round(value.timestamp() if isinstance(value, datetime) else float(value), 3)


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


JSON = Leaves({"timestamp": _milliseconds, "blob": _base64})
CBOR = Leaves({"timestamp": _moment, "blob": _bytes, "float": float, "double": float})


def _document(shape: Shape | None, answer: dict[str, Any], leaves: Leaves) -> Any:
    write = _writer(shape, leaves)
    return answer if write is None else write(answer)

"""Input against the model: required members, types, enums, lengths, ranges and patterns, in AWS's words.

A value of another type than the model's cannot even be read, whatever else may be wrong: SerializationException, in
every service. What can be read and does not fit is the service's own error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from moto.core.model import OperationModel, Shape

from turnout.errors import AwsError

CODES = {
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "elbv2": "ValidationError",
    "codebuild": "InvalidInputException",
}
"""What a service calls an input that does not fit; the others say ValidationException."""

LONGEST = 80
"""Characters of a value that are repeated to the caller."""
_LARGEST = {"integer": 2**31 - 1, "long": 2**63 - 1}
"""What an SDK can send: a larger number would not fit a column either."""


class Fault(NamedTuple):
    path: str
    """Of the member."""
    why: str
    is_missing: bool = False
    is_other_type: bool = False


def validate(operation: OperationModel, params: dict[str, Any]) -> None:
    """Raise AwsError if the input does not fit the operation's model."""
    shape = operation.input_shape
    faults = [] if shape is None else list(_faults(shape, params, ""))
    if not faults:
        return
    if unreadable := next((fault for fault in faults if fault.is_other_type), None):
        raise AwsError("SerializationException", unreadable.why)
    first = faults[0]
    service = operation.service_model.service_name
    code = _own_code(operation, first.path, first.is_missing) or CODES.get(service, "ValidationException")
    count = "1 validation error" if len(faults) == 1 else f"{len(faults)} validation errors"
    raise AwsError(code, f"{count} detected: " + "; ".join(fault.why for fault in faults))


def _own_code(operation: OperationModel, path: str, is_missing: bool) -> str | None:
    """Some services have an error per member: RepositoryNameRequiredException, InvalidRepositoryNameException."""
    member = path.split(".")[-1].split("[")[0]
    name = member[:1].upper() + member[1:]
    wanted = f"{name}RequiredException" if is_missing else f"Invalid{name}Exception"
    return wanted if any(shape.name == wanted for shape in operation.error_shapes) else None


def _faults(shape: Shape, value: Any, path: str) -> Iterator[Fault]:
    match shape.type_name:
        case "structure":
            yield from _structure_faults(shape, value, path)
        case "list":
            if not isinstance(value, list):
                yield _wrong_type(path, value, "a list")
                return
            yield from _size_faults(shape, value, len(value), path, "length")
            for index, item in enumerate(value, start=1):
                yield from _faults(shape.member, item, f"{path}.{index}.member")
        case "map":
            if not isinstance(value, dict):
                yield _wrong_type(path, value, "a map")
                return
            yield from _size_faults(shape, value, len(value), path, "length")
            for key, item in value.items():
                yield from _faults(shape.value, item, f"{path}.{key}")
        case "string" | "character":
            yield from _string_faults(shape, value, path)
        case "integer" | "long":
            if isinstance(value, bool) or not isinstance(value, int):
                yield _wrong_type(path, value, "an integer")
            elif not -_LARGEST[shape.type_name] - 1 <= value <= _LARGEST[shape.type_name]:
                bits = _LARGEST[shape.type_name].bit_length() + 1
                yield _constraint(path, value, f"Member must be an integer of {bits} bits")
            else:
                yield from _size_faults(shape, value, value, path, "value")
        case "float" | "double":
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield _wrong_type(path, value, "a number")
            else:
                yield from _size_faults(shape, value, value, path, "value")
        case "boolean":
            if not isinstance(value, bool):
                yield _wrong_type(path, value, "true or false")


def _structure_faults(shape: Shape, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _wrong_type(path, value, "a structure")
        return
    for name in shape.required_members:
        if value.get(name) is None:
            at = f"{path}.{name}".lstrip(".")
            why = f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
            yield Fault(at, why, is_missing=True)
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _faults(member, value[name], f"{path}.{name}".lstrip("."))


def _string_faults(shape: Shape, value: Any, path: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield _wrong_type(path, value, "a string")
        return
    if enum := shape.enum:
        if value not in enum:
            yield _constraint(path, value, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        return
    yield from _size_faults(shape, value, len(value), path, "length")
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := _compiled(pattern)) and not compiled.search(value):
        yield _constraint(path, value, f"Member must satisfy regular expression pattern: {pattern}")


def _size_faults(shape: Shape, value: Any, size: float, path: str, what: str) -> Iterator[Fault]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield _constraint(path, value, f"Member must have {what} greater than or equal to {low}")
    if high is not None and size > high:
        yield _constraint(path, value, f"Member must have {what} less than or equal to {high}")


def _constraint(path: str, value: Any, constraint: str) -> Fault:
    return Fault(path, f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}")


def _wrong_type(path: str, value: Any, expected: str) -> Fault:
    return Fault(path, f"{_written(value)} at '{path}' can not be converted to {expected}", is_other_type=True)


def _written(value: Any) -> str:
    """A value as the caller wrote it, shortened."""
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The models' patterns are Java's and unanchored as written; one that Python cannot read is not checked."""
    try:
        return re.compile(pattern if pattern.startswith("^") else rf"\A(?:{pattern})\Z", re.DOTALL)
    except re.error:
        return None

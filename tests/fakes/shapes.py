"""Whether an answer is one that AWS could have given: botocore's output shape, to the letter."""

from __future__ import annotations

from typing import Any

from moto.core.model import Shape

from turnout.aws import Answer, Call
from turnout.gateway.models import find_operation

KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "blob": (bytes, str),
    "list": (list, tuple),
    "map": (dict,),
    "structure": (dict,),
}


def check_answer(call: Call, answer: Answer) -> None:
    """Raise AssertionError naming the member that does not fit. Operations that no client sees are passed over."""
    operation = find_operation(call.service, call.operation)
    if operation is not None:
        _check(operation.output_shape, answer, f"{call.service}.{call.operation}")


def _check(shape: Shape | None, value: Any, path: str) -> None:
    if shape is None:
        assert value in ({}, None), f"{path}: {value!r} where AWS answers nothing"
        return
    if value is None:
        return
    assert isinstance(value, KINDS[shape.type_name]), f"{path}: {value!r} is not a {shape.type_name}"
    if shape.type_name != "boolean":
        assert not isinstance(value, bool), f"{path}: {value!r} is not a {shape.type_name}"
    match shape.type_name:
        case "structure" if not shape.is_document_type:
            unknown = set(value) - set(shape.members)
            assert not unknown, f"{path}: AWS has no member {sorted(unknown)}"
            for name, item in value.items():
                _check(shape.members[name], item, f"{path}.{name}")
        case "list":
            for item in value:
                _check(shape.member, item, f"{path}[]")
        case "map":
            for item in value.values():
                _check(shape.value, item, f"{path}{{}}")
        case "string" if shape.enum:
            assert value in shape.enum, f"{path}: {value!r} is not one of {shape.enum}"

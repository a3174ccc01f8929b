"""AWS's answers, held against botocore's models: a member that AWS does not have cannot be read, nor asked for.

botocore checks what is sent by itself, and drops what it does not know of an answer; what is left to check is the
reader, who may look for a member that will never come, and find None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape


class Modelled(dict[str, Any]):
    """A structure of an answer. Reading a member that its shape does not have fails the test."""

    def __init__(self, value: dict[str, Any], shape: StructureShape) -> None:
        super().__init__({name: modelled(part, shape.members.get(name)) for name, part in value.items()})
        self._shape = shape

    def _check(self, name: str) -> None:
        assert name in self._shape.members or name == "ResponseMetadata", f"AWS's {self._shape.name} has no {name}"

    def __getitem__(self, name: str) -> Any:
        self._check(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._check(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:  # type: ignore[override]
        self._check(name)
        return super().get(name, default)

    def __or__(self, other: Any) -> Any:
        return {**self, **other}


def modelled(value: Any, shape: Shape | None) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return Modelled(value, shape)
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [modelled(part, shape.member) for part in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: modelled(part, shape.value) for name, part in value.items()}
    return value


class ModelledClient:
    """A boto3 client. `called` hears (operation, parameters) of each call."""

    def __init__(self, client: Any, called: Callable[[str, dict[str, Any]], None]) -> None:
        self._client, self._called = client, called

    def __getattr__(self, method: str) -> Any:
        operation = self._client.meta.method_to_api_mapping[method]
        shape = self._client.meta.service_model.operation_model(operation).output_shape

        def call(**params: Any) -> Any:
            self._called(operation, params)
            return modelled(getattr(self._client, method)(**params), shape)

        return call

    def get_paginator(self, method: str) -> Any:
        operation = self._client.meta.method_to_api_mapping[method]
        shape = self._client.meta.service_model.operation_model(operation).output_shape
        paginator, called = self._client.get_paginator(method), self._called

        class Pages:
            def paginate(self, **params: Any) -> Iterator[Any]:
                called(operation, params)
                return (modelled(page, shape) for page in paginator.paginate(**params))

        return Pages()


class ModelledClients:
    """What `turnout --profile` speaks to: AWS's API, and nothing of an engine's own."""

    region = "us-east-1"
    is_engine = False
    registry = None

    def __init__(self, boto: Callable[[str], Any]) -> None:
        self._boto = boto
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def told(self, path: str) -> None:
        return None

    def __call__(self, service: str) -> ModelledClient:
        return ModelledClient(self._boto(service), lambda operation, params: self.calls.append((operation, params)))

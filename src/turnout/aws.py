"""The in-process AWS client: how rooms reach each other, and moto.

Rooms speak through it because that is how the real services compose: what a room asks another is an AWS operation,
parsed from nothing and serialised to nothing, but otherwise the one that every client uses.
A blocking boto3 client inside the loop would wait for itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore import xform_name

from turnout.errors import AwsError, NotOwned
from turnout.names import new_uuid
from turnout.store import Transaction

Answer = dict[str, Any]
"""An answer with AWS's wire names: None is left out, times are unix seconds (float), blobs are bytes."""


@dataclass(frozen=True)
class Call:
    """One request to a room. `input` has AWS's wire names and has been validated against the model."""

    service: str
    operation: str
    region: str
    input: dict[str, Any] = field(default_factory=dict)
    cause: str | None = None
    """Who asks, when a step does ("step:17"): the same cause of the same operation returns the same result."""
    principal: str = "arn:aws:iam::000000000000:root"
    request_id: str = field(default_factory=new_uuid)

    def __getitem__(self, member: str) -> Any:
        return self.input[member]

    def get(self, member: str, default: Any = None) -> Any:
        return self.input.get(member, default)


@dataclass(frozen=True)
class Event:
    """Something happened: AWS's EventBridge event, told to whoever listens inside the same transaction."""

    source: str
    detail_type: str
    region: str
    resources: tuple[str, ...]
    detail: dict[str, Any]
    at: float


class Others(Protocol):
    """Every service that is not ours."""

    def call(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> Answer:
        """Synchronous, in-process; durable when it returns. Raises AwsError as the service would."""


Listener = Callable[[Transaction, Event], None]


class Aws:
    """Dispatches operations to the rooms, and to moto what no room owns."""

    def __init__(self, others: Others) -> None:
        self._others = others
        self._rooms: dict[str, object] = {}
        self._shared: dict[str, object] = {}
        self._listeners: list[Listener] = []
        self.fuse: Callable[[str], None] = lambda point: None
        """Called around every act of a step: a crash test dies there."""

    def own(self, service: str, room: object) -> None:
        """`room` answers every operation of `service`: one method per operation, in snake case."""
        self._rooms[service] = room

    def share(self, service: str, room: object) -> None:
        """`room` answers the operations that it has a method for; moto answers the rest."""
        self._shared[service] = room

    def is_owned(self, service: str) -> bool:
        return service in self._rooms

    def operation_of(self, service: str, operation: str) -> Callable[[Call], Any] | None:
        """The method that answers an operation, or None if moto does. Raises NotOwned."""
        room = self._rooms.get(service) or self._shared.get(service)
        method: Callable[[Call], Any] | None = getattr(room, xform_name(operation), None)
        if method is None and service in self._rooms:
            raise NotOwned(service, operation)
        return method

    async def dispatch(self, call: Call) -> Answer:
        """Answer a validated call: the one way in for the gateway and for rooms."""
        method = self.operation_of(call.service, call.operation)
        if method is None:
            return self._others.call(call.service, call.operation, call.region, call.input)
        answer = method(call)
        if inspect.isawaitable(answer):
            answer = await answer
        return answer or {}

    async def call(
        self, service: str, operation: str, region: str, /, *, cause: str | None = None, **params: Any
    ) -> Answer:
        """aws.call("ecs", "DescribeServices", region, cluster="web", services=["api"]); raises AwsError."""
        if cause is not None:
            self.fuse(f"before {operation}")
        answer = await self.dispatch(Call(service, operation, region, params, cause))
        if cause is not None:
            self.fuse(f"after {operation}")
        return answer

    async def find(self, service: str, operation: str, region: str, /, *, missing: str, **params: Any) -> Answer | None:
        """As `call`, but None when the service answers with the error code `missing`."""
        try:
            return await self.call(service, operation, region, **params)
        except AwsError as error:
            if error.code == missing:
                return None
            raise

    def listen(self, listener: Listener) -> None:
        """Hear every event, inside the transaction that it belongs to."""
        self._listeners.append(listener)

    def announce(self, tx: Transaction, event: Event) -> None:
        """Tell the listeners. What they write is durable together with what happened."""
        for listener in self._listeners:
            listener(tx, event)

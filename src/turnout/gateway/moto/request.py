"""A request to a service that is not ours, as it came, and what can be told from its head. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

Headers = list[tuple[str, str]]
Reply = tuple[int, Headers, bytes]
"""Status, headers, body."""

_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")


@dataclass(frozen=True)
class Request:
    """`service` and `region` are those of the signature's scope, where there was one."""

    method: str
    path_and_query: str
    """Percent-encoded, as it came."""
    headers: Headers
    body: bytes = field(repr=False)
    service: str | None = None
    region: str | None = None

    @cached_property
    def by_name(self) -> dict[str, str]:
        """The headers, by lower-case names."""
        return {name.lower(): value for name, value in self.headers}

    @property
    def path(self) -> str:
        return self.path_and_query.partition("?")[0]

    @property
    def query(self) -> str:
        return self.path_and_query.partition("?")[2]

    @cached_property
    def operation(self) -> str | None:
        """The operation where the protocol names it (JSON, query, CBOR); None where method and path say it (REST)."""
        if target := self.by_name.get("x-amz-target"):
            return target.rpartition(".")[2]
        if self.path.startswith("/service/") and "/operation/" in self.path:
            return self.path.rpartition("/")[2]
        if self.by_name.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            named = _ACTION.search(self.body)
        else:
            named = _ACTION.search(self.query.encode())
        return named[1].decode() if named else None

    @property
    def title(self) -> str:
        """For people: the operation, or method and path."""
        return self.operation or f"{self.method} {self.path}"

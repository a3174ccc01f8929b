"""What the registry's API answers, and how it says no. Pure, but for sending.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnout.errors import AwsError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CODES = {
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "ImageDigestDoesNotMatchException": ("DIGEST_INVALID", 400),
    "LayersNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "InvalidParameterException": ("MANIFEST_INVALID", 400),
}
"""What ECR's operations refuse with → the registry's code and status. The words are the same."""


class Refusal(Exception):
    """`code` is one of the specification's; docker prints it in small letters, with the message behind it."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Request:
    """A request to one repository of the registry, or to the registry itself."""

    method: str
    path: str
    """As the client names the repository: locations begin with it."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By names in small letters."""
    receive: Receive


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Any = None
    """A Path whose bytes `span` are the body."""
    span: tuple[int, int] = (0, 0)


def refusal_of(error: AwsError) -> Refusal:
    code, status = CODES.get(error.code, ("UNKNOWN", error.status))
    return Refusal(status, code, error.message)


def refused(refusal: Refusal) -> Reply:
    errors = [{"code": refusal.code, "message": refusal.message}]
    return json_reply(refusal.status, {"errors": errors}, refusal.headers)


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(document).encode()
    return Reply(status, {"content-type": "application/json; charset=utf-8", **(headers or {})}, body)


def listing(request: Request, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names behind `last`, at most `n`, and the Link to the rest. Raises Refusal."""
    last, asked = request.query.get("last", ""), request.query.get("n")
    rest = [name for name in names if name > last]
    if asked is None:
        return rest, {}
    if not asked.isdecimal():
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", f"n is {asked}: expected a number of results")
    given = rest[: int(asked)]
    if not given or len(given) == len(rest):
        return given, {}
    return given, {"link": f'<{request.path}?n={asked}&last={given[-1]}>; rel="next"'}

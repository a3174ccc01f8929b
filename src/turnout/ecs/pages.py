"""Pages of a list: what fits, and where to go on. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from turnout.aws import Call
from turnout.errors import AwsError

Item = TypeVar("Item")


def page(call: Call, member: str, items: Sequence[str], *, default: int = 100, most: int = 100) -> dict[str, Any]:
    """The answer of a List operation: `member`, and `nextToken` while there is more."""
    return page_of(call, member, items, lambda item: item, default=default, most=most)


def page_of(
    call: Call,
    member: str,
    items: Sequence[Item],
    describe: Callable[[Item], Any],
    *,
    default: int = 100,
    most: int = 100,
) -> dict[str, Any]:
    """As `page`, of what is described only when it is on the page."""
    size = call.get("maxResults") or default
    if not 1 <= size <= most:
        raise AwsError("InvalidParameterException", f"maxResults must be between 1 and {most}.")
    start = _start(call.get("nextToken"))
    answer: dict[str, Any] = {member: [describe(item) for item in items[start : start + size]]}
    if start + size < len(items):
        answer["nextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _start(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error):
        raise AwsError("InvalidParameterException", "Invalid token.") from None

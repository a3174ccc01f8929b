"""Pages of a list: a token names the last item that was given out, so that new items do not shift the rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from turnout.errors import AwsError

Item = TypeVar("Item")


def page(
    items: Sequence[Item], name: Callable[[Item], str], token: str | None, limit: int
) -> tuple[Sequence[Item], str | None]:
    """The items behind `token`, at most `limit`, and the token of the next page if there is one."""
    start = 0
    if token is not None:
        names = [name(item) for item in items]
        if token not in names:
            raise wrong_token(token)
        start = names.index(token) + 1
    given = items[start : start + limit]
    has_more = start + limit < len(items)
    return given, name(given[-1]) if has_more else None


def wrong_token(token: str) -> AwsError:
    return AwsError("InvalidNextTokenException", f"The next token {token} is not one of this list")

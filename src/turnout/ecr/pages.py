"""Pages of a list: a token names the last item that was given out, so that new items do not shift the rest. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from turnout.aws import Call
from turnout.errors import AwsError

Item = TypeVar("Item")

DEFAULT_RESULTS = 100


def page(items: Sequence[Item], name: Callable[[Item], str], call: Call) -> tuple[Sequence[Item], str | None]:
    """The items behind the call's `nextToken`, at most `maxResults`, and the token of the next page if there is one.

    Raises InvalidParameterException.
    """
    start, limit = 0, call.get("maxResults", DEFAULT_RESULTS)
    if token := call.get("nextToken"):
        names = [name(item) for item in items]
        try:
            last = base64.urlsafe_b64decode(token).decode()
            start = names.index(last) + 1
        except (ValueError, binascii.Error) as error:
            raise AwsError("InvalidParameterException", "Invalid parameter at 'nextToken'") from error
    given = items[start : start + limit]
    if start + limit >= len(items):
        return given, None
    return given, base64.urlsafe_b64encode(name(given[-1]).encode()).decode()

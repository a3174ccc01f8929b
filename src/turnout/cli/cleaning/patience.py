"""Asking AWS again when it asks for patience: a clean-up makes more calls in a row than anything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from turnout.cli.clients import is_missing

THROTTLED = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "LimitExceededException",
    "SlowDown",
)
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
MOST_TRIES = 12
"""Some four minutes, beyond the tries that boto3 makes by itself."""


def patiently(call: Callable[..., Any], now: Callable[[str], None], **params: Any) -> Any:
    """The answer of a call, asked again after waits that double while AWS throttles it; `now` is told of the waits."""
    wait_s = FIRST_WAIT_S
    for _ in range(MOST_TRIES - 1):
        try:
            return call(**params)
        except Exception as error:
            if not is_missing(error, *THROTTLED):
                raise
        now(f"AWS asks for patience: again in {wait_s:g} s")
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    return call(**params)

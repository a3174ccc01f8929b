"""What a caller is told while the machine lacks something: 503, which AWS's SDKs try again by themselves."""

from __future__ import annotations

from turnout.errors import AwsError

CODE = "ServiceUnavailable"


def hindered(why: str) -> AwsError:
    """The request may be repeated as it is: what it asked for has not been promised."""
    return AwsError(CODE, f"turnout cannot do that now: {why}. Nothing is lost; try again when that is put right.", 503)

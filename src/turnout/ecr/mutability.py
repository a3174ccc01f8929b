"""Which tags may move. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.errors import AwsError

MOST_FILTERS, MOST_WILDCARDS = 5, 2
WITH_EXCLUSION = "_WITH_EXCLUSION"


def is_immutable(settings: Mapping[str, Any], tag: str) -> bool:
    """Whether a tag of a repository, once it points to an image, points there for good."""
    mutability: str = settings["imageTagMutability"]
    filters = settings.get("imageTagMutabilityExclusionFilters", ())
    is_excluded = mutability.endswith(WITH_EXCLUSION) and any(_matches(one["filter"], tag) for one in filters)
    return mutability.startswith("IMMUTABLE") != is_excluded


def check_mutability(mutability: str, filters: Sequence[Mapping[str, str]] | None) -> None:
    """Raises InvalidParameterException."""
    if mutability.endswith(WITH_EXCLUSION) != bool(filters):
        wants = "needs" if mutability.endswith(WITH_EXCLUSION) else "takes no"
        raise AwsError(
            "InvalidParameterException",
            f"Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint:"
            f" '{mutability} {wants} exclusion filters'",
        )
    if filters and len(filters) > MOST_FILTERS:
        raise AwsError("InvalidParameterException", f"At most {MOST_FILTERS} exclusion filters, got {len(filters)}")
    for one in filters or ():
        if one["filter"].count("*") > MOST_WILDCARDS:
            raise AwsError("InvalidParameterException", f"{one['filter']} has more than {MOST_WILDCARDS} wildcards")


def _matches(pattern: str, tag: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None

"""Task definitions as documents: what RegisterTaskDefinition takes of one that was described, or exported. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANSWERED_ONLY = frozenset(
    [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ]
)
"""Members that DescribeTaskDefinition and the console write, and RegisterTaskDefinition does not take."""


def registrable(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same without those, and without the nulls that editors and Terraform write."""
    kept: dict[str, Any] = _without_nulls({n: part for n, part in document.items() if n not in ANSWERED_ONLY})
    return kept


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value if part is not None] if isinstance(value, list) else value

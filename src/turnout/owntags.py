"""Tags that mean something to turnout, and nothing on AWS. Pure.

Each belongs on one kind of resource and has a few values. A key that begins as theirs do and is none of them would go
unheeded: it is a slip of the pen, and refused wherever such a tag can belong.
"""

from __future__ import annotations

from dataclasses import dataclass

from turnout.traffic import LONG_CONNECTIONS, LONG_CONNECTIONS_TAG

PREFIX = "turnout:"
TARGET_HEALTH_TAG = "turnout:target-health"
"""The tag of a deployment group that says whether a deployment waits for healthy targets where AWS's does not."""
TARGET_HEALTH = ("wait", "ignore")
DEPLOYMENT_GROUP, LISTENER = "deployment group", "listener"


@dataclass(frozen=True)
class OwnTag:
    belongs_on: str
    values: tuple[str, ...]
    """The first is what holds without the tag."""


OWN_TAGS = {
    TARGET_HEALTH_TAG: OwnTag(DEPLOYMENT_GROUP, TARGET_HEALTH),
    LONG_CONNECTIONS_TAG: OwnTag(LISTENER, LONG_CONNECTIONS),
}


def fault_of(key: str, value: str | None, kind: str) -> str | None:
    """Why a tag of a resource of that kind would not do what it says; None if it would, or is the user's own."""
    if not key.startswith(PREFIX):
        return None
    if (tag := OWN_TAGS.get(key)) is None:
        known = " and ".join(f"{name} (of a {one.belongs_on})" for name, one in OWN_TAGS.items())
        return f"{key!r} is no tag that means something to turnout: {known} do. Other keys must not begin with {PREFIX}"
    if tag.belongs_on != kind:
        return f"The tag {key} belongs on a {tag.belongs_on}, not on this {kind}."
    if value not in tag.values:
        return f"The tag {key} of a {kind} must be one of: {', '.join(tag.values)}; not {value!r}."
    return None

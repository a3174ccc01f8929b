"""Tags of everything in the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.records import kind_of
from turnout.loadbalancer.room import Room
from turnout.owntags import LISTENER, fault_of
from turnout.traffic import LONG_CONNECTIONS_TAG

MOST = 50
KINDS = {
    "loadbalancer": "load balancer",
    "listener": LISTENER,
    "listener-rule": "rule",
    "targetgroup": "target group",
}


class Tags(Room):
    """AddTags, RemoveTags, DescribeTags."""

    def add_tags(self, call: Call) -> Answer:
        for arn in call["ResourceArns"]:
            self.check_existing(call.region, arn)
        with self.store.transaction() as tx:
            for arn in call["ResourceArns"]:
                kept = self.records.tags.find(call.region, arn) or {}
                self.records.tags.put(tx, call.region, arn, merged(arn, kept, call["Tags"]))
            self.tell(tx, listeners=_of_policy(call["ResourceArns"], [tag["Key"] for tag in call["Tags"]]))
        return {}

    def remove_tags(self, call: Call) -> Answer:
        for arn in call["ResourceArns"]:
            self.check_existing(call.region, arn)
        with self.store.transaction() as tx:
            for arn in call["ResourceArns"]:
                kept = self.records.tags.find(call.region, arn) or {}
                left = {key: value for key, value in kept.items() if key not in call["TagKeys"]}
                self.records.tags.put(tx, call.region, arn, left)
            self.tell(tx, listeners=_of_policy(call["ResourceArns"], call["TagKeys"]))
        return {}

    def describe_tags(self, call: Call) -> Answer:
        for arn in call["ResourceArns"]:
            self.check_existing(call.region, arn)
        return {
            "TagDescriptions": [
                {
                    "ResourceArn": arn,
                    "Tags": [
                        {"Key": key, "Value": value}
                        for key, value in (self.records.tags.find(call.region, arn) or {}).items()
                    ],
                }
                for arn in call["ResourceArns"]
            ]
        }


def _of_policy(arns: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    """The listeners whose policy is said by these tags."""
    return tuple(arn for arn in arns if kind_of(arn) == "listener") if LONG_CONNECTIONS_TAG in keys else ()


def merged(arn: str, kept: Mapping[str, str], tags: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a resource after some were added. Raises ValidationError, DuplicateTagKeys, TooManyTags."""
    keys = [tag["Key"] for tag in tags]
    for tag in tags:
        if fault := fault_of(tag["Key"], tag.get("Value", ""), KINDS[kind_of(arn)]):
            raise AwsError("ValidationError", fault)
    if len(set(keys)) < len(keys):
        raise AwsError("DuplicateTagKeys", "A tag key was specified more than once")
    now = {**kept, **{tag["Key"]: tag.get("Value", "") for tag in tags}}
    if len(now) > MOST:
        raise AwsError("TooManyTags", f"A resource has {MOST} tags at most")
    return now

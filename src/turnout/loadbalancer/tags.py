"""Tags of everything in the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.room import Room

MOST = 50


class Tags(Room):
    """AddTags, RemoveTags, DescribeTags."""

    def add_tags(self, call: Call) -> Answer:
        for arn in call["ResourceArns"]:
            self.check_existing(call.region, arn)
        with self.store.transaction() as tx:
            for arn in call["ResourceArns"]:
                kept = self.records.tags.find(call.region, arn) or {}
                self.records.tags.put(tx, call.region, arn, merged(kept, call["Tags"]))
        return {}

    def remove_tags(self, call: Call) -> Answer:
        for arn in call["ResourceArns"]:
            self.check_existing(call.region, arn)
        with self.store.transaction() as tx:
            for arn in call["ResourceArns"]:
                kept = self.records.tags.find(call.region, arn) or {}
                left = {key: value for key, value in kept.items() if key not in call["TagKeys"]}
                self.records.tags.put(tx, call.region, arn, left)
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


def merged(kept: Mapping[str, str], tags: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags after some were added. Raises DuplicateTagKeys, TooManyTags."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise AwsError("DuplicateTagKeys", "A tag key was specified more than once")
    now = {**kept, **{tag["Key"]: tag.get("Value", "") for tag in tags}}
    if len(now) > MOST:
        raise AwsError("TooManyTags", f"A resource has {MOST} tags at most")
    return now

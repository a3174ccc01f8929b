"""Tags of certificates, by both families of operations that ACM has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.acm.room import MOST_TAGS, Room
from turnout.aws import Answer, Call
from turnout.errors import AwsError


class Tags(Room):
    def add_tags_to_certificate(self, call: Call) -> Answer:
        return self._add(call, call["CertificateArn"])

    def tag_resource(self, call: Call) -> Answer:
        return self._add(call, call["ResourceArn"])

    def remove_tags_from_certificate(self, call: Call) -> Answer:
        """A tag that is given with its value is removed only if it has that value."""
        certificate = self.one(call.region, call["CertificateArn"])
        gone = {tag["Key"] for tag in call["Tags"] if tag.get("Value") in (None, certificate["Tags"].get(tag["Key"]))}
        self.change(certificate, Tags={key: value for key, value in certificate["Tags"].items() if key not in gone})
        return {}

    def untag_resource(self, call: Call) -> Answer:
        certificate = self.one(call.region, call["ResourceArn"])
        left = {key: value for key, value in certificate["Tags"].items() if key not in call["TagKeys"]}
        self.change(certificate, Tags=left)
        return {}

    def list_tags_for_certificate(self, call: Call) -> Answer:
        return self._list(call, call["CertificateArn"])

    def list_tags_for_resource(self, call: Call) -> Answer:
        return self._list(call, call["ResourceArn"])

    def _add(self, call: Call, arn: str) -> Answer:
        certificate = self.one(call.region, arn)
        self.change(certificate, Tags=checked(certificate["Tags"], call["Tags"]))
        return {}

    def _list(self, call: Call, arn: str) -> Answer:
        tags = self.one(call.region, arn)["Tags"]
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def checked(was: Mapping[str, str], given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags after some were added. Raises InvalidTagException, TooManyTagsException."""
    tags = {**was, **{tag["Key"]: tag.get("Value") or "" for tag in given}}
    if any(key.lower().startswith("aws:") for key in tags):
        raise AwsError("InvalidTagException", "Tag keys that start with aws: are reserved")
    if len(tags) > MOST_TAGS:
        raise AwsError("TooManyTagsException", f"A certificate has at most {MOST_TAGS} tags, this makes {len(tags)}")
    return tags

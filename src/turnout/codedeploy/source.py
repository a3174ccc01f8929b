"""Revisions: where the AppSpec of a deployment is, and its text. Raises what is wrong before anything begins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from turnout.aws import Aws
from turnout.codedeploy.appspec import invalid
from turnout.errors import AwsError

Document = dict[str, Any]

_COMMIT = re.compile(r"\b[0-9a-f]{40}\b")


def checked(revision: Mapping[str, Any] | None) -> Document:
    """A RevisionLocation that an ECS deployment can have: AppSpecContent, or a YAML or JSON file in S3."""
    if not revision:
        raise AwsError("RevisionRequiredException", "A revision is required: an AppSpec, as content or in S3.")
    kind = revision.get("revisionType")
    if kind == "AppSpecContent" and (content := (revision.get("appSpecContent") or {}).get("content")) is not None:
        given: Mapping[str, Any] = revision["appSpecContent"]
        sha256 = {"sha256": given["sha256"]} if given.get("sha256") else {}
        return {"revisionType": kind, "appSpecContent": {"content": content, **sha256}}
    if kind == "S3":
        place = revision.get("s3Location") or {}
        if not place.get("bucket") or not place.get("key"):
            raise invalid("s3Location must name a bucket and a key.")
        if place.get("bundleType") not in ("YAML", "JSON"):
            raise invalid(f"For ECS deployment, the bundleType must be YAML or JSON, not {place.get('bundleType')}.")
        return {"revisionType": kind, "s3Location": dict(place)}
    raise invalid(f"For ECS deployment, the revision must be AppSpecContent or S3, with its location, not {kind}.")


def key_of(revision: Mapping[str, Any]) -> str:
    """The same for the same revision."""
    return json.dumps(revision, sort_keys=True)


async def read(aws: Aws, region: str, revision: Mapping[str, Any]) -> str:
    """The text of the AppSpec of a checked revision. Raises InvalidRevisionException, RevisionDoesNotExistException."""
    if revision["revisionType"] == "AppSpecContent":
        return str(revision["appSpecContent"]["content"])
    place = revision["s3Location"]
    version = {"VersionId": place["version"]} if place.get("version") else {}
    where = f"s3://{place['bucket']}/{place['key']}"
    try:
        answer = await aws.call("s3", "GetObject", region, Bucket=place["bucket"], Key=place["key"], **version)
    except AwsError as error:
        message = f"The revision {where} could not be read: {error.message}"
        raise AwsError("RevisionDoesNotExistException", message) from error
    tag = str(answer.get("ETag", "")).strip('"')
    if place.get("eTag") and place["eTag"].strip('"') != tag:
        raise invalid(f"The eTag of {where} is {tag}, but {place['eTag']} was given.")
    body = answer["Body"]
    return body.decode() if isinstance(body, bytes) else str(body)


def commit_id_of(description: str | None, revision: Mapping[str, Any]) -> str | None:
    """The commit that a deployment brings, where its description or its revision names it."""
    texts = [description or "", str(revision.get("s3Location", {}).get("key", ""))]
    return next((found.group() for text in texts if (found := _COMMIT.search(text))), None)

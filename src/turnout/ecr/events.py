"""What happened to an image, as EventBridge tells it.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
"""

from __future__ import annotations

from turnout.aws import Event
from turnout.ecr.records import Repository


def image_event(
    repository: Repository, action: str, digest: str, tag: str | None, media_type: str, artifact: str | None, at: float
) -> Event:
    """`action` is PUSH or DELETE."""
    detail = {
        "result": "SUCCESS",
        "repository-name": repository.name,
        "image-digest": digest,
        "action-type": action,
        "image-tag": tag,
        "manifest-media-type": media_type,
        "artifact-media-type": artifact,
    }
    known = {name: value for name, value in detail.items() if value is not None}
    return Event("aws.ecr", "ECR Image Action", repository.region, (), known, at)

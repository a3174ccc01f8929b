"""/v2/<name>/manifests/<tag or digest>, /v2/<name>/referrers/<digest>, /v2/<name>/tags/list."""

from __future__ import annotations

import json
from typing import Any

from turnout.ecr.api import Ecr
from turnout.ecr.images import ImageFault
from turnout.ecr.manifests import DIGEST, LARGEST_BYTES, OCI_INDEX, TAG
from turnout.ecr.oci.replies import Refusal, Reply, Request, json_reply, listing
from turnout.ecr.records import Image, Repository


class Manifests:
    def __init__(self, room: Ecr) -> None:
        self._room = room

    async def answer(self, request: Request, repository: Repository, reference: str) -> Reply:
        if request.method in ("GET", "HEAD"):
            return self._get(request, repository, reference)
        if request.method == "PUT":
            return await self._put(request, repository, reference)
        if request.method == "DELETE":
            return self._delete(repository, reference)
        raise Refusal(405, "UNSUPPORTED", f"a manifest has no {request.method}")

    def tags(self, request: Request, repository: Repository, name: str) -> Reply:
        given, headers = listing(request, self._room.records.tags(repository))
        return json_reply(200, {"name": name, "tags": given}, headers)

    def referrers(self, request: Request, repository: Repository, digest: str) -> Reply:
        if not DIGEST.fullmatch(digest):
            raise Refusal(400, "DIGEST_INVALID", f"{digest}: expected sha256: and 64 hex digits")
        wanted = request.query.get("artifactType")
        found = [self._described(repository, one) for one in self._room.records.referrers(repository, digest)]
        chosen = [one for one in found if wanted in (None, one.get("artifactType"))]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": chosen}
        headers = {"content-type": OCI_INDEX} | ({"oci-filters-applied": "artifactType"} if wanted else {})
        return json_reply(200, index, headers)

    def _described(self, repository: Repository, digest: str) -> dict[str, Any]:
        """The descriptor of an image that is about another one."""
        image = self._room.records.image(repository, digest)
        assert image is not None
        annotations = json.loads(self._room.manifest_of(repository, digest)).get("annotations")
        descriptor = {
            "mediaType": image.media_type,
            "digest": digest,
            "size": image.manifest_bytes,
            "artifactType": image.artifact_type,
            "annotations": annotations,
        }
        return {name: value for name, value in descriptor.items() if value is not None}

    def _get(self, request: Request, repository: Repository, reference: str) -> Reply:
        image = self._find(repository, reference)
        body = self._room.manifest_of(repository, image.digest)
        headers = {
            "content-type": image.media_type,
            "content-length": str(len(body)),
            "docker-content-digest": image.digest,
        }
        if request.method == "HEAD":
            return Reply(200, headers)
        self._room.note_pull(repository, image)
        return Reply(200, headers, body)

    async def _put(self, request: Request, repository: Repository, reference: str) -> Reply:
        digest = reference if ":" in reference else None
        tag = None if digest else reference
        if tag is not None and not TAG.fullmatch(tag):
            raise Refusal(400, "TAG_INVALID", f"'{tag}' is not a tag: letters, digits and ._- make one, at most 128")
        body = await _body(request)
        pushed = self._room.pushing.push(repository, body, request.headers.get("content-type"), tag=tag, digest=digest)
        headers = {"location": f"{request.path}/manifests/{pushed.digest}", "docker-content-digest": pushed.digest}
        if pushed.subject:
            headers["oci-subject"] = pushed.subject
        return Reply(201, headers)

    def _delete(self, repository: Repository, reference: str) -> Reply:
        image = self._find(repository, reference)
        key = "imageDigest" if ":" in reference else "imageTag"
        try:
            self._room.delete_image(repository, {key: reference})
        except ImageFault as fault:
            raise Refusal(403, "DENIED", f"{image.digest} cannot be deleted: {fault.reason}") from fault
        return Reply(202)

    def _find(self, repository: Repository, reference: str) -> Image:
        records = self._room.records
        digest = reference if ":" in reference else records.tagged(repository, reference)
        image = None if digest is None else records.image(repository, digest)
        if image is None:
            raise Refusal(404, "MANIFEST_UNKNOWN", "Requested image not found")
        return image


async def _body(request: Request) -> bytes:
    """A manifest is small: more than that is not read."""
    chunks: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client left before the end of its manifest")
        chunks.append(message.get("body", b""))
        if sum(map(len, chunks)) > LARGEST_BYTES:
            raise Refusal(413, "SIZE_INVALID", f"the manifest has more than {LARGEST_BYTES} bytes")
        if not message.get("more_body"):
            return b"".join(chunks)

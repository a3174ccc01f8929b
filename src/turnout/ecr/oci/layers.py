"""/v2/<name>/blobs/<digest>, and /v2/<name>/blobs/uploads/…: layers, whole or in parts, begun here and ended there."""

from __future__ import annotations

import re

from turnout.ecr.api import Ecr
from turnout.ecr.blobs import WrongDigest
from turnout.ecr.manifests import DIGEST
from turnout.ecr.oci.replies import Refusal, Reply, Request
from turnout.ecr.records import Repository
from turnout.ecr.uploads import NoUpload
from turnout.names import ACCOUNT

WRITTEN_AT_ONCE_BYTES = 1 << 20

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(?P<first>\d+)-(?P<last>\d+)(?:/.*)?")


class Layers:
    def __init__(self, room: Ecr) -> None:
        self._room = room
        self._busy: set[str] = set()
        """Uploads that somebody is sending to right now."""

    def answer(self, request: Request, repository: Repository, digest: str) -> Reply:
        """Of a layer that is there."""
        _check(digest)
        size = self._room.uploads.has_layer(repository, digest)
        if size is None:
            raise Refusal(404, "BLOB_UNKNOWN", f"the layer {digest} does not exist in '{repository.name}'")
        if request.method == "DELETE":
            return self._delete(repository, digest)
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "UNSUPPORTED", f"a layer has no {request.method}")
        headers = {
            "content-type": "application/octet-stream",
            "docker-content-digest": digest,
            "accept-ranges": "bytes",
            "etag": f'"{digest}"',
        }
        first, last = 0, size - 1
        status = 200
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        if asked and (asked["first"] or asked["last"]):
            first, last = _span(asked["first"], asked["last"], size)
            status = 206
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        headers["content-length"] = str(last - first + 1)
        if request.method == "HEAD":
            return Reply(status, headers)
        return Reply(status, headers, file=self._room.blobs.path(digest), span=(first, last + 1))

    def _delete(self, repository: Repository, digest: str) -> Reply:
        records = self._room.records
        if uses := records.uses_of(repository, digest):
            raise Refusal(403, "DENIED", f"the layer {digest} is part of the image {uses[0]}: delete that first")
        with self._room.store.transaction() as tx:
            records.delete_layer(tx, repository, digest)
        return Reply(202)

    async def begin(self, request: Request, repository: Repository, source: Repository | None) -> Reply:
        """POST: begin an upload, end it at once (?digest=), or take a layer from another repository (?mount=)."""
        if request.method != "POST":
            raise Refusal(405, "UNSUPPORTED", f"uploads have no {request.method}")
        uploads, mounted = self._room.uploads, request.query.get("mount")
        if mounted and source and DIGEST.fullmatch(mounted) and uploads.mount(repository, source, mounted):
            return _made(request, mounted)
        digest = request.query.get("digest")
        if digest is not None:
            _check(digest)
        upload = uploads.begin(repository)
        if digest is not None:
            return await self._end(request, repository, upload, digest)
        return self._under_way(request, upload, 0, 202)

    async def upload(self, request: Request, repository: Repository, upload: str) -> Reply:
        """Go on: PATCH appends, PUT appends and ends, GET asks how far it is, DELETE breaks off."""
        try:
            received = self._room.uploads.received(repository, upload)
            if request.method == "GET":
                return self._under_way(request, upload, received, 204)
            if upload in self._busy:
                raise Refusal(409, "BLOB_UPLOAD_INVALID", f"somebody else is sending to the upload {upload}")
            self._busy.add(upload)
            try:
                return await self._go_on(request, repository, upload, received)
            finally:
                self._busy.discard(upload)
        except NoUpload as error:
            raise Refusal(
                404,
                "BLOB_UPLOAD_UNKNOWN",
                f"The upload with ID '{upload}' does not exist in the repository with name '{repository.name}'"
                f" in the registry with id '{ACCOUNT}'",
            ) from error

    async def _go_on(self, request: Request, repository: Repository, upload: str, received: int) -> Reply:
        if request.method == "DELETE":
            self._room.uploads.abandon(upload)
            return Reply(204)
        if request.method not in ("PATCH", "PUT"):
            raise Refusal(405, "UNSUPPORTED", f"an upload has no {request.method}")
        if said := request.headers.get("content-range"):
            span = _CONTENT_RANGE.fullmatch(said)
            if span is None or int(span["first"]) != received:
                headers = self._under_way(request, upload, received, 416).headers
                message = f"the part is said to be {said}; the next byte of the upload is {received}"
                raise Refusal(416, "BLOB_UPLOAD_INVALID", message, headers)
        if request.method == "PUT":
            digest = request.query.get("digest", "")
            _check(digest)
            return await self._end(request, repository, upload, digest)
        await self._receive(request, upload)
        return self._under_way(request, upload, self._room.uploads.received(repository, upload), 202)

    async def _end(self, request: Request, repository: Repository, upload: str, digest: str) -> Reply:
        await self._receive(request, upload)
        try:
            await self._room.uploads.finish(repository, upload, digest)
        except WrongDigest as error:
            message = f"the digest of what was uploaded is {error.found}, not {digest} as was said"
            raise Refusal(400, "DIGEST_INVALID", message) from error
        return _made(request, digest)

    async def _receive(self, request: Request, upload: str) -> None:
        """Append the request's body. What has come before the client leaves stays: it can go on from there."""
        held = bytearray()
        while True:
            message = await request.receive()
            is_gone = message["type"] == "http.disconnect"
            held += message.get("body", b"")
            is_last = is_gone or not message.get("more_body")
            if held and (is_last or len(held) >= WRITTEN_AT_ONCE_BYTES):
                await self._room.uploads.append(upload, bytes(held))
                held.clear()
            if is_gone:
                raise ConnectionResetError("the client left before the end of its layer")
            if is_last:
                return

    def _under_way(self, request: Request, upload: str, received: int, status: int) -> Reply:
        headers = {
            "location": f"{request.path}/blobs/uploads/{upload}",
            "range": f"0-{max(0, received - 1)}",
            "docker-upload-uuid": upload,
        }
        return Reply(status, headers)


def _made(request: Request, digest: str) -> Reply:
    return Reply(201, {"location": f"{request.path}/blobs/{digest}", "docker-content-digest": digest})


def _check(digest: str) -> None:
    if not DIGEST.fullmatch(digest):
        raise Refusal(400, "DIGEST_INVALID", f"'{digest}' is not a digest: expected sha256: and 64 hex digits")


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """The bytes that a Range asks for: "a-b", "a-" or "-n", the last n. Raises Refusal."""
    begin = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if begin > end:
        headers = {"content-range": f"bytes */{size}"}
        raise Refusal(416, "RANGE_INVALID", f"the layer has {size} bytes", headers)
    return begin, end

"""The registry that docker, podman and skopeo speak to: OCI's distribution API below /v2/, over ECR's rows and blobs.

Who comes without a token of GetAuthorizationToken is sent away, as by AWS. Bodies stream in both directions.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
"""

from __future__ import annotations

import asyncio
import logging
import re
from urllib.parse import parse_qsl

from turnout.ecr.api import Ecr
from turnout.ecr.oci.layers import Layers
from turnout.ecr.oci.manifests import Manifests
from turnout.ecr.oci.replies import (
    Receive,
    Refusal,
    Reply,
    Request,
    Scope,
    Send,
    json_reply,
    listing,
    refusal_of,
    refused,
)
from turnout.errors import AwsError
from turnout.hindrances import hindrance
from turnout.registry import Expired, NotOurs

log = logging.getLogger(__name__)

READ_AT_ONCE_BYTES = 1 << 20

_PATH = re.compile(
    r"/v2/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"/(?:(?P<kind>manifests|blobs|referrers)/(?P<reference>[^/]+)|blobs/uploads/(?P<upload>[^/]*)|(?P<tags>tags/list))"
)


class RegistryHttp:
    """An ASGI application for /v2/…"""

    def __init__(self, room: Ecr) -> None:
        self._room = room
        self._manifests = Manifests(room)
        self._layers = Layers(room)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            reply = await self._answer(Request(scope["method"], scope["path"], query, headers, receive))
        except ConnectionResetError:
            return
        except Refusal as refusal:
            reply = refused(refusal)
        except AwsError as error:
            reply = refused(refusal_of(error))
        except Exception as error:
            if (why := hindrance(error)) is not None:
                log.warning("%s %s: %s", scope["method"], scope["path"], why)
                reply = refused(Refusal(503, "UNAVAILABLE", f"turnout cannot do that now: {why}"))
            else:
                log.exception("%s %s", scope["method"], scope["path"])
                reply = refused(Refusal(500, "UNKNOWN", "a bug in turnout; the traceback is in the engine's log"))
        await _send(send, reply)

    async def _answer(self, request: Request) -> Reply:
        self._admit(request)
        if request.path in ("/v2", "/v2/"):
            return json_reply(200, {})
        registry, records = self._room.config.registry, self._room.records
        if request.path == "/v2/_catalog":
            every = sorted(registry.path(one.region, one.name) for one in records.repositories())
            given, headers = listing(request, every)
            return json_reply(200, {"repositories": given}, headers)
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise Refusal(404, "NAME_INVALID", f"there is nothing at {request.path}")
        host = request.headers.get("host", "")
        account, region, name = registry.repository_at(found["name"], host)
        repository = records.get(region, name, account)
        here = Request(request.method, f"/v2/{found['name']}", request.query, request.headers, request.receive)
        if found["tags"]:
            return self._manifests.tags(request, repository, found["name"])
        if found["kind"] == "manifests":
            return await self._manifests.answer(here, repository, found["reference"])
        if found["kind"] == "referrers":
            return self._manifests.referrers(here, repository, found["reference"])
        if found["upload"]:
            return await self._layers.upload(here, repository, found["upload"])
        if found["upload"] is not None or found["reference"] == "uploads":
            account, region, name = registry.repository_at(request.query.get("from", ""), host)
            source = records.find(region, name)
            return await self._layers.begin(here, repository, source)
        return self._layers.answer(here, repository, found["reference"])

    def _admit(self, request: Request) -> None:
        """Raises Refusal."""
        tokens, now = self._room.tokens, self._room.clock.now()
        try:
            if token := request.query.get("token"):
                tokens.check(token, now)
            else:
                tokens.check_basic(request.headers.get("authorization", ""), now)
        except Expired as error:
            message = "Your authorization token has expired. Reauthenticate and try again."
            raise Refusal(403, "DENIED", message) from error
        except NotOurs as error:
            realm = f'Basic realm="{self._room.config.endpoint}/",service="ecr.amazonaws.com"'
            raise Refusal(401, "UNAUTHORIZED", "Not Authorized", {"www-authenticate": realm}) from error


async def _send(send: Send, reply: Reply) -> None:
    about = {"docker-distribution-api-version": "registry/2.0", **reply.headers}
    if reply.status != 204:
        about.setdefault("content-length", str(len(reply.body)))
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in about.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.file is not None:
        first, end = reply.span
        with reply.file.open("rb") as file:
            file.seek(first)
            while first < end:
                chunk = await asyncio.to_thread(file.read, min(READ_AT_ONCE_BYTES, end - first))
                if not chunk:
                    raise OSError(f"{reply.file} has become shorter")
                first += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})

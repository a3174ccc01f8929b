"""git over HTTP: the gateway hands over what is below /v1/repos/, and the host's `git http-backend` answers it.

Bodies stream in both directions, so a clone or push of any size takes the memory of a chunk. After a push, and before
the client gets the end of the answer, the changed refs are announced.
https://git-scm.com/docs/git-http-backend
"""

from __future__ import annotations

import asyncio
import logging
import re
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from turnout.codecommit.api import CodeCommit
from turnout.codecommit.credentials import is_allowed
from turnout.codecommit.records import Repository
from turnout.codecommit.serving import CHUNK_BYTES, end_git, not_there, start_git

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST_HEAD_BYTES = 32 * 1024

_PATH = re.compile(
    r"(?P<repository>/v1/repos/(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/)?(?P<name>[\w.-]+))"
    r"/(?P<rest>info/refs|git-upload-pack|git-receive-pack)"
)
_HOST = re.compile(r"git-codecommit\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.")


@dataclass(frozen=True)
class Head:
    """What `git http-backend` says before the body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    """The body's first bytes, read together with the headers."""


class GitHttp:
    """An ASGI application for /v1/repos/<name>/… and, beyond the default region, /v1/repos/<region>/<name>/…"""

    def __init__(self, codecommit: CodeCommit) -> None:
        self._codecommit = codecommit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            await _refuse(send, 404, "Nothing here speaks git. A repository is at /v1/repos/<name>.")
            return
        host = _HOST.match(headers.get("host", ""))
        region = found["region"] or (host and host["region"])
        repository = self._codecommit.records.served(region, found["name"])
        config = self._codecommit.config
        signed_region = repository.region if repository else region or config.region
        now = self._codecommit.clock.now()
        if not is_allowed(config.keys, headers, found["repository"], signed_region, now):
            challenge = [(b"www-authenticate", b'Basic realm="turnout CodeCommit"')]
            await _refuse(
                send, 401, "This turnout wants an access key: its id as user, its secret as password.", challenge
            )
            return
        if repository is None:
            await _refuse(send, 404, not_there(found["name"], region or config.region))
            return
        await self._serve(repository, found["rest"], scope, headers, receive, send)

    async def _serve(
        self,
        repository: Repository,
        rest: str,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        is_push = rest == "git-receive-pack"
        process = await start_git(
            self._codecommit.git,
            repository,
            "http-backend",
            environment=cgi_environment(repository, rest, scope, headers),
        )
        feeding = asyncio.create_task(_feed(process, receive, may_be_ended=not is_push))
        complaints = asyncio.create_task(_complaints(process))
        try:
            head = await _head(process)
            if head is None:
                said = await complaints
                log.error("git http-backend of %s failed: %s", repository.name, said)
                await _refuse(send, 500, f"git could not serve {repository.name}: {said or 'see the log of turnout'}")
                return
            await send({"type": "http.response.start", "status": head.status, "headers": head.headers})
            chunk = head.body
            while chunk or (chunk := await _read(process)):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = b""
            await process.wait()
        finally:
            end_git(process)
            feeding.cancel()
            await asyncio.gather(feeding, complaints, process.wait(), return_exceptions=True)
            if is_push:
                await self._codecommit.announcements.announce(repository)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def cgi_environment(
    repository: Repository, rest: str, scope: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, str]:
    """The request as `git http-backend` reads it."""
    environment = {
        "GIT_PROJECT_ROOT": str(repository.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.path.name}/{rest}",
        "REQUEST_METHOD": scope["method"],
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REMOTE_USER": "root",
        "REMOTE_ADDR": (scope.get("client") or ("127.0.0.1", 0))[0],
    }
    for variable, header in {
        "CONTENT_TYPE": "content-type",
        "CONTENT_LENGTH": "content-length",
        "HTTP_CONTENT_ENCODING": "content-encoding",
        "HTTP_ACCEPT": "accept",
        "GIT_PROTOCOL": "git-protocol",
        "HTTP_GIT_PROTOCOL": "git-protocol",
    }.items():
        if header in headers:
            environment[variable] = headers[header]
    return environment


def parsed_head(head: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """CGI's headers; the status is one of them, 200 if it is not there."""
    status = 200
    headers = []
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        elif value:
            headers.append((name.strip().lower(), value.strip()))
    return status, headers


async def _head(process: Process) -> Head | None:
    """None if git ended without saying anything that makes sense."""
    read = b""
    while len(read) < MOST_HEAD_BYTES:
        for end in (b"\r\n\r\n", b"\n\n"):
            if end in read:
                head, _, body = read.partition(end)
                return Head(*parsed_head(head), body)
        chunk = await _read(process)
        if not chunk:
            return None
        read += chunk
    return None


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.read(CHUNK_BYTES)


async def _feed(process: Process, receive: Receive, *, may_be_ended: bool) -> None:
    """Hand the request's body to git. A client that leaves before its end, or before that of a clone, ends git."""
    assert process.stdin is not None
    is_whole = False
    with suppress(ConnectionError):
        while not is_whole:
            message = await receive()
            if message["type"] == "http.disconnect":
                end_git(process)
                return
            process.stdin.write(message.get("body", b""))
            await process.stdin.drain()
            is_whole = not message.get("more_body", False)
    process.stdin.close()
    while may_be_ended:
        if (await receive())["type"] == "http.disconnect":
            end_git(process)
            return


async def _complaints(process: Process) -> str:
    """What git wrote to stderr: its end, for the log."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(CHUNK_BYTES):
        kept = (kept + chunk)[-4096:]
    return kept.decode("utf-8", "replace").strip()


async def _refuse(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """A plain text: git prints it as "remote: …"."""
    body = text.encode() + b"\n"
    about = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*about, *(headers or [])]})
    await send({"type": "http.response.body", "body": body, "more_body": False})

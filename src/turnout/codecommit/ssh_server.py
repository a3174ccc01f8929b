"""git over SSH: who may speak, and what a command does. The one module that knows asyncssh.

A user is the id of an IAM SSH public key (APKA…), as on AWS; whoever has its private half may clone and push every
repository, because IAM's policies are kept and not enforced.
https://docs.aws.amazon.com/codecommit/latest/userguide/setting-up-ssh-unixes.html
"""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
import socket
from asyncio import StreamReader
from asyncio.subprocess import Process
from contextlib import suppress

import asyncssh

from turnout.codecommit.api import CodeCommit
from turnout.codecommit.host_key import HostKey
from turnout.codecommit.serving import CHUNK_BYTES, end_git, not_there, start_git
from turnout.codecommit.ssh_keys import SshKeys
from turnout.hindrances import hindrance

log = logging.getLogger(__name__)

GREETING = (
    "You have successfully authenticated over SSH. You can use Git to interact with CodeCommit."
    " Interactive shells are not supported."
)
SERVICES = ("git-upload-pack", "git-receive-pack")
LAST_PUSHES_S = 5.0
"""How long the end of the engine waits for what is under way."""
SILENCE_S = 60.0
"""How often a client that says nothing is asked whether it is there still."""

_PATH = re.compile(r"/?v1/repos/(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/)?(?P<name>[\w.-]+)/?")
_LOST = (OSError, asyncssh.Error, asyncssh.BreakReceived, asyncssh.SignalReceived, asyncssh.TerminalSizeChanged)


class GitServer:
    """Answers on a socket that is bound already."""

    def __init__(self, codecommit: CodeCommit, keys: SshKeys, host_key: HostKey) -> None:
        self._codecommit = codecommit
        self._keys = keys
        self._host_key = host_key
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self, listening: socket.socket) -> None:
        self._acceptor = await asyncssh.listen(
            sock=listening,
            server_factory=lambda: _Client(self._keys, self._codecommit.config.region, self._connections),
            process_factory=self._begin,
            server_host_keys=[asyncssh.import_private_key(self._host_key.private)],
            server_version="turnout",
            encoding=None,
            allow_pty=False,
            allow_scp=False,
            agent_forwarding=False,
            keepalive_interval=SILENCE_S,
        )

    async def close(self) -> None:
        """No new connections; what is under way has a while. What is broken off then leaves its refs as they were."""
        if self._acceptor is not None:
            self._acceptor.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=LAST_PUSHES_S)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _begin(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        """A task of its own: asyncssh ends its own tasks with the connection, and a push is to be announced all the
        same."""
        task = asyncio.create_task(self._answer(client), name="git over ssh")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _answer(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            status, said = await self._serve(client)
        except Exception as error:
            log.exception("git over ssh failed at %s", client.command)
            status, said = 1, f"turnout could not serve this: {hindrance(error) or 'see the log of the engine'}"
        with suppress(*_LOST):
            if said:
                client.stderr.write(said.encode() + b"\n")
            client.exit(status)

    async def _serve(self, client: asyncssh.SSHServerProcess[bytes]) -> tuple[int, str]:
        """The exit status, and a last word."""
        if client.command is None:
            return 1, GREETING
        asked = wanted(client.command)
        if asked is None:
            return 1, f"CodeCommit runs {' and '.join(SERVICES)}, and nothing else: {client.command!r} is refused."
        service, region, name = asked
        if name is None:
            return 1, f"No repository is at {region}. One is at /v1/repos/<name>."
        repository = self._codecommit.records.served(region, name)
        if repository is None:
            return 1, not_there(name, region or self._codecommit.config.region)
        version = client.env.get("GIT_PROTOCOL", "")
        environment = {"GIT_PROTOCOL": version} if re.fullmatch(r"[\w=:.]*", version) else {}
        is_push = service == "git-receive-pack"
        git = await start_git(
            self._codecommit.git,
            repository,
            service.removeprefix("git-"),
            str(repository.path),
            environment=environment,
        )
        assert git.stdout is not None
        assert git.stderr is not None
        feeding = asyncio.create_task(_feed(client, git, may_be_ended=not is_push))
        try:
            await asyncio.gather(_lead(git.stdout, client.stdout), _lead(git.stderr, client.stderr), git.wait())
        finally:
            end_git(git)
            feeding.cancel()
            await asyncio.gather(feeding, git.wait(), return_exceptions=True)
            if is_push:
                principal: str = client.get_extra_info("principal")
                await self._codecommit.announcements.announce(repository, principal)
        return abs(git.returncode or 0), ""


class _Client(asyncssh.SSHServer):
    """One connection, until it has shown its key."""

    def __init__(self, keys: SshKeys, region: str, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._keys = keys
        self._region = region
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection
        self._is_told = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        found = self._keys.find(username, self._region)
        if found is not None and asyncssh.import_public_key(found.public) == key:
            self._connection.set_extra_info(principal=found.principal)
            return True
        if found is None:
            self._tell(
                f"{username[:64]!a} is no active SSH public key of an IAM user. The user of an SSH connection is"
                " the id of a key, which `aws iam upload-ssh-public-key` returns (APKA...), not the user's name."
            )
        else:
            self._tell(
                f"The key that you offer ({key.get_fingerprint('md5')}) is not {username}:"
                " `aws iam get-ssh-public-key` shows its fingerprint, IdentityFile in ~/.ssh/config names yours."
            )
        return False

    def _tell(self, text: str) -> None:
        """ssh prints it before its own "Permission denied (publickey)"."""
        if not self._is_told:
            self._is_told = True
            self._connection.send_auth_banner(f"turnout: {text}\n")


def wanted(command: str) -> tuple[str, str | None, str | None] | None:
    """(service, region or None, name) of git's command; (service, path, None) if the path is nobody's; None if it is
    none of git's."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:1] == ["git"] and len(words) > 1:
        words = [f"git-{words[1]}", *words[2:]]
    if len(words) != 2 or words[0] not in SERVICES:
        return None
    found = _PATH.fullmatch(words[1])
    return (words[0], found["region"], found["name"]) if found else (words[0], words[1], None)


async def _feed(client: asyncssh.SSHServerProcess[bytes], git: Process, *, may_be_ended: bool) -> None:
    """Hand git what the client says. A push that is broken off ends where git misses its rest: no ref has moved."""
    assert git.stdin is not None
    try:
        while chunk := await client.stdin.read(CHUNK_BYTES):
            git.stdin.write(chunk)
            await git.stdin.drain()
    except _LOST:
        if may_be_ended:
            end_git(git)
    git.stdin.close()


async def _lead(said: StreamReader, client: asyncssh.SSHWriter[bytes]) -> None:
    """Hand the client what git says; when there is nobody any more, git gets rid of it all the same."""
    is_there = True
    while chunk := await said.read(CHUNK_BYTES):
        if is_there:
            try:
                client.write(chunk)
                await client.drain()
            except _LOST:
                is_there = False

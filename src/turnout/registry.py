"""ECR's registries on this machine: where they are, what an image in one is called, and who may use them.

On AWS every account has a registry per region, with a host name of its own. Here all of them are at the gateway's
address, which Docker takes without TLS because it is loopback's: a repository of the engine's own region is
127.0.0.1:4566/hello, one of another region 127.0.0.1:4566/eu-west-1/hello.

An authorization token says until when it is good, and is sealed with a secret that only this home knows.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from turnout.names import ACCOUNT

USER = "AWS"
GOOD_FOR_S = 12 * 3600.0
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html"""

_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "host.docker.internal")


@dataclass(frozen=True)
class Registry:
    """`address` is host:port of the gateway; `region` the one whose repositories need no region in their name."""

    address: str
    region: str

    def uri(self, region: str, repository: str) -> str:
        """What docker pushes to and pulls from."""
        return f"{self.address}/{self.path(region, repository)}"

    def path(self, region: str, repository: str) -> str:
        return repository if region == self.region else f"{region}/{repository}"

    def repository_at(self, path: str, host: str = "") -> tuple[str, str, str]:
        """(account, region, name) of what a path of the registry's API means at a host."""
        if found := _HOST.match(host):
            return found["account"], found["region"], path
        first, slash, rest = path.partition("/")
        if slash and is_region_part(first):
            return ACCOUNT, first, rest
        return ACCOUNT, self.region, path

    def is_here(self, host: str) -> bool:
        """Whether a registry's host:port is this machine's gateway, by whichever of its names."""
        name, _, port = host.rpartition(":")
        return host == self.address or (name in _LOOPBACK and port == self.address.rpartition(":")[2])


def is_region_part(part: str) -> bool:
    """Whether the first part of a repository's name would be taken for a region."""
    return _REGION.fullmatch(part) is not None


class Expired(Exception):
    """The token was a good one."""


class NotOurs(Exception):
    """Nothing that this home has ever given out."""


class Tokens:
    """`secret` is a file, made when it is first needed."""

    def __init__(self, secret: Path) -> None:
        self._secret = secret

    def mint(self, now: float, good_for_s: float = GOOD_FOR_S) -> tuple[str, float]:
        """A password for the user AWS, and when it expires."""
        until = float(int(now + good_for_s))
        payload = base64.urlsafe_b64encode(json.dumps({"until": until, "salt": secrets.token_hex(8)}).encode()).decode()
        return f"{payload}.{self._seal(payload)}", until

    def check(self, token: str, now: float) -> None:
        """Raises Expired or NotOurs."""
        payload, _, seal = token.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(payload).encode()):
            raise NotOurs
        if json.loads(base64.urlsafe_b64decode(payload))["until"] <= now:
            raise Expired

    def check_basic(self, authorization: str, now: float) -> None:
        """The same of an Authorization header: "Basic " and AWS:token, encoded."""
        kind, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise NotOurs from error
        if kind.lower() != "basic" or user != USER:
            raise NotOurs
        self.check(password, now)

    def _seal(self, payload: str) -> str:
        return hmac.digest(self._key(), payload.encode(), "sha256").hex()

    def _key(self) -> bytes:
        try:
            return self._secret.read_bytes()
        except FileNotFoundError:
            self._secret.parent.mkdir(parents=True, exist_ok=True)
            draft = self._secret.with_name(f".{secrets.token_hex(8)}")
            draft.touch(mode=0o600)
            draft.write_bytes(secrets.token_bytes(32))
            try:
                os.link(draft, self._secret)  # whoever was first has made it
            except FileExistsError:
                pass
            finally:
                draft.unlink()
            return self._secret.read_bytes()

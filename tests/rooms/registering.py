"""A client of the registry's API, without a socket: what docker says, word by word."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.conftest import World

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        """(code, message)"""
        (error,) = self.document["errors"]
        return error["code"], error["message"]


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def described(kind: str, body: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(body), "size": len(body)}


class RegistryClient:
    def __init__(self, world: World, region: str = "us-east-1") -> None:
        self.world = world
        (data,) = world.boto("ecr", region).get_authorization_token()["authorizationData"]
        self.authorization = f"Basic {data['authorizationToken']}"
        self.host = data["proxyEndpoint"].removeprefix("http://")

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, **more: str
    ) -> Answered:
        """`path` is below /v2/, or begins with a slash."""
        url = path if path.startswith("/") else f"/v2/{path}"
        sent = {"Host": self.host, "Authorization": self.authorization, **(headers or {}), **more}
        return Answered(*self.world.run(self.world.request(method, f"http://{self.host}{url}", sent, body)))

    def push_layer(self, name: str, body: bytes) -> str:
        """As docker does it: begin, one PATCH, end. The digest."""
        begun = self.ask("POST", f"{name}/blobs/uploads/")
        assert begun.status == 202, begun
        sent = self.ask("PATCH", begun.headers["location"], body)
        assert sent.status == 202, sent
        ended = self.ask("PUT", f"{sent.headers['location']}?digest={digest_of(body)}")
        assert ended.status == 201, ended
        return ended.headers["docker-content-digest"]

    def put(self, name: str, reference: str, manifest: Mapping[str, Any]) -> Answered:
        body = json.dumps(manifest).encode()
        return self.ask("PUT", f"{name}/manifests/{reference}", body, {"Content-Type": manifest["mediaType"]})

    def image(self, name: str, content: bytes, **members: Any) -> dict[str, Any]:
        """The manifest of an image whose layers have been pushed."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode()
        for body in (config, content):
            self.push_layer(name, body)
        return {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": described(CONFIG, config),
            "layers": [described(LAYER, content)],
            **members,
        }

    def push(self, name: str, tag: str, content: bytes = b"one", **members: Any) -> str:
        """The digest of the pushed image."""
        pushed = self.put(name, tag, self.image(name, content, **members))
        assert pushed.status == 201, pushed
        return pushed.headers["docker-content-digest"]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

"""Manifests of images and of indices: what they name. Pure.

https://github.com/opencontainers/image-spec/blob/main/manifest.md
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
IMAGES = (OCI_IMAGE, DOCKER_IMAGE)
INDICES = (OCI_INDEX, DOCKER_LIST)

LARGEST_BYTES = 4 << 20
"""What OCI asks of registries; ECR's limit of PutImage is the same."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")

_LEFT_ELSEWHERE = ("foreign", "nondistributable")
"""Layers of these media types are fetched from their `urls`, and never pushed."""


class BadManifest(Exception):
    """What is wrong with it."""


@dataclass(frozen=True)
class Manifest:
    media_type: str
    length: int
    blobs: tuple[str, ...]
    """Digests of its configuration and layers."""
    images: tuple[str, ...]
    """Digests of the manifests that an index names."""
    size_bytes: int
    """Of its layers, as it says itself."""
    artifact_type: str | None
    subject: str | None


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def parse_manifest(body: bytes, media_type: str | None) -> Manifest:
    """`media_type`: what the client calls it; the manifest's own word wins. Raises BadManifest."""
    if len(body) > LARGEST_BYTES:
        raise BadManifest(f"the manifest has {len(body)} bytes; {LARGEST_BYTES} are the most")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise BadManifest(f"the manifest is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadManifest("the manifest is not a JSON object")
    given = (media_type or "").partition(";")[0].strip() or None
    said = document.get("mediaType")
    if said is not None and given is not None and said != given:
        raise BadManifest(f"the manifest says that it is {said}, and the request says {given}")
    kind = said or given
    if document.get("schemaVersion") != 2 or kind not in (*IMAGES, *INDICES):
        raise BadManifest(
            f"a manifest of schemaVersion {document.get('schemaVersion')} and media type {kind} is not supported:"
            f" {', '.join((*IMAGES, *INDICES))} are"
        )
    subject = document.get("subject")
    about = None if subject is None else _digest(subject, "subject")
    if kind in INDICES:
        children = _list(document, "manifests")
        images = tuple(_digest(child, f"manifests[{n}]") for n, child in enumerate(children))
        return Manifest(kind, len(body), (), images, 0, document.get("artifactType"), about)
    config, layers = document.get("config"), _list(document, "layers")
    blobs = [_digest(config, "config")]
    size_bytes = 0
    for number, layer in enumerate(layers):
        digest = _digest(layer, f"layers[{number}]")
        size_bytes += layer["size"]
        if not any(word in str(layer.get("mediaType")) for word in _LEFT_ELSEWHERE):
            blobs.append(digest)
    artifact_type = document.get("artifactType") or (config or {}).get("mediaType")
    return Manifest(kind, len(body), tuple(blobs), (), size_bytes, artifact_type, about)


def _list(document: dict[str, Any], member: str) -> list[Any]:
    found = document.get(member, [])
    if not isinstance(found, list):
        raise BadManifest(f"{member} is not a list")
    return found


def _digest(descriptor: Any, where: str) -> str:
    if not isinstance(descriptor, dict):
        raise BadManifest(f"{where} is not a descriptor (mediaType, size, digest)")
    digest, size = descriptor.get("digest"), descriptor.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise BadManifest(f"{where} has the digest {digest!r}: expected sha256: and 64 hex digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadManifest(f"{where} has the size {size!r}: expected a number of bytes")
    return digest

"""An OCI image layout on disk.

    oci-layout, index.json    as the OCI image specification has them; a tag is an entry's annotation
    blobs/sha256/<hex>        manifests, configurations, layers

https://github.com/opencontainers/image-spec/blob/main/image-layout.md

Blobs appear whole under their names; index.json is changed under a lock, by one process at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from turnout.clock import iso8601
from turnout.errors import StepFailed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

TAG = "org.opencontainers.image.ref.name"
WAS = "dev.turnout.image.was"
"""The tag that an entry had until another image got it."""
TAGGED_AT = "dev.turnout.image.tagged-at"


class Layout:
    """Blobs by digest, and an index of tags."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, digest: str) -> None:
        with self.blob(digest).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != f"sha256:{found}":
            raise StepFailed(
                "CannotPullContainerError", f"failed to extract layer {digest}: its contents are sha256:{found}"
            )

    def blob(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    @contextmanager
    def draft(self) -> Iterator[IO[bytes]]:
        """A file without a reader yet; gone in the end unless it was kept."""
        blobs = self.folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".draft-", dir=blobs, delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def keep(self, file: IO[bytes]) -> dict[str, Any]:
        """Give a draft its name: its digest. Returns the digest and size of its descriptor."""
        file.flush()
        os.fsync(file.fileno())
        with Path(file.name).open("rb") as reading:
            digest = hashlib.file_digest(reading, "sha256").hexdigest()
        os.fchmod(file.fileno(), 0o444)
        Path(file.name).replace(self.blob(digest))
        return {"digest": f"sha256:{digest}", "size": self.blob(digest).stat().st_size}

    @contextmanager
    def locked(self, how: int = fcntl.LOCK_SH) -> Iterator[bool]:
        """Whoever makes blobs that nothing names yet holds this, shared; whoever removes such, alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "in-use.lock").open("a") as lock:
            try:
                fcntl.flock(lock, how)
            except BlockingIOError:
                yield False
                return
            yield True

    def named(self) -> set[str]:
        """The digests of everything that the index leads to."""
        found = set()
        for entry in self.index():
            found.add(str(entry["digest"]))
            try:
                manifest = json.loads(self.blob(entry["digest"]).read_text())
            except FileNotFoundError:
                continue
            found |= {part["digest"] for part in (manifest["config"], *manifest["layers"])}
        return found

    def put(self, document: Mapping[str, Any]) -> dict[str, Any]:
        with self.draft() as file:
            file.write(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
            return self.keep(file)

    def index(self) -> list[dict[str, Any]]:
        """Every entry, oldest first."""
        try:
            entries: list[dict[str, Any]] = json.loads((self.folder / "index.json").read_text())["manifests"]
        except FileNotFoundError:
            return []
        return entries

    def tag(self, tagged: str, descriptor: Mapping[str, Any]) -> None:
        """Point a tag to an image. What it pointed to before stays in the index, without the tag."""
        with (self.folder / "index.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self.index()
            for entry in entries:
                notes = entry["annotations"]
                if notes.get(TAG) == tagged:
                    if entry["digest"] == descriptor["digest"]:
                        return
                    notes[WAS] = notes.pop(TAG)
            entries.append({**descriptor, "annotations": {TAG: tagged, TAGGED_AT: iso8601(time.time())}})
            _write(self.folder / "oci-layout", {"imageLayoutVersion": "1.0.0"})
            _write(self.folder / "index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Whole or not at all. The caller holds the lock."""
    draft = path.with_name(f".draft-{path.name}")
    with draft.open("w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)

"""The images of a home: made by `turnout pack`, resolved and unpacked by the engine.

Beside the layout lies unpacked/<hex>/, the file system of an image, read-only, made at its first start. Several
processes write at the same time (builds pack, the engine unpacks): everything appears whole under its name. What a
crash leaves behind are drafts (.draft-*), which nobody reads.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.errors import StepFailed
from turnout.runtimes.ignoring import parse_ignored
from turnout.runtimes.layers import unpack_layer, write_layer
from turnout.runtimes.layout import MANIFEST, TAG, TAGGED_AT, WAS, Layout
from turnout.runtimes.references import Reference, parse_reference
from turnout.runtimes.trees import remove_tree

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """What a runtime needs to know of an image."""

    reference: Reference
    """By digest."""
    manifest: str
    command: tuple[str, ...]
    entry_point: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str
    layers: tuple[str, ...]
    """Digests, lowest first."""
    blobs: tuple[str, ...]
    """Digests of all that the manifest names: the configuration, and the layers."""
    is_packed: bool
    """Made by `turnout pack`: an application folder without a userland of its own."""


class Images:
    """The images of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder)
        self._packed: dict[str, bool] = {}

    def pack(
        self,
        folder: Path,
        command: Sequence[str],
        tag: str,
        region: str,
        environment: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Image:
        """Make an image of an application folder under `tag` (repository:tag). The same contents make the same digest.

        Raises ValueError when `tag` is not one; OSError when the folder cannot be read.
        """
        reference = parse_reference(tag, region)
        if reference.digest:
            raise ValueError(f"{tag!r} names an image by digest, which is the outcome of packing: give repository:tag")
        ignore_file = folder / ".dockerignore"
        lines = ignore_file.read_text().splitlines() if ignore_file.is_file() else []
        with self.layout.locked():
            with self.layout.draft() as file:
                write_layer(folder.resolve(), parse_ignored(lines), self.folder.parent.resolve(), file)
                layer = self.layout.keep(file)
            with gzip.open(self.layout.blob(layer["digest"])) as plain:
                contents = hashlib.file_digest(plain, "sha256").hexdigest()
            config = {
                "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {
                    "Cmd": list(command),
                    "Env": [f"{name}={value}" for name, value in sorted((environment or {}).items())],
                    "WorkingDir": "/app",
                    "Labels": {"dev.turnout.packed": "1", **(labels or {})},
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{contents}"]},
            }
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, **self.layout.put(config)},
                "layers": [{"mediaType": LAYER, **layer}],
            }
            descriptor = self.layout.put(manifest)
            self.layout.tag(reference.tagged, {"mediaType": MANIFEST, **descriptor})
        return self.get(reference.at(descriptor["digest"]))

    def resolve(self, image: str, region: str) -> Reference:
        """An image by digest: what its tag points to now. Raises StepFailed in the words of ECS."""
        try:
            reference = parse_reference(image, region)
        except ValueError as error:
            raise StepFailed("CannotPullContainerError", f"invalid reference format: {error}") from error
        if reference.digest is None:
            entries = [entry for entry in self.layout.index() if entry["annotations"].get(TAG) == reference.tagged]
            if not entries:
                raise _not_found(reference)
            reference = reference.at(entries[0]["digest"])
        if not self.layout.blob(str(reference.digest)).exists():
            raise _not_found(reference)
        return reference

    def has_packed(self, reference: Reference) -> bool:
        """Whether an image by its digest is here, and was made by `turnout pack`: others lie here because ECR does."""
        digest = reference.digest
        if digest is None or not self.layout.blob(digest).exists():
            return False
        if digest not in self._packed:
            try:
                self._packed[digest] = self.get(reference).is_packed
            except (StepFailed, ValueError, KeyError):
                return False
        return self._packed[digest]

    def get(self, reference: Reference) -> Image:
        """An image by its digest. Raises StepFailed when a part of it is missing."""
        try:
            text = self.layout.blob(str(reference.digest)).read_text()
            manifest = json.loads(text)
            config = json.loads(self.layout.blob(manifest["config"]["digest"]).read_text()).get("config", {})
        except FileNotFoundError as error:
            raise _not_found(reference) from error
        return Image(
            reference=reference,
            manifest=text,
            command=tuple(config.get("Cmd") or ()),
            entry_point=tuple(config.get("Entrypoint") or ()),
            environment=dict(pair.split("=", 1) for pair in config.get("Env") or ()),
            working_directory=config.get("WorkingDir") or "/",
            layers=tuple(layer["digest"] for layer in manifest["layers"]),
            blobs=tuple(part["digest"] for part in (manifest["config"], *manifest["layers"])),
            is_packed="dev.turnout.packed" in (config.get("Labels") or {}),
        )

    def history(self, image: str, region: str) -> list[tuple[str, str]]:
        """(digest, time) of everything that a tag has pointed to, oldest first; the last one is what it is now."""
        tagged = parse_reference(image, region).tagged
        return [
            (entry["digest"], entry["annotations"][TAGGED_AT])
            for entry in self.layout.index()
            if tagged in (entry["annotations"].get(TAG), entry["annotations"].get(WAS))
        ]

    def unpacked(self, image: Image) -> Path:
        """Where its file system lies, or would."""
        return self.folder / "unpacked" / str(image.reference.digest).removeprefix("sha256:")

    def ensure_unpacked(self, image: Image) -> Path:
        """The file system of an image, read-only; made once. Blocking: call it in a thread."""
        root = self.unpacked(image)
        if root.exists():
            return root
        root.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=root.parent))
        try:
            for digest in image.layers:
                self.layout.check(digest)
                with self.layout.blob(digest).open("rb") as archive:
                    unpack_layer(archive, draft)
            draft.rename(root)
        except FileNotFoundError as error:
            raise _not_found(image.reference) from error
        except OSError:
            if not root.exists():  # Unless somebody else was first.
                raise
        finally:
            remove_tree(draft)
        return root


def _not_found(reference: Reference) -> StepFailed:
    return StepFailed(
        "CannotPullContainerError",
        f"pull image manifest has been retried 1 time(s): failed to resolve ref {reference}: {reference}: not found"
        " (the process runtime knows the images that `turnout pack` has made in this home)",
    )

"""What the tables hold: repositories, images, tags, layers, uploads. Reads, and writes inside a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.ecr.manifests import Manifest
from turnout.errors import AwsError
from turnout.names import ACCOUNT, arn
from turnout.store import Store, Transaction


@dataclass(frozen=True)
class Repository:
    id: int
    region: str
    name: str
    created_at: float
    settings: dict[str, Any]
    """imageTagMutability, imageTagMutabilityExclusionFilters, scanOnPush, encryption, tags; policyText, lifecycle."""

    @property
    def arn(self) -> str:
        return arn("ecr", self.region, f"repository/{self.name}")


@dataclass(frozen=True)
class Image:
    digest: str
    media_type: str
    artifact_type: str | None
    subject: str | None
    manifest_bytes: int
    size_bytes: int
    pushed_at: float
    pulled_at: float | None
    tags: tuple[str, ...]


class Records:
    def __init__(self, store: Store) -> None:
        self.store = store

    # Repositories

    def find(self, region: str, name: str) -> Repository | None:
        row = self.store.one("SELECT * FROM ecr_repositories WHERE region = ? AND name = ?", (region, name))
        return None if row is None else _repository(row)

    def get(self, region: str, name: str, account: str = ACCOUNT) -> Repository:
        """Raises RepositoryNotFoundException, also for the registry of another account."""
        found = self.find(region, name) if account == ACCOUNT else None
        if found is None:
            raise AwsError("RepositoryNotFoundException", no_repository(name, account))
        return found

    def repositories(self, region: str | None = None) -> list[Repository]:
        """In the order of their names; of one region or of all."""
        rows = self.store.all(
            "SELECT * FROM ecr_repositories WHERE region = coalesce(?, region) ORDER BY name, region", (region,)
        )
        return [_repository(row) for row in rows]

    def add(self, tx: Transaction, region: str, name: str, settings: dict[str, Any], now: float) -> None:
        tx.execute(
            "INSERT INTO ecr_repositories (region, name, created_at, settings) VALUES (?, ?, ?, ?)",
            (region, name, now, json.dumps(settings)),
        )

    def change(self, tx: Transaction, repository: Repository, **settings: Any) -> Repository:
        """Settings anew; what is None is left out from now on."""
        changed = {name: value for name, value in (repository.settings | settings).items() if value is not None}
        tx.execute("UPDATE ecr_repositories SET settings = ? WHERE id = ?", (json.dumps(changed), repository.id))
        return Repository(repository.id, repository.region, repository.name, repository.created_at, changed)

    def delete(self, tx: Transaction, repository: Repository) -> None:
        tx.execute("DELETE FROM ecr_repositories WHERE id = ?", (repository.id,))

    # Images

    def images(self, repository: Repository) -> list[Image]:
        """Newest last."""
        rows = self.store.all(
            "SELECT * FROM ecr_images WHERE repository = ? ORDER BY pushed_at, digest", (repository.id,)
        )
        tags: dict[str, list[str]] = {}
        for row in self.store.all("SELECT * FROM ecr_tags WHERE repository = ? ORDER BY tag", (repository.id,)):
            tags.setdefault(row["digest"], []).append(row["tag"])
        return [_image(row, tags.get(row["digest"], ())) for row in rows]

    def image(self, repository: Repository, digest: str) -> Image | None:
        key = (repository.id, digest)
        row = self.store.one("SELECT * FROM ecr_images WHERE repository = ? AND digest = ?", key)
        if row is None:
            return None
        tags = self.store.all("SELECT tag FROM ecr_tags WHERE repository = ? AND digest = ? ORDER BY tag", key)
        return _image(row, [tag["tag"] for tag in tags])

    def tagged(self, repository: Repository, tag: str) -> str | None:
        """The digest that a tag points to."""
        row = self.store.one("SELECT digest FROM ecr_tags WHERE repository = ? AND tag = ?", (repository.id, tag))
        return None if row is None else str(row["digest"])

    def tags(self, repository: Repository) -> list[str]:
        rows = self.store.all("SELECT tag FROM ecr_tags WHERE repository = ? ORDER BY tag", (repository.id,))
        return [row["tag"] for row in rows]

    def has_images(self, repository: Repository) -> bool:
        return self.store.one("SELECT 1 FROM ecr_images WHERE repository = ? LIMIT 1", (repository.id,)) is not None

    def referrers(self, repository: Repository, digest: str) -> list[str]:
        """The images that say that they are about one."""
        rows = self.store.all(
            "SELECT digest FROM ecr_images WHERE repository = ? AND subject = ? ORDER BY pushed_at, digest",
            (repository.id, digest),
        )
        return [row["digest"] for row in rows]

    def indices_of(self, repository: Repository, digest: str) -> list[str]:
        """The indices (manifest lists) that name an image."""
        rows = self.store.all(
            "SELECT image FROM ecr_parts WHERE repository = ? AND part = ? AND is_image = 1 ORDER BY image",
            (repository.id, digest),
        )
        return [row["image"] for row in rows]

    def add_image(
        self, tx: Transaction, repository: Repository, digest: str, manifest: Manifest, size_bytes: int, now: float
    ) -> None:
        tx.execute(
            "INSERT INTO ecr_images VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                repository.id,
                digest,
                manifest.media_type,
                manifest.artifact_type,
                manifest.subject,
                manifest.length,
                size_bytes,
                now,
            ),
        )
        parts = {**dict.fromkeys(manifest.blobs, 0), **dict.fromkeys(manifest.images, 1)}
        for part, is_image in parts.items():
            tx.execute("INSERT INTO ecr_parts VALUES (?, ?, ?, ?)", (repository.id, digest, part, is_image))

    def delete_image(self, tx: Transaction, repository: Repository, digest: str) -> None:
        tx.execute("DELETE FROM ecr_images WHERE repository = ? AND digest = ?", (repository.id, digest))

    def tag(self, tx: Transaction, repository: Repository, tag: str, digest: str) -> None:
        tx.execute("INSERT OR REPLACE INTO ecr_tags VALUES (?, ?, ?)", (repository.id, tag, digest))

    def untag(self, tx: Transaction, repository: Repository, tag: str) -> None:
        tx.execute("DELETE FROM ecr_tags WHERE repository = ? AND tag = ?", (repository.id, tag))

    def pulled(self, tx: Transaction, repository: Repository, digest: str, now: float) -> None:
        tx.execute(
            "UPDATE ecr_images SET pulled_at = ? WHERE repository = ? AND digest = ?", (now, repository.id, digest)
        )

    # Layers and uploads

    def layer(self, repository: Repository, digest: str) -> sqlite3.Row | None:
        """size_bytes and touched_at of a blob of a repository."""
        return self.store.one("SELECT * FROM ecr_layers WHERE repository = ? AND digest = ?", (repository.id, digest))

    def add_layer(self, tx: Transaction, repository: Repository, digest: str, size_bytes: int, now: float) -> None:
        values = (repository.id, digest, size_bytes, now)
        tx.execute("INSERT OR REPLACE INTO ecr_layers VALUES (?, ?, ?, ?)", values)

    def delete_layer(self, tx: Transaction, repository: Repository, digest: str) -> None:
        tx.execute("DELETE FROM ecr_layers WHERE repository = ? AND digest = ?", (repository.id, digest))

    def uses_of(self, repository: Repository, digest: str) -> list[str]:
        """The images of a repository that need a blob."""
        rows = self.store.all(
            "SELECT image FROM ecr_parts WHERE repository = ? AND part = ? ORDER BY image", (repository.id, digest)
        )
        return [row["image"] for row in rows]

    def begin_upload(self, tx: Transaction, repository: Repository, upload: str, now: float) -> None:
        tx.execute("INSERT INTO ecr_uploads VALUES (?, ?, ?)", (upload, repository.id, now))

    def has_upload(self, repository: Repository, upload: str) -> bool:
        key = (upload, repository.id)
        return self.store.one("SELECT 1 FROM ecr_uploads WHERE id = ? AND repository = ?", key) is not None

    def end_upload(self, tx: Transaction, upload: str) -> None:
        tx.execute("DELETE FROM ecr_uploads WHERE id = ?", (upload,))

    # What is still needed

    def forget_unused(self, tx: Transaction, before: float) -> None:
        """Layers that no image of their repository needs, and uploads, that nobody has touched since then."""
        tx.execute(
            "DELETE FROM ecr_layers WHERE touched_at < ? AND NOT EXISTS (SELECT 1 FROM ecr_parts"
            " WHERE ecr_parts.repository = ecr_layers.repository AND part = ecr_layers.digest)",
            (before,),
        )
        tx.execute("DELETE FROM ecr_uploads WHERE started_at < ?", (before,))

    def needed(self) -> set[str]:
        """Every digest that a repository needs."""
        rows = self.store.all(
            "SELECT digest FROM ecr_images UNION SELECT part FROM ecr_parts UNION SELECT digest FROM ecr_layers"
        )
        return {row[0] for row in rows}

    def uploads(self) -> set[str]:
        return {row["id"] for row in self.store.all("SELECT id FROM ecr_uploads")}


def no_repository(name: str, account: str = ACCOUNT) -> str:
    return f"The repository with name '{name}' does not exist in the registry with id '{account}'"


def missing(digests: Iterable[str], known: Sequence[str] | set[str]) -> list[str]:
    return [digest for digest in dict.fromkeys(digests) if digest not in known]


def _repository(row: sqlite3.Row) -> Repository:
    return Repository(row["id"], row["region"], row["name"], row["created_at"], json.loads(row["settings"]))


def _image(row: sqlite3.Row, tags: Sequence[str]) -> Image:
    return Image(
        digest=row["digest"],
        media_type=row["media_type"],
        artifact_type=row["artifact_type"],
        subject=row["subject"],
        manifest_bytes=row["manifest_bytes"],
        size_bytes=row["size_bytes"],
        pushed_at=row["pushed_at"],
        pulled_at=row["pulled_at"],
        tags=tuple(tags),
    )

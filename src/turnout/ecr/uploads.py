"""Uploads of layers, in parts of any size: through the registry's API and through ECR's own.

The file is truth about what has come. Killed between a layer's last byte and its row, the layer is pushed again.
"""

from __future__ import annotations

import asyncio

from turnout.clock import Clock
from turnout.ecr.blobs import Blobs
from turnout.ecr.records import Records, Repository
from turnout.names import new_uuid


class NoUpload(Exception):
    """There is no such upload to this repository, or it has been finished."""


class Uploads:
    def __init__(self, records: Records, blobs: Blobs, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._clock = clock
        self.arriving: set[str] = set()
        """Digests of layers that are about to get their rows."""

    def begin(self, repository: Repository) -> str:
        upload = new_uuid()
        self._blobs.begin(upload)
        with self._records.store.transaction() as tx:
            self._records.begin_upload(tx, repository, upload, self._clock.now())
        return upload

    def received(self, repository: Repository, upload: str) -> int:
        """How many bytes there are. Raises NoUpload."""
        if not self._records.has_upload(repository, upload):
            raise NoUpload(upload)
        try:
            return self._blobs.received(upload)
        except FileNotFoundError as error:
            raise NoUpload(upload) from error

    async def append(self, upload: str, chunk: bytes) -> None:
        await asyncio.to_thread(self._blobs.append, upload, chunk)

    async def finish(self, repository: Repository, upload: str, digest: str) -> int:
        """Make a layer of it. Its size. Raises WrongDigest, and then the upload is gone, and NoUpload."""
        self.received(repository, upload)
        self.arriving.add(digest)
        try:
            size = await asyncio.to_thread(self._blobs.finish, upload, digest)
            with self._records.store.transaction() as tx:
                if not self._records.has_upload(repository, upload):
                    raise NoUpload(upload)  # the repository has been deleted meanwhile
                self._records.add_layer(tx, repository, digest, size, self._clock.now())
                self._records.end_upload(tx, upload)
        except FileNotFoundError as error:
            raise NoUpload(upload) from error
        except ValueError:
            self.abandon(upload)
            raise
        finally:
            self.arriving.discard(digest)
        return size

    def abandon(self, upload: str) -> None:
        with self._records.store.transaction() as tx:
            self._records.end_upload(tx, upload)
        self._blobs.abandon(upload)

    def has_layer(self, repository: Repository, digest: str) -> int | None:
        """The size of a layer of a repository; it is not swept away for a day, for who asks pushes an image soon."""
        row = self._records.layer(repository, digest)
        if row is None or not self._blobs.path(digest).exists():
            return None
        if row["touched_at"] < self._clock.now() - TOUCH_EVERY_S:
            with self._records.store.transaction() as tx:
                self._records.add_layer(tx, repository, digest, row["size_bytes"], self._clock.now())
        return int(row["size_bytes"])

    def mount(self, repository: Repository, source: Repository, digest: str) -> bool:
        """Let a repository have a layer of another one. Whether that has it."""
        size = self.has_layer(source, digest)
        if size is None:
            return False
        with self._records.store.transaction() as tx:
            self._records.add_layer(tx, repository, digest, size, self._clock.now())
        return True


TOUCH_EVERY_S = 3600.0

"""The tables of the registry. Which blobs are needed follows from them; which there are, the layout on disk knows."""

from __future__ import annotations

from turnout.store import Migrations

MIGRATIONS: Migrations = [
    """
CREATE TABLE ecr_repositories (
    id         INTEGER PRIMARY KEY,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at REAL NOT NULL,
    settings   TEXT NOT NULL,                 -- mutability, scanning, encryption, tags, policies: as AWS has them
    UNIQUE (region, name)
);
CREATE TABLE ecr_images (
    repository     INTEGER NOT NULL REFERENCES ecr_repositories (id) ON DELETE CASCADE,
    digest         TEXT NOT NULL,
    media_type     TEXT NOT NULL,
    artifact_type  TEXT,
    subject        TEXT,                      -- the digest of the image that this one is about
    manifest_bytes INTEGER NOT NULL,
    size_bytes     INTEGER NOT NULL,          -- of its layers; of an index: of the largest of its images
    pushed_at      REAL NOT NULL,
    pulled_at      REAL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX ecr_images_subject ON ecr_images (repository, subject) WHERE subject IS NOT NULL;
CREATE TABLE ecr_parts (                      -- what a manifest names: blobs, and the images of an index
    repository INTEGER NOT NULL,
    image      TEXT NOT NULL,
    part       TEXT NOT NULL,
    is_image   INTEGER NOT NULL,
    PRIMARY KEY (repository, image, part),
    FOREIGN KEY (repository, image) REFERENCES ecr_images (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX ecr_parts_part ON ecr_parts (repository, part);
CREATE TABLE ecr_tags (
    repository INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, digest) REFERENCES ecr_images (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX ecr_tags_digest ON ecr_tags (repository, digest);
CREATE TABLE ecr_layers (                     -- blobs that were pushed, whether an image needs them or not
    repository INTEGER NOT NULL REFERENCES ecr_repositories (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    touched_at REAL NOT NULL,                 -- when somebody last was told that it is there
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE TABLE ecr_uploads (                    -- how much of one has come, its file says
    id         TEXT PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES ecr_repositories (id) ON DELETE CASCADE,
    started_at REAL NOT NULL
) WITHOUT ROWID;
"""
]

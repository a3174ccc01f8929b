"""The turnout.yml beside an AppSpec, and the files that its scripts need: put where CreateDeployment finds them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from turnout.cli.clients import Clients, is_missing
from turnout.errors import SetupError
from turnout.hookplace import HOOK_FILE, HookPlace
from turnout.names import ACCOUNT

IGNORE_FILE = ".dockerignore"
MOST_BYTES = 64 * 1024 * 1024
NEVER = (".git", "__pycache__", "node_modules", ".venv")


def upload(clients: Clients, folder: Path, name: str) -> HookPlace | None:
    """The folder of a turnout.yml as a zip in S3; None if it has none. The same files are uploaded once."""
    if not (folder / HOOK_FILE).is_file():
        return None
    from turnout.runtimes.archives import pack

    body = pack(folder, [(path, path) for path in files_of(folder)], keeps_links=True)
    bucket = f"turnout-hooks-{ACCOUNT}-{clients.region}"
    key = f"{name}/{hashlib.sha256(body).hexdigest()}.zip"
    s3 = clients("s3")
    where = {} if clients.region == "us-east-1" else {"LocationConstraint": clients.region}
    try:
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
    except Exception as error:
        if not is_missing(error, "BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return HookPlace(bucket, key, HOOK_FILE)


def files_of(folder: Path) -> list[str]:
    """Every file below a folder, as .dockerignore leaves them. Raises SetupError if they are too large for hooks."""
    from turnout.runtimes.ignoring import parse_ignored

    ignore = folder / IGNORE_FILE
    ignored = parse_ignored(ignore.read_text().splitlines() if ignore.is_file() else ())
    found = [path for path in _walk(folder) if path == HOOK_FILE or path not in ignored]
    size = sum((folder / path).lstat().st_size for path in found)
    if size > MOST_BYTES:
        raise SetupError(
            f"{folder} holds {size >> 20} MiB beside {HOOK_FILE}, which go to every hook; at most {MOST_BYTES >> 20}"
            f" can. Leave out what no hook needs with a {IGNORE_FILE}."
        )
    return sorted(found)


def _walk(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in NEVER]
        yield from (str((Path(place) / name).relative_to(folder)) for name in files)

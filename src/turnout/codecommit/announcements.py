"""Telling the others that a branch or a tag was created, updated or deleted.

The refs are compared with those that were last announced, and every difference becomes one event, in the transaction
that remembers it as announced. So a push whose announcement was lost in a crash is announced at the next start, and
none is announced twice. https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from pathlib import Path
from weakref import WeakValueDictionary

from turnout.aws import Aws, Event
from turnout.clock import Clock
from turnout.codecommit.records import Records, Repository
from turnout.hindrances import hindrance
from turnout.names import ACCOUNT

log = logging.getLogger(__name__)

TRY_AGAIN_S = 1.0
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
_REFERENCE_TYPES = {"refs/heads/": "branch", "refs/tags/": "tag"}


def push_lock(repository: Path) -> Path:
    """A file that every git that serves a push holds locked, also when it has outlived its engine."""
    return repository / "turnout.lock"


class Announcements:
    """Compares refs with what was announced."""

    def __init__(self, records: Records, aws: Aws, clock: Clock) -> None:
        self._records = records
        self._git = records.git
        self._store = records.store
        self._aws = aws
        self._clock = clock
        self._owed: set[asyncio.Task[None]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def announce(self, repository: Repository, caller: str = ROOT) -> list[Event]:
        """Announce every ref that has changed since the last time; the first push sets the default branch.

        The refs have moved, whatever becomes of this: when the disk is full it is tried again until it is not.
        """
        lock = self._locks.setdefault(repository.id, asyncio.Lock())
        try:
            async with lock:
                if not repository.path.is_dir():
                    return []
                return await self._announce(repository, caller)
        except Exception as error:
            if (why := hindrance(error)) is None:
                raise
            log.warning("what was pushed to %s is announced later: %s", repository.name, why)
            task = asyncio.create_task(self._announce_later(repository, caller), name=f"announce {repository.name}")
            self._owed.add(task)
            task.add_done_callback(self._owed.discard)
            return []

    async def _announce_later(self, repository: Repository, caller: str) -> None:
        await asyncio.sleep(TRY_AGAIN_S)
        await self.announce(repository, caller)

    async def close(self) -> None:
        """The next start finds out for itself what has not been announced."""
        owed = list(self._owed)
        for task in owed:
            task.cancel()
        await asyncio.gather(*owed, return_exceptions=True)

    async def _announce(self, repository: Repository, caller: str) -> list[Event]:
        refs, commits = await self._refs(repository)
        with self._store.transaction() as tx:
            current = self._records.find(repository.region, repository.name)
            if current is None or current.id != repository.id:
                return []
            rows = self._store.all("SELECT * FROM codecommit_refs WHERE repository_id = ?", (repository.id,))
            announced: dict[str, str] = {row["ref"]: row["object_id"] for row in rows}
            changed = [ref for ref in sorted({*refs, *announced}) if refs.get(ref) != announced.get(ref)]
            events = [
                self._event(current, ref, announced.get(ref), commits.get(refs.get(ref, "")), caller) for ref in changed
            ]
            for ref in changed:
                tx.execute("DELETE FROM codecommit_refs WHERE repository_id = ? AND ref = ?", (repository.id, ref))
                if ref in refs:
                    tx.execute("INSERT INTO codecommit_refs VALUES (?, ?, ?)", (repository.id, ref, refs[ref]))
            if changed:
                default = current.default_branch or _first_branch(refs)
                self._records.update(tx, current, modified_at=self._clock.now(), default_branch=default)
            for event in events:
                self._aws.announce(tx, event)
        if changed:
            await self.ensure_head(self._records.get(repository.region, repository.name))
        return events

    async def ensure_head(self, repository: Repository) -> None:
        """Let git know the default branch: a clone checks it out, and a push cannot delete it."""
        if repository.default_branch is None:
            return
        target = f"refs/heads/{repository.default_branch}"
        if (repository.path / "HEAD").read_text().strip() != f"ref: {target}":
            await self._git.run(repository.path, "symbolic-ref", "HEAD", target)

    async def catch_up(self) -> None:
        """Announce what was pushed but not announced when the engine died."""
        for repository in self._records.list():
            if not repository.path.is_dir():
                log.error("the folder of repository %s is gone: %s", repository.name, repository.path)
                continue
            await asyncio.to_thread(_outwait, push_lock(repository.path))
            await self.announce(repository)
            await self.ensure_head(repository)

    async def _refs(self, repository: Repository) -> tuple[dict[str, str], dict[str, str]]:
        """ref → object id, and object id → the commit that it leads to (an annotated tag is an object of its own)."""
        refs: dict[str, str] = {}
        commits: dict[str, str] = {}
        form = "%(objectname) %(refname) %(*objectname)"
        printed = await self._git.run(repository.path, "for-each-ref", f"--format={form}", *_REFERENCE_TYPES)
        for line in printed.decode().splitlines():
            object_id, ref, commit = line.split(" ")
            refs[ref] = object_id
            commits[object_id] = commit or object_id
        return refs, commits

    def _event(self, repository: Repository, ref: str, was: str | None, commit: str | None, caller: str) -> Event:
        prefix, kind = next((p, k) for p, k in _REFERENCE_TYPES.items() if ref.startswith(p))
        happened = "referenceDeleted" if commit is None else "referenceCreated" if was is None else "referenceUpdated"
        detail = {
            "event": happened,
            "repositoryName": repository.name,
            "repositoryId": repository.id,
            "referenceType": kind,
            "referenceName": ref.removeprefix(prefix),
            "referenceFullName": ref,
            "commitId": commit,
            "oldCommitId": was,
            "callerUserArn": caller,
        }
        return Event(
            source="aws.codecommit",
            detail_type="CodeCommit Repository State Change",
            region=repository.region,
            resources=(repository.arn,),
            detail={member: value for member, value in detail.items() if value is not None},
            at=self._clock.now(),
        )


def _first_branch(refs: dict[str, str]) -> str | None:
    """The default branch after the first push: the branch that was pushed; of several main or master, if there."""
    branches = [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]
    return next((name for name in ("main", "master") if name in branches), branches[0] if branches else None)


def _outwait(lock: Path) -> None:
    """Return when no git of an engine that has died is still at work: its refs could change behind our back."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

"""What ECR does by itself: images that lifecycle policies expire are deleted, and blobs that nobody needs removed.

Both are runs that never end by themselves: they look, act in one transaction, and wait. After a crash they look again.
"""

from __future__ import annotations

from collections.abc import Sequence

from turnout.ecr.lifecycle_policies import LIFECYCLE, LifecyclePolicies
from turnout.ecr.operations import SWEEP, Operations
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step
from turnout.store import Transaction

EVALUATED_EVERY_S = 3600.0
"""AWS expires images "within 24 hours" of their becoming so: a policy that was a slip can be taken back."""
SWEPT_EVERY_S = 3600.0
UNUSED_FOR_S = 24 * 3600.0
"""So long a layer waits for the image that it was pushed for, and an upload for its end."""
WHY = "until the lifecycle policy is evaluated"


class LifecyclePlan(StraightPlan):
    kind = LIFECYCLE

    def __init__(self, room: LifecyclePolicies) -> None:
        self._room = room

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        room = self._room
        repository = room.records.find(run.region, run.lane or "")
        lifecycle = repository.settings.get("lifecycle") if repository else None
        if repository is None or lifecycle is None or lifecycle["run"] != run.name:
            return Done()
        period_s = room.clock.scaled_s(EVALUATED_EVERY_S)
        left_s = lifecycle.get("evaluatedAt", run.created_at) + period_s - room.clock.now()
        if left_s > 0:
            return Wait(left_s, WHY)
        expiries = room.expired(repository, lifecycle["text"])
        with room.store.transaction() as tx:
            for expiry in expiries:
                image = room.records.image(repository, expiry.image.digest)
                if image is not None:
                    room.pushing.delete(tx, repository, image)
            room.records.change(tx, repository, lifecycle={**lifecycle, "evaluatedAt": room.clock.now()})
        return Wait(period_s, WHY)

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._room.runs.forget(tx, run.id)


class SweepPlan(StraightPlan):
    """A blob is removed when two looks in a row find that nothing needs it."""

    kind = SWEEP

    def __init__(self, room: Operations) -> None:
        self._room = room

    def stands(self, step: Step) -> bool:
        return True

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        room, why = self._room, "until unused layers are removed"
        period_s = room.clock.scaled_s(SWEPT_EVERY_S)
        left_s = run.facts.get("sweptAt", run.created_at) + period_s - room.clock.now()
        if left_s > 0:
            return Wait(left_s, why)
        with room.blobs.exclusively() as is_alone:
            if is_alone:
                self._sweep(run)
        return Wait(period_s, why)

    def _sweep(self, run: Run) -> None:
        room = self._room
        room.blobs.remove_drafts()
        with room.store.transaction() as tx:
            room.records.forget_unused(tx, room.clock.now() - UNUSED_FOR_S)
        unneeded = room.blobs.all() - room.records.needed() - room.blobs.packed() - room.uploads.arriving
        uploads = room.blobs.all_uploads() - room.records.uploads()
        before = set(run.facts.get("unneeded", ()))
        for digest in unneeded & before:
            room.blobs.remove(digest)
        for upload in uploads & before:
            room.blobs.abandon(upload)
        with room.store.transaction() as tx:
            left = sorted((unneeded | uploads) - before)
            room.runs.remember(tx, run.id, unneeded=left, sweptAt=room.clock.now())

"""What takes time in the life of a target, as runs: registration, and deregistration with its delay."""

from __future__ import annotations

import sqlite3

from turnout.loadbalancer.mirror import host_of
from turnout.loadbalancer.room import Room
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Step

REGISTRATION = "elbv2.registration"
DEREGISTRATION = "elbv2.deregistration"
REACHABLE_WITHIN_S = 1.0
"""How long one pick-up looks whether the port accepts connections: parking costs two commits each time."""


class Registration(StraightPlan):
    """Step Register: the proxy knows the target once its port accepts connections, or has not for one interval."""

    kind = REGISTRATION

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        room = self._room
        row = _target(room, run, "registering")
        group = row and room.records.groups.find(run.region, run.spec["group"])
        if row is None or group is None:
            return Done()
        host = host_of(row["target_id"])
        if not await room.proxy.is_reachable(host, row["port"], REACHABLE_WITHIN_S):
            given_up_at = row["registered_at"] + group["HealthCheckIntervalSeconds"]
            if room.clock.now() < given_up_at:
                # As long as it is refused there is nothing to check, and nobody to send a request to.
                return Wait(0.25, f"{host}:{row['port']} does not accept connections yet")
        with room.store.transaction() as tx:
            if _target(room, run, "registering") is not None:
                tx.execute("UPDATE elbv2_targets SET stage = 'listed' WHERE id = ?", (row["id"],))
                room.tell(tx, groups=(run.spec["group"],))
                room.wake(tx, run.region, run.spec["group"])
        return Done()


class Deregistration(StraightPlan):
    """Step Drain: the target is gone once the deregistration delay has passed."""

    kind = DEREGISTRATION

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        room = self._room
        row = _target(room, run, "draining")
        if row is None:
            return Done()
        left_s = row["drained_at"] - room.clock.now()
        if left_s > 0:
            return Wait(left_s, f"{row['target_id']}:{row['port']} is draining")
        with room.store.transaction() as tx:
            tx.execute("DELETE FROM elbv2_targets WHERE id = ? AND stage = 'draining'", (row["id"],))
            room.wake(tx, run.region, run.spec["group"])
        return Done()


def _target(room: Room, run: Run, stage: str) -> sqlite3.Row | None:
    """The target of a run, if it is still at the stage that the run is about."""
    return room.store.one("SELECT * FROM elbv2_targets WHERE id = ? AND stage = ?", (run.spec["target"], stage))

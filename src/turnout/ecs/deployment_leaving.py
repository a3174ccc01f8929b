"""The target groups that a deployment leaves: their tasks are told to go when nothing new arrives, and are watched.

What is known of each is the fact `leaving` of the run, by target group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.ecs.deployment_traffic import DeploymentTraffic, listener_of
from turnout.ecs.room import Room
from turnout.errors import StepFailed
from turnout.leaving import Known, Leaving, NotInForce, Side
from turnout.runs import Run, Step
from turnout.traffic import Traffic

Move = Mapping[str, Any]
"""One of the `balancers` of a deployment (deployment_starting.py)."""


class DeploymentLeaving:
    def __init__(self, room: Room, routing: DeploymentTraffic, traffic: Traffic) -> None:
        self._room = room
        self._routing = routing
        self._leaving = Leaving(traffic, room.clock)

    async def release(self, run: Run, step: Step, moves: Sequence[Move], end: str) -> tuple[float, str] | None:
        """Seconds to wait, and what for; None once the tasks behind `end` ("target" or "other") may go."""
        assert step.started_at is not None
        for move in moves:
            side = await self._side(run, move, end)
            try:
                known, again_s = await self._leaving.release(side, self._known(run, side), step.started_at)
            except NotInForce as refused:
                raise StepFailed(
                    "INTERNAL_ERROR",
                    f"{refused}. The tasks behind {side.target_group} are left running, because they may be what"
                    " serves.",
                ) from refused
            self._keep(run, side, known)
            if again_s is not None:
                return again_s, known["drained"]["reason"]
        return None

    async def watch(self, run: Run, step: Step, moves: Sequence[Move], end: str) -> tuple[float | None, str]:
        """While the tasks drain: seconds until the next look, and what is still in flight, in words."""
        assert step.started_at is not None
        waits, seen = [], ""
        for move in moves:
            side = await self._side(run, move, end)
            if (known := self._known(run, side)) is None:
                continue  # an engine of before there was such a thing began this deployment
            known, again_s = await self._leaving.watch(side, known, step.started_at)
            self._keep(run, side, known)
            waits += [] if again_s is None else [again_s]
            seen += "" if known["drained"]["is_proven"] else f", {known['drained']['reason']}"
        return min(waits, default=None), seen

    async def close(self, run: Run, moves: Sequence[Move], end: str) -> None:
        """The last figures, and the last goodbyes."""
        for move in moves:
            side = await self._side(run, move, end)
            if (known := self._known(run, side)) is not None:
                self._keep(run, side, await self._leaving.close(side, known))

    async def _side(self, run: Run, move: Move, end: str) -> Side:
        group, listener_arn, clock = move[end], listener_of(move["rule"]), self._room.clock
        known = self._facts(run).get(group)
        policy = known["policy"] if known else await self._routing.long_connections(run.region, listener_arn)
        delay_s = await self._routing.deregistration_delay_s(run.region, group)
        return Side(run.region, listener_arn, group, policy, clock.scaled_s(delay_s), f"{run.kind}/{run.name}")

    def _facts(self, run: Run) -> dict[str, Known]:
        return dict(self._room.runs.get(run.id).facts.get("leaving", {}))

    def _known(self, run: Run, side: Side) -> Known | None:
        return self._facts(run).get(side.target_group)

    def _keep(self, run: Run, side: Side, known: Known) -> None:
        facts = self._facts(run)
        if facts.get(side.target_group) != known:
            with self._room.store.transaction() as tx:
                self._room.runs.remember(tx, run.id, leaving={**facts, side.target_group: known})

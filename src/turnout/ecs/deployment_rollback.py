"""The runs that put back what a deployment moved, kind "ecs.rollback": green is what is given up.

Under ROLLING the source is PRIMARY again and grows, as the target did before; under the other strategies the source
has never been touched, and all traffic goes back to it in one move.
"""

from __future__ import annotations

from collections.abc import Sequence

from turnout.ecs.deployment_receipt import DeploymentReceipts
from turnout.ecs.deployment_stages import Stages
from turnout.ecs.deployment_steps import CLEAN_UP, PROVE, RETURN, ROLL, ROLLBACK
from turnout.ecs.room import Room
from turnout.runner import Done, Wait
from turnout.runs import Run, Step
from turnout.store import Transaction
from turnout.traffic import Traffic


class RollbackPlan(Stages):
    kind = ROLLBACK

    def __init__(self, room: Room, traffic: Traffic, receipts: DeploymentReceipts) -> None:
        super().__init__(room, traffic, receipts)
        self._acts = {RETURN: self._return, ROLL: self._roll, PROVE: self._prove, CLEAN_UP: self._clean_up}

    async def _return(self, run: Run, step: Step) -> Done:
        await self._all_to_source(run, step)
        with self._room.store.transaction() as tx:
            self._ending.restore(tx, run, self._service(run))
        return Done()

    async def _roll(self, run: Run, step: Step) -> Done | Wait:
        return self._rolled(run, run.spec["source"]) or Done()

    async def _prove(self, run: Run, step: Step) -> Done | Wait:
        return await self._released(run, step, "target", "the new revision") or Done()

    async def _clean_up(self, run: Run, step: Step) -> Done | Wait:
        green = self._room.sets.find(run.spec["target"])
        return await self._gone(run, step, [green] if green else [], "target", "the new revision")

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self._ending.settle_back(tx, run, self._find_service(run))
        self._receipts.keep(tx, run)

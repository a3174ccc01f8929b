"""The plan of a deployment: which code makes which step true, what a stop means, and what follows the end.

A deployment has no backward moves: what a failure must put back is another deployment, inserted in the transaction
that ends the failed one. After a crash the next tick reads the same rows and goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from turnout.codedeploy import lifecycle
from turnout.codedeploy.alarms import Alarms, end_watch
from turnout.codedeploy.announcing import announce
from turnout.codedeploy.appspec import HOOKABLE
from turnout.codedeploy.cleanup import Cleanup
from turnout.codedeploy.colours import BLUE, GREEN
from turnout.codedeploy.hooks.event import HookEvent
from turnout.codedeploy.hooks.plan import end_hook
from turnout.codedeploy.install import Install
from turnout.codedeploy.preflight import Preflight
from turnout.codedeploy.reach import Reach
from turnout.codedeploy.reroute import Reroute
from turnout.codedeploy.starting import KIND, History, Starting, wants_rollback
from turnout.codedeploy.waiting import Waiting
from turnout.errors import StepFailed, StepStopped
from turnout.receipts import Receipts
from turnout.runner import Done, StraightPlan, Wait
from turnout.runs import Run, Status, Step
from turnout.store import Transaction

Ensure = Callable[[Run, Step], Awaitable[Done | Wait]]

STATES = {Status.SUCCEEDED: "SUCCESS", Status.FAILED: "FAILURE", Status.STOPPED: "STOP"}
"""How a run ended → the state of its notification."""


class DeploymentPlan(StraightPlan):
    kind = KIND

    def __init__(self, reach: Reach, starting: Starting, history: History, receipts: Receipts, alarms: Alarms) -> None:
        self._reach = reach
        self._alarms = alarms
        self._starting = starting
        self._history = history
        self._receipts = receipts
        preflight, install, reroute, waiting = Preflight(reach), Install(reach), Reroute(reach), Waiting(reach)
        blue, green = Cleanup(reach, BLUE), Cleanup(reach, GREEN)
        hooked = HookEvent(reach.runs)
        self._forth: Mapping[str, Ensure] = {
            **dict.fromkeys(HOOKABLE, hooked.ensure),
            lifecycle.PREFLIGHT: preflight.ensure,
            "Install": install.ensure,
            "AllowTestTraffic": reroute.allow_test_traffic,
            lifecycle.READY_WAIT: waiting.ready,
            "AllowTraffic": reroute.allow_traffic,
            lifecycle.TERMINATION_WAIT: waiting.termination,
            lifecycle.PROVE_DRAINED: blue.prove_drained,
            lifecycle.TERMINATE_BLUE: blue.terminate_blue,
            lifecycle.MEASURE: blue.measure,
        }
        self._back: Mapping[str, Ensure] = {
            lifecycle.PREFLIGHT: preflight.ensure_back,
            "Install": install.ensure_back,
            "AllowTestTraffic": reroute.return_test_traffic,
            "AllowTraffic": reroute.return_traffic,
            lifecycle.PROVE_DRAINED: green.prove_drained,
            lifecycle.TERMINATE_GREEN: green.terminate_green,
            lifecycle.MEASURE: green.measure,
        }

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if step.name == lifecycle.PREFLIGHT:
            await self._alarms.check_at_start(run)
        ensure = (self._back if lifecycle.is_rollback(run.spec) else self._forth).get(step.name)
        if ensure is None:  # a rollback runs no hooks
            return Done()
        return await ensure(run, step)

    def proceeds(self, run: Run, step: Step, steps: Sequence[Step]) -> bool:
        return step.name == lifecycle.MEASURE or super().proceeds(run, step, steps)

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        if step.name in (lifecycle.TERMINATE_BLUE, lifecycle.TERMINATE_GREEN, lifecycle.MEASURE):
            return None
        if step.name == "AllowTraffic" and step.note is None:  # an increment that was begun is finished on every route
            return None
        return super().stops(run, step)

    def expired(self, run: Run, step: Step) -> StepFailed:
        return StepFailed(
            "TIMEOUT",
            "The deployment timed out while waiting for the replacement task set to become healthy. This time out"
            f" period is {lifecycle.INSTALL_TIMEOUT_S / 60:g} minutes. Last seen: {step.note}.",
        )

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        if step.name in HOOKABLE and step.status is not Status.SUCCEEDED:
            end_hook(tx, self._reach.runs, run, step.name)

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        if run.status is Status.SUCCEEDED:
            revision = run.spec["revision"]
            self._history.add(tx, run, succeeded=run.name, **({"revision": revision} if revision else {}))
        elif wants_rollback(run, list(steps)):
            self._starting.roll_back(tx, run)
        runs = self._reach.runs
        end_watch(tx, runs, run)
        run = runs.get(run.id)
        announce(tx, self._reach.aws, runs, run, STATES[run.status])
        self._receipts.keep(tx, run)

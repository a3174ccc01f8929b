"""The loop: what is due is advanced, one step at a time, with a commit before and after each act.

A step *ensures*: it looks first and acts only if something is missing, so being picked up again after a crash is the
normal path. It answers `Done`, or `Wait` with the reason that `turnout status` and a timeout quote, or raises
`StepFailed`. The runner is the only caller of a plan.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from turnout.clock import Clock
from turnout.errors import StepFailed, StepStopped
from turnout.hindrances import hindrance
from turnout.runs import Run, Runs, Status, Step
from turnout.store import Transaction

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""Pick-ups without parking or ending after which a step is held to be what kills the engine."""

AFTER_ERROR_S = 1.0
"""How long a step is left alone when what became of it could not be written down."""


@dataclass(frozen=True)
class Done:
    """The step is true. `result` is kept with it."""

    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Look again in `seconds`, or as soon as the topic `on` is woken. `why` is for people: "2 of 3 tasks healthy"."""

    seconds: float
    why: str
    on: str | None = None


class Plan(Protocol):
    """What the runs of one kind do. `kind` names them."""

    kind: str

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        """Make the step true, or say what is missing. Reads only the run, the step and the world."""

    def proceeds(self, run: Run, step: Step, steps: Sequence[Step]) -> bool:
        """Whether a step is begun, given what became of the steps before it; else it is Skipped. Pure."""

    def stands(self, step: Step) -> bool:
        """Whether it waits as long as there is something to look after: how long no wait of it takes matters. Pure."""

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        """What becomes of a step when its run was asked to stop; None lets it go on."""

    def expired(self, run: Run, step: Step) -> StepFailed:
        """Why a step whose deadline has passed fails."""

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        """What follows the end of a step that was begun, in the transaction that ends it."""

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        """What follows the end of a run, in the transaction that ends it."""


class StraightPlan:
    """The usual decisions: stop at the first failure, stop at once when asked, quote the note on a timeout."""

    kind: str

    def proceeds(self, run: Run, step: Step, steps: Sequence[Step]) -> bool:
        return run.stop is None and not any(s.status in (Status.FAILED, Status.STOPPED) for s in steps)

    def stands(self, step: Step) -> bool:
        return False

    def stops(self, run: Run, step: Step) -> StepStopped | None:
        stop = run.stop or {}
        return StepStopped(str(stop.get("code", "MANUAL_STOP")), str(stop.get("message", "Stopped by request.")))

    def expired(self, run: Run, step: Step) -> StepFailed:
        return StepFailed("TIMEOUT", f"{step.name} timed out after {step.timeout_s:g} s while waiting: {step.note}")

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        return None

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        return None


class Runner:
    """Advances every due step; steps of different runs, and of equal rank, at the same time."""

    def __init__(self, runs: Runs, plans: Sequence[Plan], clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._plans = {plan.kind: plan for plan in plans}
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._due = asyncio.Event()
        runs.on_due(self._due.set)
        for plan in plans:
            runs.register(plan.kind, plan.proceeds, plan.settle, plan.ended)

    async def run_forever(self) -> None:
        """Advance what is due until cancelled. What was in progress when the engine died is looked at once."""
        try:
            while True:
                # One reading for both questions: what falls due between two readings would be in neither answer.
                now = self._clock.now()
                self.start_due(now)
                wake_at = self._runs.next_wake_at(now)
                await self.wait_due(None if wake_at is None else max(0.0, wake_at - self._clock.now()))
        finally:
            await self.close()

    def start_due(self, now: float | None = None) -> list[asyncio.Task[None]]:
        """Begin to advance every step that is due (now, unless told) and is not being advanced already."""
        for step in self._runs.due(self._clock.now() if now is None else now):
            if step.id not in self._in_flight:
                task = asyncio.create_task(self._attempt(step.id), name=f"step {step.id} {step.name}")
                self._in_flight[step.id] = task
                task.add_done_callback(partial(self._landed, step.id))
        return list(self._in_flight.values())

    def is_quiet(self) -> bool:
        """Whether nothing is under way whose waits must take their time."""
        return all(self._plans[kind].stands(step) for kind, step in self._runs.under_way())

    async def tick(self) -> int:
        """Advance all that is due now until nothing is. For tests, which own the clock. Returns the pick-ups."""
        count = 0
        while tasks := self.start_due():
            count += len(tasks)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        return count

    async def wait_due(self, at_most_s: float | None) -> None:
        """Until something was made due, or the time has passed."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    async def close(self) -> None:
        """Let go of everything in flight: the rows say how to go on."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, step_id: int, task: asyncio.Task[None]) -> None:
        del self._in_flight[step_id]
        if not self._in_flight:
            self._runs.forget_wakes()
        if not task.cancelled() and (error := task.exception()) is not None:
            if (why := hindrance(error)) is not None:
                log.warning("step %s waits: %s", step_id, why)
            else:
                log.error("step %s: %s", step_id, error, exc_info=error)
        self._due.set()

    async def _attempt(self, step_id: int) -> None:
        try:
            await self._advance(step_id)
        except Exception:
            # It is still due, and would fail again at once: all of a core, and a log that fills what room there is.
            await asyncio.sleep(AFTER_ERROR_S)
            raise

    async def _advance(self, step_id: int) -> None:
        runs = self._runs
        with runs.store.transaction() as tx:
            step = runs.step(step_id)
            if step.status.is_over:
                return
            step, mark = runs.begin(tx, step)
        run = runs.get(step.run_id)
        plan = self._plans[run.kind]
        try:
            if run.stop is not None and (stopped := plan.stops(run, step)) is not None:
                raise stopped
            if step.attempts > MOST_ATTEMPTS:
                raise StepFailed("INTERNAL_ERROR", f"{step.name} was begun {step.attempts} times and never returned.")
            outcome = await _outcome(plan, run, step)
            if isinstance(outcome, Wait) and step.deadline_at is not None and step.deadline_at <= self._clock.now():
                raise plan.expired(run, step)
        except StepStopped as stopped:
            self._end(step_id, Status.STOPPED, stopped.code, stopped.message)
        except StepFailed as failed:
            self._end(step_id, Status.FAILED, failed.code, failed.message)
        except Exception as error:
            log.exception("step %s of %s %s", step.name, run.kind, run.name)
            self._end(step_id, Status.FAILED, "INTERNAL_ERROR", f"{step.name}: {type(error).__name__}: {error}")
        else:
            with runs.store.transaction() as tx:
                if isinstance(outcome, Done):
                    runs.end(tx, runs.step(step_id), Status.SUCCEEDED, result=outcome.result)
                else:
                    # A stop that the step was let go on for is due again: its signal was spent at the pick-up.
                    parked = replace(step, note=outcome.why)
                    is_stopped = run.stop is not None and plan.stops(run, parked) is not None
                    seconds = 0.0 if is_stopped else outcome.seconds
                    runs.park(tx, step, mark, seconds, outcome.why, outcome.on)

    def _end(self, step_id: int, status: Status, code: str, message: str) -> None:
        with self._runs.store.transaction() as tx:
            self._runs.end(tx, self._runs.step(step_id), status, code=code, message=message)


async def _outcome(plan: Plan, run: Run, step: Step) -> Done | Wait:
    """A full disk or a lock is neither the world's fault nor the step's: a task that serves does not end for it."""
    try:
        return await plan.ensure(run, step)
    except Exception as error:
        if (why := hindrance(error)) is None:
            raise
        log.warning("step %s of %s %s waits: %s", step.name, run.kind, run.name, why)
        return Wait(AFTER_ERROR_S, f"trying again: {why}")

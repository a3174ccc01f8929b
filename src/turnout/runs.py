"""Runs and steps: the durable state machine that everything with a beginning and an end lives in.

A *run* is a row (a deployment, a build, a pipeline execution, a task), its *steps* are rows, and the runner makes
one step true at a time. There is no recovery code: after a crash the next tick reads the same rows.

Their rows are told by `rows`, read by `Ledger`; only `Moves` writes a status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from turnout.clock import Clock
from turnout.ledger import Ledger
from turnout.moves import Moves
from turnout.rows import SCHEMA as SCHEMA
from turnout.rows import Run as Run
from turnout.rows import Status as Status
from turnout.rows import Step as Step
from turnout.rows import StepSpec as StepSpec
from turnout.rows import new_number
from turnout.store import Store, Transaction


class Exclusive(Exception):
    """Another unfinished run holds the lane."""

    def __init__(self, holder: Run) -> None:
        super().__init__(f"{holder.kind} {holder.name} is unfinished in {holder.lane}")
        self.holder = holder


Settle = Callable[[Transaction, Run, Sequence[Step]], None]
Ended = Callable[[Transaction, Run, Step], None]
Proceeds = Callable[[Run, Step, Sequence[Step]], bool]


class Runs(Ledger):
    """Every read and write of runs and steps."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store)
        self.clock = clock
        self._moves = Moves(clock)
        self._on_due: Callable[[], None] = lambda: None
        self._woken: dict[str, int] = {}
        self._wakes = 0
        self._settlers: dict[str, Settle] = {}
        self._enders: dict[str, Ended] = {}
        self._proceeds: dict[str, Proceeds] = {}

    def register(
        self, kind: str, proceeds: Proceeds, settle: Settle, ended: Ended = lambda tx, run, step: None
    ) -> None:
        """What a plan decides inside our transactions: which step is begun, what follows a step's end and a run's."""
        self._proceeds[kind] = proceeds
        self._settlers[kind] = settle
        self._enders[kind] = ended

    def on_due(self, act: Callable[[], None]) -> None:
        """Called after each commit that made a step due."""
        self._on_due = act

    # Beginning

    def insert(
        self,
        tx: Transaction,
        kind: str,
        region: str,
        name: str,
        spec: dict[str, Any],
        steps: Iterable[StepSpec],
        *,
        lane: str | None = None,
        is_exclusive: bool = False,
        cause: str | None = None,
        facts: dict[str, Any] | None = None,
    ) -> Run:
        """A new run, due at once. Raises Exclusive if another unfinished run holds the lane."""
        if is_exclusive and lane is not None and (holders := self.of_lane(kind, region, lane, is_open=True)):
            raise Exclusive(holders[0])
        now = self.clock.now()
        run_id, told = new_number(tx, "runs"), (json.dumps(spec), json.dumps(facts or {}))
        tx.execute(
            "INSERT INTO runs (id, kind, region, name, lane, exclusive, cause, status, spec, facts, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'Pending', ?, ?, ?)",
            (run_id, kind, region, name, lane, int(is_exclusive), cause, *told, now),
        )
        for step in steps:
            tx.execute(
                "INSERT INTO steps (id, run_id, rank, name, status, spec, timeout_s)"
                " VALUES (?, ?, ?, ?, 'Pending', ?, ?)",
                (new_number(tx, "steps"), run_id, step.rank, step.name, json.dumps(step.spec), step.timeout_s),
            )
        self._moves.begun(tx, run_id)
        self.advance(tx, run_id)
        return self.get(run_id)

    def forget(self, tx: Transaction, run_id: int) -> None:
        """Delete a run with its steps and events; a plan may do so in `settle`."""
        tx.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    # Asking: requests are columns, nothing calls into a running coroutine

    def remember(self, tx: Transaction, run_id: int, **facts: Any) -> None:
        """Add to what the run has learnt."""
        tx.execute("UPDATE runs SET facts = ? WHERE id = ?", (json.dumps({**self.get(run_id).facts, **facts}), run_id))

    def request_stop(self, tx: Transaction, run_id: int, **how: Any) -> None:
        """Ask a run to stop. The plan decides at the next pick-up of each step what that means."""
        tx.execute("UPDATE runs SET stop = coalesce(stop, ?) WHERE id = ?", (json.dumps(how), run_id))
        for step in self.steps(run_id):
            if step.status is Status.IN_PROGRESS:
                self.signal(tx, step.id)
        self.advance(tx, run_id)

    def signal(self, tx: Transaction, step_id: int, answer: dict[str, Any] | None = None) -> None:
        """Wake a step; with an answer for it (an approval, a hook's result) if there is one."""
        tx.execute(
            "UPDATE steps SET signals = signals + 1, answer = coalesce(?, answer),"
            " wake_at = CASE WHEN status = 'InProgress' THEN ? ELSE wake_at END WHERE id = ?",
            (None if answer is None else json.dumps(answer), self.clock.now(), step_id),
        )
        tx.after_commit(self._on_due)

    def forget_wakes(self) -> None:
        """For when no step is between `begin` and `park`: nobody is about to park on what was woken so far."""
        self._woken.clear()

    def wake(self, tx: Transaction, topic: str) -> None:
        """Wake every step that waits on `topic`, also one that is about to park on it."""
        self._wakes += 1
        self._woken[topic] = self._wakes
        if tx.execute(
            "UPDATE steps SET wake_at = ? WHERE wake_on = ? AND status = 'InProgress'", (self.clock.now(), topic)
        ).rowcount:
            tx.after_commit(self._on_due)

    # The runner's side

    def begin(self, tx: Transaction, step: Step) -> tuple[Step, int]:
        """Commit 1, before the act: InProgress, attempt + 1. The number marks the wakes seen so far."""
        now = self.clock.now()
        if step.status is Status.PENDING:
            deadline_at = None if step.timeout_s is None else now + step.timeout_s
            tx.execute("UPDATE steps SET started_at = ?, deadline_at = ? WHERE id = ?", (now, deadline_at, step.id))
            self._moves.of_step(tx, step, Status.IN_PROGRESS)
            run = self.get(step.run_id)
            if run.status is Status.PENDING:
                tx.execute("UPDATE runs SET started_at = ? WHERE id = ?", (now, run.id))
                self._moves.of_run(tx, run, Status.IN_PROGRESS)
        tx.execute("UPDATE steps SET attempts = attempts + 1 WHERE id = ?", (step.id,))
        return self.step(step.id), self._wakes

    def park(self, tx: Transaction, begun: Step, mark: int, seconds: float, why: str, on: str | None) -> None:
        """Commit 2 of a step that has to wait. A signal or a wake that came meanwhile is not slept through."""
        now = self.clock.now()
        current = self.step(begun.id)
        missed = current.signals != begun.signals or (on is not None and self._woken.get(on, 0) > mark)
        wake_at = now if missed else now + seconds
        if current.deadline_at is not None:
            wake_at = min(wake_at, max(current.deadline_at, now))
        tx.execute(
            "UPDATE steps SET attempts = 0, wake_at = ?, wake_on = ?, note = ? WHERE id = ?",
            (wake_at, on, why, begun.id),
        )
        if current.note != why:
            self._moves.note(tx, current, why)
        tx.after_commit(self._on_due)

    def end(
        self,
        tx: Transaction,
        step: Step,
        status: Status,
        *,
        result: dict[str, Any] | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        """Commit 2 of a step that is over; what comes next is made due in the same transaction."""
        tx.execute(
            "UPDATE steps SET ended_at = ?, result = coalesce(?, result), code = ?, message = ?,"
            " wake_at = NULL, wake_on = NULL, note = NULL WHERE id = ?",
            (self.clock.now(), None if result is None else json.dumps(result), code, message, step.id),
        )
        self._moves.of_step(tx, self.step(step.id), status, message)
        run = self.get(step.run_id)
        self._enders[run.kind](tx, run, self.step(step.id))
        self.advance(tx, step.run_id)

    def advance(self, tx: Transaction, run_id: int) -> None:
        """Make due what is next. When nothing is left, end the run and let its plan say what follows."""
        run = self.get(run_id)
        if run.status.is_over:
            return
        while True:
            steps = self.steps(run_id)
            left = [step for step in steps if not step.status.is_over]
            if not left:
                self._finish(tx, run, steps)
                return
            rank = min(step.rank for step in left)
            if any(step.rank == rank and (step.wake_at is not None) for step in left):
                return
            for step in (step for step in left if step.rank == rank):
                if step.status is Status.IN_PROGRESS or self._proceeds[run.kind](run, step, steps):
                    tx.execute("UPDATE steps SET wake_at = ? WHERE id = ?", (self.clock.now(), step.id))
                    tx.after_commit(self._on_due)
                else:
                    self._moves.of_step(tx, step, Status.SKIPPED)

    def _finish(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        failed = next((s for s in steps if s.status is Status.FAILED), None)
        stopped = next((s for s in steps if s.status is Status.STOPPED), None)
        reason = failed or stopped
        status = Status.SUCCEEDED
        if failed:
            status = Status.FAILED
        elif stopped or (run.stop is not None and any(s.status is Status.SKIPPED for s in steps)):
            status = Status.STOPPED
        tx.execute(
            "UPDATE runs SET ended_at = ?, code = coalesce(code, ?), message = coalesce(message, ?) WHERE id = ?",
            (self.clock.now(), reason and reason.code, reason and reason.message, run.id),
        )
        if run.status is Status.PENDING:
            self._moves.of_run(tx, run, Status.IN_PROGRESS)
            run = self.get(run.id)
        self._moves.of_run(tx, run, status, reason.message if reason else None)
        self._settlers[run.kind](tx, self.get(run.id), steps)
        self.wake(tx, run_topic(run.kind, run.region, run.name))


def run_topic(kind: str, region: str, name: str) -> str:
    """The topic that is woken when this run ends: what the parent of a run waits on."""
    return f"{kind}/{region}/{name}"

"""The one writer of statuses: it checks the table of moves, compares and sets, and leaves a row in `events`.

Pending ──► InProgress ──► Succeeded | Failed | Stopped
   └──────────────────────► Skipped | Stopped           (a step that is never begun)
"""

from __future__ import annotations

from collections.abc import Mapping

from turnout.clock import Clock
from turnout.rows import Run, Status, Step
from turnout.store import Transaction

MOVES: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.IN_PROGRESS, Status.SKIPPED, Status.STOPPED}),
    Status.IN_PROGRESS: frozenset({Status.SUCCEEDED, Status.FAILED, Status.STOPPED}),
}

MOST_NOTES = 500
"""Why a run waits is history, too, but a service is looked after for years: of each run the newest are kept."""


class Moves:
    """Statuses and their history, always in one transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def of_step(self, tx: Transaction, step: Step, became: Status, message: str | None = None) -> None:
        _check(f"step {step.name}", step.status, became)
        moved = tx.execute("UPDATE steps SET status = ? WHERE id = ? AND status = ?", (became, step.id, step.status))
        assert moved.rowcount == 1, f"step {step.name} was not {step.status}"
        self._record(tx, step.run_id, step.id, step.status, became, message)

    def of_run(self, tx: Transaction, run: Run, became: Status, message: str | None = None) -> None:
        _check(f"run {run.name}", run.status, became)
        moved = tx.execute("UPDATE runs SET status = ? WHERE id = ? AND status = ?", (became, run.id, run.status))
        assert moved.rowcount == 1, f"run {run.name} was not {run.status}"
        self._record(tx, run.id, None, run.status, became, message)

    def begun(self, tx: Transaction, run_id: int) -> None:
        """The first event of a run that has just been inserted."""
        self._record(tx, run_id, None, None, Status.PENDING, None)

    def note(self, tx: Transaction, step: Step, why: str) -> None:
        """No move: the step stays where it is, and waits for another reason."""
        self._record(tx, step.run_id, step.id, step.status, step.status, why)
        tx.execute(
            "DELETE FROM events WHERE run_id = :run AND was = became AND id <= (SELECT id FROM events"
            " WHERE run_id = :run AND was = became ORDER BY id DESC LIMIT 1 OFFSET :kept)",
            {"run": step.run_id, "kept": MOST_NOTES},
        )

    def _record(
        self, tx: Transaction, run_id: int, step_id: int | None, was: Status | None, became: Status, message: str | None
    ) -> None:
        tx.execute(
            "INSERT INTO events (at, run_id, step_id, was, became, message) VALUES (?, ?, ?, ?, ?, ?)",
            (self._clock.now(), run_id, step_id, was, became, message),
        )


def _check(what: str, was: Status, became: Status) -> None:
    if became not in MOVES.get(was, frozenset()):
        raise AssertionError(f"{what} cannot move from {was} to {became}")

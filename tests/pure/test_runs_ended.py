"""A plan hears of the end of each step inside the transaction that ends it."""

import asyncio

from turnout.clock import ManualClock
from turnout.errors import StepFailed
from turnout.runner import Done, Runner, StraightPlan, Wait
from turnout.runs import SCHEMA, Run, Runs, Status, Step, StepSpec
from turnout.store import Store, Transaction


class Noting(StraightPlan):
    """Notes, at the end of each step, what the rows say at that moment."""

    kind = "noting"

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.noted: list[tuple[str, Status, list[Status]]] = []

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        if step.name == "second":
            raise StepFailed("JobFailed", "no")
        return Done()

    def ended(self, tx: Transaction, run: Run, step: Step) -> None:
        self.noted.append((step.name, step.status, [other.status for other in self.runs.steps(run.id)]))


def test_the_end_of_a_step_is_told_before_the_next_one_is_due() -> None:
    store = Store(":memory:", {"runs": SCHEMA})
    runs = Runs(store, ManualClock())
    plan = Noting(runs)
    runner = Runner(runs, [plan], runs.clock)
    with store.transaction() as tx:
        runs.insert(
            tx, "noting", "us-east-1", "n", {}, [StepSpec(n, i) for i, n in enumerate(["first", "second", "third"])]
        )
    asyncio.run(runner.tick())
    assert plan.noted == [
        ("first", Status.SUCCEEDED, [Status.SUCCEEDED, Status.PENDING, Status.PENDING]),
        ("second", Status.FAILED, [Status.SUCCEEDED, Status.FAILED, Status.PENDING]),
    ]
    store.close()

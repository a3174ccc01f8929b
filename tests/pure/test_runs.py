"""The state machine alone: a small plan over a real SQLite file, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from turnout.clock import ManualClock
from turnout.errors import StepFailed
from turnout.runner import AFTER_ERROR_S, MOST_ATTEMPTS, Done, Runner, StraightPlan, Wait
from turnout.runs import SCHEMA, Exclusive, Run, Runs, Status, Step, StepSpec, run_topic
from turnout.store import Store, Transaction


class Killed(BaseException):
    """The engine is gone."""


class Script(StraightPlan):
    """Each step does what the test says; `log` is the world: what has really happened."""

    kind = "script"

    def __init__(self, **acts: Callable[[Run, Step], Done | Wait]) -> None:
        self.acts = acts
        self.log: list[str] = []
        self.settled: list[str] = []

    async def ensure(self, run: Run, step: Step) -> Done | Wait:
        await asyncio.sleep(0)
        if act := self.acts.get(step.name):
            return act(run, step)
        self.log.append(step.name)
        return Done()

    def settle(self, tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        self.settled.append(f"{run.name} {run.status}")


class House:
    def __init__(self, path: Path, plan: Script) -> None:
        self.path, self.plan, self.clock = path, plan, ManualClock()
        self.open()

    def open(self) -> None:
        self.store = Store(self.path / "db", {"runs": SCHEMA})
        self.runs = Runs(self.store, self.clock)
        self.runner = Runner(self.runs, [self.plan], self.clock)

    def insert(self, *names: str, **options: object) -> Run:
        specs = [StepSpec(name.rstrip("+"), rank) for rank, name in enumerate(names)]
        with self.store.transaction() as tx:
            return self.runs.insert(tx, "script", "r", f"run-{len(self.runs.of_kind('script'))}", {}, specs, **options)  # type: ignore[arg-type]

    def tick(self) -> int:
        return asyncio.run(self.runner.tick())

    def statuses(self, run: Run) -> dict[str, str]:
        return {step.name: str(step.status) for step in self.runs.steps(run.id)}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, Script())


def fail(run: Run, step: Step) -> Done | Wait:
    raise StepFailed("BROKEN", "it broke")


def test_steps_run_in_their_order_and_the_run_succeeds(house: House) -> None:
    run = house.insert("a", "b", "c")
    house.tick()
    assert house.plan.log == ["a", "b", "c"]
    assert house.runs.get(run.id).status is Status.SUCCEEDED
    assert house.plan.settled == ["run-0 Succeeded"]


def test_a_failure_skips_what_follows_and_is_the_reason_of_the_run(house: House) -> None:
    house.plan.acts["b"] = fail
    run = house.insert("a", "b", "c")
    house.tick()
    assert house.statuses(run) == {"a": "Succeeded", "b": "Failed", "c": "Skipped"}
    ended = house.runs.get(run.id)
    assert (ended.status, ended.code, ended.message) == (Status.FAILED, "BROKEN", "it broke")


def test_a_bug_in_a_step_fails_it_instead_of_hanging(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.plan.acts["a"] = lambda run, step: 1 / 0  # type: ignore[return-value]
    run = house.insert("a")
    house.tick()
    assert house.runs.get(run.id).code == "INTERNAL_ERROR"
    assert "ZeroDivisionError" in caplog.text


READING_S = 0.05


class Hasty(ManualClock):
    """A clock on which time passes between any two readings, as it really does."""

    def now(self) -> float:
        self.advance(READING_S)
        return self.at


@pytest.mark.parametrize("readings", range(8))
def test_a_step_that_falls_due_between_two_readings_of_the_clock_is_not_forgotten(
    tmp_path: Path, readings: int
) -> None:
    async def story() -> None:
        seen: list[Step] = []
        again = asyncio.Event()

        def act(run: Run, step: Step) -> Done | Wait:
            seen.append(step)
            if len(seen) == 1:
                return Wait((readings + 0.5) * READING_S, "until that many readings later")
            again.set()
            return Done()

        house = House(tmp_path, Script(a=act))
        house.clock = Hasty()
        house.open()
        house.insert("a")
        running = asyncio.create_task(house.runner.run_forever())
        async with asyncio.timeout(10):
            await again.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())


def test_a_waiting_step_is_looked_at_again_when_its_time_has_come(house: House) -> None:
    ready: list[bool] = []
    house.plan.acts["a"] = lambda run, step: Done() if ready else Wait(30, "not yet")
    run = house.insert("a")
    house.tick()
    assert house.runs.steps(run.id)[0].note == "not yet"
    ready.append(True)
    assert house.tick() == 0
    house.clock.advance(30)
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_a_topic_wakes_its_waiter_at_once(house: House) -> None:
    answers = iter([Wait(3600, "asleep", on="bell"), Done()])
    house.plan.acts["a"] = lambda run, step: next(answers)
    run = house.insert("a")
    house.tick()
    with house.store.transaction() as tx:
        house.runs.wake(tx, "bell")
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_a_topic_woken_while_the_step_was_looking_is_not_slept_through(house: House) -> None:
    def look(run: Run, step: Step) -> Done | Wait:
        if house.plan.log:
            return Done()
        house.plan.log.append("looked")
        with house.store.transaction() as tx:
            house.runs.wake(tx, "bell")
        return Wait(3600, "asleep", on="bell")

    house.plan.acts["a"] = look
    run = house.insert("a")
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_a_signal_that_comes_while_the_step_acts_is_not_slept_through(house: House) -> None:
    def act(run: Run, step: Step) -> Done | Wait:
        if step.answer:
            return Done({"said": step.answer["said"]})
        with house.store.transaction() as tx:
            house.runs.signal(tx, step.id, {"said": "go"})
        return Wait(3600, "waits for an answer")

    house.plan.acts["a"] = act
    run = house.insert("a")
    house.tick()
    assert house.runs.steps(run.id)[0].result == {"said": "go"}


def test_the_end_of_a_run_wakes_who_waits_for_it(house: House) -> None:
    child: list[Run] = []

    def parent(run: Run, step: Step) -> Done | Wait:
        if not child:
            child.append(house.insert("b"))
        if house.runs.get(child[0].id).status.is_over:
            return Done()
        return Wait(3600, "child", on=run_topic("script", "r", child[0].name))

    house.plan.acts["a"] = parent
    run = house.insert("a")
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_a_deadline_fails_the_step_and_quotes_what_it_waited_for(house: House) -> None:
    house.plan.acts["a"] = lambda run, step: Wait(10, "2 of 3 tasks healthy")
    with house.store.transaction() as tx:
        run = house.runs.insert(tx, "script", "r", "x", {}, [StepSpec("a", 0, timeout_s=15)])
    house.tick()
    for _ in range(2):
        house.clock.advance(10)
        house.tick()
    assert house.runs.get(run.id).code == "TIMEOUT"
    assert "2 of 3 tasks healthy" in (house.runs.get(run.id).message or "")


def test_a_stop_ends_the_parked_step_and_skips_the_rest(house: House) -> None:
    house.plan.acts["a"] = lambda run, step: Wait(3600, "long")
    run = house.insert("a", "b")
    house.tick()
    with house.store.transaction() as tx:
        house.runs.request_stop(tx, run.id, message="enough")
    house.tick()
    assert house.statuses(run) == {"a": "Stopped", "b": "Skipped"}
    assert house.runs.get(run.id).status is Status.STOPPED
    assert house.runs.get(run.id).message == "enough"


def test_steps_of_equal_rank_run_together_and_the_next_waits_for_both(house: House) -> None:
    house.plan.acts["left"] = lambda run, step: Wait(10, "left")
    with house.store.transaction() as tx:
        specs = [StepSpec("left", 1), StepSpec("right", 1), StepSpec("then", 2)]
        run = house.runs.insert(tx, "script", "r", "x", {}, specs)
    house.tick()
    assert house.statuses(run) == {"left": "InProgress", "right": "Succeeded", "then": "Pending"}
    del house.plan.acts["left"]
    house.clock.advance(10)
    house.tick()
    assert house.plan.log == ["right", "left", "then"]


def test_a_lane_holds_one_unfinished_exclusive_run(house: House) -> None:
    house.plan.acts["a"] = lambda run, step: Wait(3600, "long")
    first = house.insert("a", lane="group", is_exclusive=True)
    with pytest.raises(Exclusive) as refused:
        house.insert("a", lane="group", is_exclusive=True)
    assert refused.value.holder.name == first.name


def test_a_step_that_keeps_killing_the_engine_is_given_up(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def kill(run: Run, step: Step) -> Done | Wait:
        raise Killed

    house.plan.acts["a"] = kill
    run = house.insert("a")
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Killed):
            house.tick()
        house.store.close()
        house.open()
    house.tick()
    assert house.runs.get(run.id).code == "INTERNAL_ERROR"


def test_a_database_that_fails_for_a_while_ends_no_run(house: House, caplog: pytest.LogCaptureFixture) -> None:
    looks = 0

    def look(run: Run, step: Step) -> Done | Wait:
        nonlocal looks
        looks += 1
        if looks <= 2 * MOST_ATTEMPTS:
            raise sqlite3.OperationalError("database or disk is full")
        return Done()

    house.plan.acts["a"] = look
    run = house.insert("a")
    for _ in range(2 * MOST_ATTEMPTS):
        house.tick()
        (step,) = house.runs.steps(run.id)
        assert step.note == "trying again: the disk is full: free some room (database or disk is full)"
        house.clock.advance(AFTER_ERROR_S)
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_a_step_whose_end_cannot_be_written_down_is_left_alone_for_a_moment(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    def full(tx: Transaction, run: Run, steps: Sequence[Step]) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    run = house.insert("a")
    house.runs.register("script", house.plan.proceeds, full)
    monkeypatch.setattr("turnout.runner.asyncio.sleep", pause)
    with pytest.raises(sqlite3.OperationalError):
        house.tick()
    assert paused[-1] == AFTER_ERROR_S
    house.runs.register("script", house.plan.proceeds, house.plan.settle)
    house.tick()
    assert house.runs.get(run.id).status is Status.SUCCEEDED


def test_what_was_woken_is_kept_for_as_long_as_a_step_may_be_about_to_wait_for_it(house: House) -> None:
    """Every run that ends wakes a topic of its own: a year of them must not be remembered."""
    for _ in range(3):
        house.insert("a")
        house.tick()
    assert house.runs._woken == {}


def test_of_why_a_run_waited_the_newest_are_kept_and_every_move(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnout.moves.MOST_NOTES", 3)
    looks = 0

    def look(run: Run, step: Step) -> Done | Wait:
        nonlocal looks
        looks += 1
        return Wait(1, f"look {looks}")

    house.plan.acts["a"] = look
    run = house.insert("a")
    for _ in range(10):
        house.tick()
        house.clock.advance(1)
    told = [(event["became"], event["message"]) for event in house.runs.events(run.id)]
    assert [message for _, message in told if message] == ["look 8", "look 9", "look 10"]
    assert [became for became, message in told if not message] == ["Pending", "InProgress", "InProgress"]


def test_killed_at_any_commit_the_run_ends_as_it_would_have(tmp_path: Path) -> None:
    """Generated: once per commit of a clean run, killed just before and just after it."""

    def commits(folder: Path, fuse_at: int) -> tuple[int, list[str], Status]:
        folder.mkdir()
        house = House(folder, Script())
        run = house.insert("a", "b", "c")
        count = 0

        def fuse(point: str) -> None:
            nonlocal count
            count += 1
            if count == fuse_at:
                raise Killed

        house.store.fuse = fuse
        try:
            house.tick()
        except Killed:
            house.store.close()
            house.open()
            house.tick()
        return count, house.plan.log, house.runs.get(run.id).status

    clean, log, _ = commits(tmp_path / "clean", 0)
    assert log == ["a", "b", "c"]
    for number in range(1, clean + 1):
        _, log, status = commits(tmp_path / str(number), number)
        assert status is Status.SUCCEEDED
        assert sorted(set(log)) == ["a", "b", "c"], "every step acted, at most twice around the kill"


def test_a_transaction_that_fails_leaves_nothing(house: House) -> None:
    with pytest.raises(RuntimeError), house.store.transaction() as tx:
        house.runs.insert(tx, "script", "r", "x", {}, [StepSpec("a", 0)])
        raise RuntimeError
    assert house.runs.find("script", "r", "x") is None


def test_what_must_follow_a_commit_follows_it_also_when_something_else_fails(house: House) -> None:
    """A balancer that cannot be told must not keep the runner from hearing what is due."""
    told: list[str] = []

    def fails() -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"), house.store.transaction() as tx:
        tx.after_commit(lambda: told.append("first"))
        tx.after_commit(fails)
        tx.after_commit(lambda: told.append("last"))
    assert told == ["first", "last"]


def test_the_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.touch(mode=0o644)
    Store(path, {}).close()
    assert path.stat().st_mode & 0o077 == 0


def test_no_number_is_given_twice_even_when_its_row_has_been_forgotten(house: House) -> None:
    """What a step asks for is asked for under its number: a second one with it would get the first one's answers."""
    runs, seen = house.runs, []
    for name in ("first", "second"):
        with house.store.transaction() as tx:
            run = runs.insert(tx, "script", "r", name, {}, [StepSpec("a", 0), StepSpec("b", 1)])
            seen += [("run", run.id), *(("step", step.id) for step in runs.steps(run.id))]
            runs.forget(tx, run.id)
    assert len(set(seen)) == len(seen) == 6


def test_a_home_from_before_numbers_were_kept_gives_none_that_it_may_have_given(tmp_path: Path) -> None:
    old = Store(tmp_path / "db", {"runs": SCHEMA[:2]})
    with old.transaction() as tx:
        tx.execute(
            "INSERT INTO runs (id, kind, region, name, status, spec, created_at)"
            " VALUES (7, 'k', 'r', 'n', 'Failed', '{}', 0)"
        )
        tx.execute("INSERT INTO steps (id, run_id, rank, name, status) VALUES (9, 7, 0, 'a', 'Failed')")
    old.close()
    house = House(tmp_path, Script())
    run = house.insert("a")
    assert run.id > 1_000_000
    assert house.runs.steps(run.id)[0].id > 1_000_000
    house.store.close()

"""The engine's time goes on steadily, whatever becomes of the clock of the machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from turnout.timekeeping import SteadyClock

NOON = 1_790_000_000.0
HOUR = 3600.0


class Machine:
    """`set_by_s`: what people have set its clock by, all in all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.up_s = 100.0
        self.set_by_s = 0.0
        self.is_quiet = False

    def clock(self) -> SteadyClock:
        return SteadyClock(self.folder / "clock.json", elapsed=lambda: self.up_s)

    def passes(self, clock: SteadyClock, seconds: int) -> None:
        for _ in range(seconds):
            self.up_s += 1.0
            clock.draw_near(lambda: self.is_quiet)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(time, "time", lambda: NOON + machine.up_s + machine.set_by_s)
    return machine


@pytest.mark.parametrize("set_by_s", [-HOUR, HOUR, -20 * 365 * 24 * HOUR])
def test_a_minute_stays_a_minute_when_the_clock_is_set(machine: Machine, set_by_s: float) -> None:
    clock = machine.clock()
    began = clock.now()
    machine.passes(clock, 30)
    machine.set_by_s = set_by_s
    machine.passes(clock, 30)
    assert clock.now() == pytest.approx(began + 60)
    assert clock.trouble is not None
    assert f"{abs(set_by_s):.0f} s {'ahead of' if set_by_s < 0 else 'behind'} it" in clock.trouble


def test_an_engine_that_is_behind_takes_the_time_as_soon_as_nothing_is_under_way(machine: Machine) -> None:
    clock = machine.clock()
    machine.set_by_s = HOUR
    machine.passes(clock, 5)
    machine.is_quiet = True
    machine.passes(clock, 1)
    assert clock.ahead_s == pytest.approx(0, abs=0.01)
    assert clock.trouble is None


def test_an_engine_that_is_ahead_waits_for_the_time_and_never_goes_back(machine: Machine) -> None:
    clock = machine.clock()
    machine.set_by_s = -60.0
    machine.is_quiet = True
    times = []
    for _ in range(125):
        machine.passes(clock, 1)
        times.append(clock.now())
    assert times == sorted(times)
    assert clock.ahead_s == pytest.approx(0, abs=0.01)


def test_waiting_for_the_time_ends_when_something_begins(machine: Machine) -> None:
    clock = machine.clock()
    machine.set_by_s, machine.is_quiet = -HOUR, True
    machine.passes(clock, 10)
    machine.is_quiet = False
    machine.passes(clock, 1)
    began = clock.now()
    machine.passes(clock, 60)
    assert clock.now() == pytest.approx(began + 60)


def test_what_is_less_than_a_second_is_made_up_for_at_any_time(machine: Machine) -> None:
    clock = machine.clock()
    for set_by_s in (0.4, 0.1, 0.9):
        machine.set_by_s = set_by_s
        machine.passes(clock, 4)
        assert clock.ahead_s == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("set_by_s", [-HOUR, HOUR])
def test_a_clock_that_is_set_while_the_engine_is_away_stretches_and_shortens_no_wait(
    machine: Machine, set_by_s: float
) -> None:
    clock = machine.clock()
    machine.passes(clock, 90)
    began = clock.now()
    machine.up_s += 10
    machine.set_by_s = set_by_s
    assert machine.clock().now() == pytest.approx(began + 10)


def test_a_machine_that_starts_in_1970_does_not_take_the_engine_along(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = machine.clock()
    machine.passes(clock, 90)
    last = clock.now()
    monkeypatch.setattr("turnout.timekeeping.start_of_the_machine", lambda: "another")
    machine.up_s, machine.set_by_s = 1.0, -NOON
    assert last - 60 <= machine.clock().now() <= last
    machine.set_by_s = 1000.0
    assert machine.clock().now() == pytest.approx(NOON + 1001)


def test_a_home_whose_time_cannot_be_read_or_kept_has_the_machines(machine: Machine) -> None:
    (machine.folder / "clock.json").write_text("{")
    assert machine.clock().ahead_s == pytest.approx(0)
    (machine.folder / "clock.json").unlink()
    (machine.folder / "clock.json").mkdir()
    assert machine.clock().ahead_s == pytest.approx(0)


def test_a_clock_writes_nothing_before_its_first_look_for_the_home_may_be_refused(machine: Machine) -> None:
    clock = machine.clock()
    assert list(machine.folder.iterdir()) == []
    machine.passes(clock, 1)
    assert [path.name for path in machine.folder.iterdir()] == ["clock.json"]

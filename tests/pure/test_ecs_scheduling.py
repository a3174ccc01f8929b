"""What a service needs, decided from what is seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout.ecs.scheduling import (
    ServiceSeen,
    SetSeen,
    TaskSeen,
    backoff_s,
    computed_desired_count,
    decide,
    failures_after,
)

NOW = 1000.0
_numbers = count()


def up(age_s: float = 100.0, *, is_failing: bool = False, is_healthy: bool = True) -> TaskSeen:
    """A task that runs."""
    at = NOW - age_s
    return TaskSeen(f"t{next(_numbers)}", at, at, is_healthy=is_healthy and not is_failing, is_failing=is_failing)


def coming() -> TaskSeen:
    """A task that does not run yet."""
    return TaskSeen(f"t{next(_numbers)}", NOW - 1, None, is_healthy=False)


def one_set(*tasks: TaskSeen, status: str = "PRIMARY", **more: object) -> SetSeen:
    return replace(SetSeen(f"set-{status}", status, 100.0, tasks), **more)  # type: ignore[arg-type]


def service(*sets: SetSeen, desired: int = 2, **more: object) -> ServiceSeen:
    seen = ServiceSeen(
        is_active=True, is_rolling=False, desired=desired, min_percent=100, max_percent=200, grace_s=0.0, sets=sets
    )
    return replace(seen, **more)  # type: ignore[arg-type]


def rolling(*sets: SetSeen, desired: int = 2, **more: object) -> ServiceSeen:
    return service(*sets, desired=desired, is_rolling=True, **more)


@pytest.mark.parametrize(
    ("desired", "percent", "computed"), [(10, 30, 3), (3, 50, 2), (1, 1, 1), (7, 0, 0), (3, 100, 3), (1000, 0.1, 1)]
)
def test_the_computed_desired_count_is_the_ceiling_of_the_scale(desired: int, percent: float, computed: int) -> None:
    assert computed_desired_count(desired, percent) == computed


def test_what_is_missing_is_started() -> None:
    assert decide(service(one_set(up())), NOW).starts == {"set-PRIMARY": 1}


def test_what_does_not_run_yet_counts() -> None:
    assert decide(service(one_set(up(), coming())), NOW).starts == {}


def test_what_is_too_much_is_stopped_the_newest_first() -> None:
    old, new = up(100), up(10)
    assert decide(service(one_set(old, new), desired=1), NOW).surplus == (new.id,)


def test_a_task_that_does_not_run_yet_is_given_up_before_one_that_runs() -> None:
    late = coming()
    assert decide(service(one_set(up(), up(), late)), NOW).surplus == (late.id,)


def test_nothing_is_started_before_the_backoff_has_passed() -> None:
    decision = decide(service(one_set(up(), retry_at=NOW + 4)), NOW)
    assert decision.starts == {}
    assert decision.look_at == NOW + 4
    assert decide(service(one_set(up(), retry_at=NOW + 4)), NOW + 4).starts == {"set-PRIMARY": 1}


def test_a_draining_set_loses_all_its_tasks_and_is_finished_when_they_are_gone() -> None:
    task = up()
    decision = decide(service(one_set(task, status="DRAINING")), NOW)
    assert (decision.surplus, decision.finished) == ((task.id,), ())
    assert decide(service(one_set(status="DRAINING", stopping=1)), NOW).finished == ()
    assert decide(service(one_set(status="DRAINING")), NOW).finished == ("set-DRAINING",)


def test_a_service_that_is_deleted_keeps_nothing() -> None:
    task = up()
    decision = decide(service(one_set(task), is_active=False), NOW)
    assert decision.surplus == (task.id,)
    assert decide(service(one_set(), is_active=False), NOW).finished == ("set-PRIMARY",)


def test_stability_needs_every_task_running_and_healthy() -> None:
    def is_stable(*tasks: TaskSeen) -> bool:
        return decide(service(one_set(*tasks)), NOW).figures["set-PRIMARY"].is_stable

    assert is_stable(up(), up())
    assert not is_stable(up())
    assert not is_stable(up(), coming())
    assert not is_stable(up(), up(is_healthy=False))
    assert not is_stable(up(), up(), up())


def test_a_failing_task_is_left_alone_during_its_grace_period() -> None:
    seen = service(one_set(up(20, is_failing=True)), desired=1, grace_s=30)
    decision = decide(seen, NOW)
    assert (decision.starts, decision.unhealthy, decision.look_at) == ({}, (), NOW + 10)
    assert decide(seen, NOW + 10).starts == {"set-PRIMARY": 1}


def test_a_failing_task_is_stopped_only_when_its_replacement_is_healthy() -> None:
    bad = up(is_failing=True)
    assert decide(service(one_set(bad), desired=1), NOW).unhealthy == ()
    assert decide(service(one_set(bad, coming()), desired=1), NOW).unhealthy == ()
    assert decide(service(one_set(bad, up()), desired=1), NOW).unhealthy == (bad.id,)


def test_a_failing_task_makes_room_where_there_is_none() -> None:
    bad, worse = up(is_failing=True), up(is_failing=True)
    decision = decide(service(one_set(bad, worse), desired=1), NOW)
    assert decision.unhealthy == (bad.id,)
    assert decision.starts == {"set-PRIMARY": 1}


def test_a_rolling_update_starts_all_new_tasks_beside_the_old_ones_by_default() -> None:
    decision = decide(rolling(one_set(up(), up(), status="ACTIVE"), one_set()), NOW)
    assert decision.starts == {"set-PRIMARY": 2}
    assert decision.surplus == ()


def test_a_rolling_update_stops_old_tasks_as_new_ones_are_healthy() -> None:
    old = (up(200), up(100))
    assert decide(rolling(one_set(*old, status="ACTIVE"), one_set(up(), coming())), NOW).surplus == (old[0].id,)
    both = decide(rolling(one_set(*old, status="ACTIVE"), one_set(up(), up())), NOW)
    assert set(both.surplus) == {task.id for task in old}


def test_a_rolling_update_within_a_hundred_percent_stops_before_it_starts() -> None:
    old = (up(200), up(100))
    limits = {"min_percent": 50, "max_percent": 100}
    first = decide(rolling(one_set(*old, status="ACTIVE"), one_set(), **limits), NOW)
    assert (first.starts, first.surplus) == ({}, (old[0].id,))
    then = decide(rolling(one_set(old[1], status="ACTIVE"), one_set(), **limits), NOW)
    assert (then.starts, then.surplus) == ({"set-PRIMARY": 1}, ())


def test_a_rolling_update_is_steady_when_nothing_old_counts() -> None:
    assert not decide(rolling(one_set(up(), status="ACTIVE"), one_set(up(), up())), NOW).is_steady
    done = decide(rolling(one_set(status="ACTIVE", stopping=2), one_set(up(), up())), NOW)
    assert done.is_steady
    assert done.finished == ("set-ACTIVE",)


def test_the_former_deployment_is_kept_without_tasks_for_as_long_as_the_new_one_may_go_back() -> None:
    going = {"is_deploying": True}
    kept = decide(rolling(one_set(status="ACTIVE", is_source=True), one_set(up(), up()), **going), NOW)
    assert (kept.finished, kept.is_steady) == ((), False)
    assert decide(rolling(one_set(status="ACTIVE"), one_set(up(), up())), NOW).finished == ("set-ACTIVE",)


def test_a_failed_deployment_starts_nothing_and_the_former_one_stops_nothing() -> None:
    good, bad = up(), up(is_failing=True)
    stalled = one_set(good, bad, is_stalled=True)
    decision = decide(rolling(one_set(up(), up(), status="ACTIVE"), stalled, desired=4), NOW)
    assert (decision.starts, decision.surplus, decision.unhealthy) == ({}, (), (bad.id,))
    assert decide(service(one_set(good, is_stalled=True), desired=3, shifts=True), NOW).starts == {}


def test_a_task_has_started_well_when_it_is_healthy_or_unchecked_and_has_run_for_a_moment() -> None:
    def well(*tasks: TaskSeen) -> tuple[str, ...]:
        return decide(service(one_set(*tasks)), NOW).started_well

    healthy, unchecked, young = up(0.5), replace(up(3), is_checked=False), replace(up(1), is_checked=False)
    assert well(healthy, unchecked, young, up(is_healthy=False), coming()) == (healthy.id, unchecked.id)
    assert well(replace(healthy, has_started_well=True)) == ()
    assert decide(service(one_set(young, up())), NOW).look_at == NOW + 2


def test_the_first_restarts_are_quick_and_none_waits_longer_than_a_minute() -> None:
    assert [backoff_s(n) for n in range(5)] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert backoff_s(1000) == 60.0


def test_tasks_that_were_started_in_one_wave_count_once() -> None:
    assert failures_after(0, None, created_at=0.0, ran_s=1.0) == 1
    assert failures_after(1, 5.0, created_at=0.0, ran_s=1.0) == 1
    assert failures_after(1, 5.0, created_at=5.01, ran_s=1.0) == 1
    assert failures_after(1, 5.0, created_at=5.25, ran_s=1.0) == 2


def test_a_task_that_ran_well_before_it_died_is_restarted_quickly() -> None:
    assert failures_after(9, 5.0, created_at=6.0, ran_s=61.0) == 1


tasks = st.builds(
    TaskSeen,
    id=st.uuids().map(str),
    created_at=st.floats(0, 900),
    running_at=st.none() | st.floats(900, 1000),
    is_healthy=st.booleans(),
    is_failing=st.booleans(),
)


@settings(deadline=None)
@given(
    old=st.lists(tasks, max_size=6),
    new=st.lists(tasks, max_size=6),
    desired=st.integers(0, 6),
    low=st.integers(0, 100),
    high=st.integers(100, 200),
)
def test_a_rolling_update_never_leaves_its_limits(
    old: list[TaskSeen], new: list[TaskSeen], desired: int, low: int, high: int
) -> None:
    """It starts nothing above maximumPercent, and stops no healthy task of another deployment below the minimum."""
    seen = rolling(one_set(*old, status="ACTIVE"), one_set(*new), desired=desired, min_percent=low, max_percent=high)
    decision = decide(seen, NOW)
    stopped = {*decision.surplus, *decision.unhealthy}
    left = [task for task in (*old, *new) if task.id not in stopped]
    started = sum(decision.starts.values())
    assert started == 0 or len(left) + started <= desired * high / 100
    settled = [task for task in (*old, *new) if task.running_at is not None and task.is_healthy]
    old_settled_stopped = [task for task in old if task in settled and task.id in stopped]
    assert not old_settled_stopped or len(settled) - len(old_settled_stopped) >= desired * low / 100

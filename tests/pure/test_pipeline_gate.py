"""Who may enter a stage."""

from hypothesis import given
from hypothesis import strategies as st

from turnout.codepipeline.gate import verdict

numbers = st.sets(st.integers(1, 50), min_size=1)


def test_alone_in_front_of_an_empty_stage_it_enters() -> None:
    assert verdict(1, [1], None, True, None, "Build").is_admitted


def test_it_waits_for_the_one_inside_and_says_for_whom() -> None:
    found = verdict(2, [2], "abc", True, None, "Build")
    assert (found.is_admitted, found.superseded) == (False, ())
    assert found.why == "execution abc is inside Build"


def test_a_disabled_transition_is_told_with_its_reason() -> None:
    assert verdict(2, [2], None, False, "frozen", "Build").why == "the transition into Build is disabled: frozen"


@given(numbers)
def test_the_newest_replaces_all_others_and_is_the_only_one_to_enter(waiting: set[int]) -> None:
    verdicts = {me: verdict(me, waiting, None, True, None, "Build") for me in waiting}
    newest = max(waiting)
    assert [me for me, found in verdicts.items() if found.is_admitted] == [newest]
    assert set(verdicts[newest].superseded) == waiting - {newest}


@given(numbers, st.booleans(), st.sampled_from([None, "x"]))
def test_nobody_is_replaced_by_an_older_one(waiting: set[int], is_enabled: bool, inside: str | None) -> None:
    for me in waiting:
        assert all(number < me for number in verdict(me, waiting, inside, is_enabled, None, "B").superseded)

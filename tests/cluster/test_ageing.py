"""Who waits rises: never beyond the highest, a point an hour, and for no longer than they waited."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.ageing import SECONDS_PER_POINT, Wait, first_priority

STEPS = st.lists(st.tuples(st.floats(0, 5 * SECONDS_PER_POINT), st.booleans()), max_size=30)


def lived(steps: list[tuple[float, bool]]) -> Wait:
    wait = Wait()
    for seconds, holds_slot in steps:
        wait = wait.after(seconds, holds_slot=holds_slot)
    return wait


@given(st.integers(-50, 50), st.integers(-50, 50), STEPS)
def test_a_priority_rises_to_the_highest_at_most_and_never_falls(
    priority: int, highest: int, steps: list[tuple[float, bool]]
) -> None:
    wait = lived(steps)
    found = first_priority(priority, wait, highest)
    assert priority <= found <= max(priority, highest)
    assert found <= first_priority(priority, wait.after(3600, holds_slot=False), highest)


@given(st.integers(-50, 50), st.integers(0, 50))
def test_who_waits_long_enough_reaches_the_highest(priority: int, more: int) -> None:
    wait = Wait().after(more * SECONDS_PER_POINT, holds_slot=False)
    assert first_priority(priority, wait, priority + more) == priority + more


@given(STEPS)
def test_a_rise_ends_once_slots_were_held_for_as_long_as_was_waited(steps: list[tuple[float, bool]]) -> None:
    wait = lived(steps)
    assert 0 <= wait.held_seconds <= wait.waited_seconds
    assert wait.after(wait.waited_seconds, holds_slot=True) == Wait()

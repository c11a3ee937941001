"""Dimensions refuse what contradicts itself, with the rule and the value."""

import pytest

from search_spaces.dimensions import Choice, Float, Int, none_of, one_of
from search_spaces.errors import SpaceError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Float(name="x", low=2, high=1), "Float 'x' needs low <= high, got low=2, high=1"),
        (lambda: Float(name="x", low=0, high=1, log=True), "log=True needs low > 0, got low=0"),
        (lambda: Float(name="x", low=float("nan"), high=1), "needs finite numbers as bounds, got nan"),
        (lambda: Int(name="x", low=1.5, high=3), "needs whole bounds, got 1.5"),  # type: ignore[arg-type]
        (lambda: Choice(name="x", options=()), "needs at least one option"),
        (lambda: Choice(name="x", options=("a", "a")), "names an option twice"),
        (lambda: Choice(name="x", options=(None,)), "takes text, numbers and truth values, got None"),  # type: ignore[arg-type]
    ],
)
def test_contradictions_are_refused(build, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpaceError, match=message):
        build()


def test_both_bounds_are_inside() -> None:
    for dimension in (Float(name="x", low=0.5, high=2.0), Int(name="x", low=1, high=4)):
        assert dimension.holds(dimension.low)
        assert dimension.holds(dimension.high)
        assert not dimension.holds(dimension.high + 1)


def test_a_truth_value_is_no_number() -> None:
    assert not Int(name="x", low=0, high=1).holds(True)
    assert not Float(name="x", low=0, high=1).holds(True)
    assert not Choice(name="x", options=(0, 1)).holds(True)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (one_of("a"), one_of("b"), True),
        (one_of("a", "b"), one_of("b"), False),
        (none_of("a"), one_of("a"), True),
        (none_of("a"), one_of("b"), False),
        (none_of("a"), none_of("b"), False),
    ],
)
def test_conditions_that_exclude_each_other(one, other, expected: bool) -> None:  # type: ignore[no-untyped-def]
    assert one.excludes(other) is expected
    assert other.excludes(one) is expected

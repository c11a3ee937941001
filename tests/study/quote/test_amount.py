"""Amounts read as a person says them."""

import pytest

from study.quote.amount import Range, duration_text, range_text, rounded


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (1.26, "1.3 s"),
        (48, "50 s"),
        (130, "2 min"),
        (35 * 60, "35 min"),
        (130 * 60, "2 h 10 min"),
        (120 * 60, "2 h"),
        (11.2 * 3600, "11 h"),
        (76 * 3600, "3 days 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_ends_of_a_range_share_their_unit_and_are_told_once_where_they_are_one() -> None:
    assert range_text(Range(low=120, expected=180, high=240)) == "2 to 4 min"
    assert range_text(Range(low=5400, expected=7800, high=10800)) == "90 min to 3 h"
    assert range_text(Range.exactly(120)) == "2 min"


def test_numbers_of_which_two_digits_are_known() -> None:
    assert [rounded(number) for number in (7.4, 94, 312, 1234)] == ["7", "94", "310", "1,200"]

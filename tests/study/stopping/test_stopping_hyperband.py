"""Hyperband's brackets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import SpecError
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.hyperband import Hyperband, bracket_sizes, turns
from study.study_file.study_spec import StudySpec


def test_the_sizes_of_brackets_are_hyperbands() -> None:
    # Algorithm 1 of arXiv 1603.06560 for R = 81, reduction 3: ceil(5 * 3**s / (s + 1)) for s = 4 ... 0.
    assert bracket_sizes(5, 3) == [81, 34, 15, 8, 5]
    assert bracket_sizes(1, 3) == [1]


@given(st.integers(1, 5), st.integers(2, 5))
def test_trials_enter_brackets_in_proportion_at_any_time(brackets: int, reduction: int) -> None:
    sizes = bracket_sizes(brackets, reduction)
    order = turns(sizes)
    assert [order.count(bracket) for bracket in range(brackets)] == sizes
    for so_far in range(1, min(len(order), 200)):
        for bracket, size in enumerate(sizes):
            assert abs(order[:so_far].count(bracket) - so_far * size / sum(sizes)) < 1.5


def test_each_bracket_begins_to_stop_one_rung_later_and_the_last_not_at_all() -> None:
    hyperband = Hyperband(first_rung=0.1, reduction=3, brackets=4)
    rule = build_rules(EarlyStopping(rule="hyperband", first_rung=0.1, protect_top=0), True)
    first_stops = {}
    for bracket in range(4):
        good, bad = [trial for trial in range(100) if hyperband.bracket(trial) == bracket][:2]
        stopped_at = None
        for epoch in range(1, 21):
            rule.on_epoch(good, epoch, 20, 0.9, "network")
            if stopped_at is None and rule.on_epoch(bad, epoch, 20, 0.1, "network").action == "stop":
                stopped_at = epoch
        first_stops[bracket] = stopped_at
    assert first_stops == {0: 2, 1: 6, 2: 18, 3: None}


def test_more_brackets_than_rungs_and_one_are_refused_with_a_way_out() -> None:
    tree = {"study": "s", "dataset": "d", "early_stopping": {"rule": "hyperband", "brackets": 4}}
    with pytest.raises(
        SpecError,
        match=r"brackets must be at most 3 with first_rung 0\.2 and reduction 3, got 4; lower it",
    ):
        StudySpec.parse(tree)
    assert StudySpec.parse({**tree, "early_stopping": "hyperband"}).early_stopping.brackets is None

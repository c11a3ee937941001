"""Studies side by side: what differs, who is best, which values win where."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from final_results import FINAL
from made_studies import made_study

from search_spaces.space import Point
from study.analysis.side_by_side import compare_studies
from study.errors import SpecError
from study.results.study_result import StudyResult

SPACE: dict[str, Any] = {
    "freeze_depth": {"int": [0, 4]},
    "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    "augmentation_strength": {"float": [0, 1]},
}


def shallow(point: Point) -> float:
    """Freezing hurts; the augmentation does nothing."""
    rate = math.log10(float(point["learning_rate"]))
    return 0.8 - 0.05 * float(point["freeze_depth"]) - 0.03 * (rate + 3) ** 2


def deep(point: Point) -> float:
    """Freezing helps, on a scale of its own."""
    return 0.3 + 0.01 * float(point["freeze_depth"])


def study(name: str, worth: Any = shallow, **how: Any) -> StudyResult:
    given = {"trials": 60, "space": SPACE, "folder": Path("home/studies") / name, **how}
    return made_study(worth, **given)


def test_what_wins_is_told_for_each_study_across_datasets() -> None:
    found = compare_studies([study("faces"), study("flowers", deep, noise=0.005, dataset="flowers")])
    faces, flowers = found.wins["freeze_depth"]
    assert faces is not None
    assert flowers is not None
    assert (faces.value, flowers.value) == (0.0, 4.0)
    assert 4.0 not in faces.ties
    assert 0.0 not in flowers.ties
    assert faces.is_beyond_chance
    assert flowers.is_beyond_chance
    assert 0 <= faces.low < faces.mean < faces.high <= 1
    assert any("different datasets (digits, flowers)" in remark for remark in found.remarks)


def test_nothing_wins_where_a_dimension_does_nothing() -> None:
    found = compare_studies([study("one"), study("two", seed=1)])
    for win in found.wins["augmentation_strength"]:
        assert win is not None
        assert not win.is_beyond_chance
        assert len(win.ties) >= 6


def test_studies_of_different_objectives_are_compared_by_rank() -> None:
    loss = study("loss", lambda point: 1 - shallow(point), objective={"metric": "log_loss"})
    found = compare_studies([study("share"), loss])
    one, other = found.wins["freeze_depth"]
    assert one is not None
    assert other is not None
    assert one.value == other.value == 0.0
    assert any("different objectives (accuracy, log_loss)" in remark for remark in found.remarks)


def test_a_winner_is_never_tied_with_all_others() -> None:
    found = compare_studies([study("one"), study("two", seed=1)])
    for wins in found.wins.values():
        for win in wins:
            assert win is not None
            if win.is_beyond_chance:
                assert len(win.ties) < 8, "nine values, or five, are told; the worst of them is worse"


def test_settings_that_differ_are_listed_and_no_others() -> None:
    found = compare_studies(
        [study("one", budget={"trials": 60, "epochs": 3}), study("two", budget={"trials": 60, "epochs": 9})]
    )
    assert found.settings == {"budget.epochs": ("3", "9")}


def test_the_best_has_its_intervals_and_its_cost() -> None:
    row = dataclasses.replace(FINAL.confirmed[0], half_width=0.02)
    ended = study("one", final=dataclasses.replace(FINAL, confirmed=(row,)))
    first, second = compare_studies([ended, study("two", seed=1)]).best
    assert first.confirmed is not None
    assert (first.confirmed.low, first.confirmed.high) == (0.88, 0.92)
    assert first.accuracy_on_test is not None
    assert first.accuracy_on_test.high == 0.94
    assert second.confirmed is None
    assert second.accuracy_on_test is None
    assert first.seconds == 600


def test_a_study_that_is_empty_or_alone_is_refused_in_one_message() -> None:
    empty = [study(name, trials=2, curves=lambda n, v: [], states=lambda n: "failed") for name in ("a", "b")]
    with pytest.raises(SpecError, match="no trial of a, b has ended with a value"):
        compare_studies([study("one"), *empty])
    with pytest.raises(SpecError, match="at least two different studies, got one"):
        compare_studies([study("one")])
    with pytest.raises(SpecError, match="at least two different studies, got one, one"):
        compare_studies([study("one"), study("one")])


def test_a_dimension_that_varies_in_one_study_only_has_no_winner_in_the_other() -> None:
    few = {name: SPACE[name] for name in ("freeze_depth", "learning_rate")}
    found = compare_studies([study("one"), study("two", space=few)])
    one, other = found.wins["augmentation_strength"]
    assert one is not None
    assert other is None

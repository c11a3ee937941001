"""Health cards: each on a study that has what it warns of, and on one that has not."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from final_results import FINAL, TEST
from made_studies import made_study
from tabulated import MANIFEST

from search_spaces.space import Point
from study.analysis.health import HealthCard, health_cards
from study.evaluation.final_result import Candidate, FinalResult
from study.evaluation.test_evidence import TestEvidence
from study.evaluation.test_result import Interval
from study.results.study_result import StudyResult

SPACE: dict[str, Any] = {
    "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    "dropout": {"float": [0, 0.6]},
    "optimizer": {"choice": ["adam", "sgd"]},
}


def peak(point: Point) -> float:
    """Best in the middle of the learning rate, and without dropout."""
    rate = math.log10(float(point["learning_rate"]))
    return 0.8 - 0.05 * (rate + 3) ** 2 - 0.1 * float(point["dropout"])


def cards(result: StudyResult, kind: str) -> list[HealthCard]:
    return [card for card in health_cards(result) if card.kind == kind]


def card(result: StudyResult, kind: str) -> HealthCard:
    (found,) = cards(result, kind)
    return found


def test_every_kind_has_a_card_and_warnings_come_first() -> None:
    found = health_cards(made_study(lambda point: 0.5, trials=40, space=SPACE))
    assert len({one.kind for one in found}) == 6
    warned = [one.is_warning for one in found]
    assert warned == sorted(warned, reverse=True)
    assert all(one.way_out for one in found if one.is_warning)
    assert not any(one.way_out for one in found if not one.is_warning)


def test_an_optimum_at_the_upper_bound_is_told_with_a_wider_range() -> None:
    result = made_study(
        lambda point: 0.5 + 0.08 * math.log10(float(point["learning_rate"])), trials=40, space=SPACE
    )
    found = card(result, "optimum_at_bound")
    assert found.is_warning
    assert found.title == "Learning rate: best at its upper end"
    assert "0.1" in found.sentence
    assert found.way_out is not None
    assert "extend: {learning_rate: {float: [1e-05, 10], log: true}}" in found.way_out
    assert "start_from: [{best: 3, studies: [made]}]" in found.way_out


def test_an_optimum_inside_is_well() -> None:
    assert not card(made_study(peak, trials=40, space=SPACE), "optimum_at_bound").is_warning


def test_an_end_that_cannot_be_moved_is_no_bound() -> None:
    """A dropout below 0 does not exist, however good 0 is."""
    result = made_study(lambda point: 0.8 - 0.5 * float(point["dropout"]), trials=40, space=SPACE)
    assert not card(result, "optimum_at_bound").is_warning


def test_the_end_of_the_network_is_no_bound() -> None:
    space = {"freeze_depth": {"int": [0, 4]}, "dropout": SPACE["dropout"]}
    result = made_study(lambda point: 0.5 + 0.05 * float(point["freeze_depth"]), trials=40, space=space)
    assert not card(result, "optimum_at_bound").is_warning


def test_a_study_in_which_nothing_matters_says_so() -> None:
    result = made_study(lambda point: 0.5, trials=40, seed=1, space=SPACE)
    found = card(result, "nothing_matters")
    assert found.is_warning
    assert "None of 3 dimensions shows an influence in 40 trials" in found.sentence
    assert not card(result, "too_few_trials").is_warning


def test_a_study_in_which_something_matters_names_it() -> None:
    result = made_study(peak, trials=40, space=SPACE)
    found = card(result, "nothing_matters")
    assert not found.is_warning
    assert "learning rate" in found.sentence
    assert not card(result, "too_few_trials").is_warning


def test_too_few_trials_are_told_with_how_many_are_missing() -> None:
    result = made_study(lambda point: 0.5, trials=8, space=SPACE)
    found = card(result, "too_few_trials")
    assert found.is_warning
    assert "study extend made --trials 12" in (found.way_out or "")
    assert not card(result, "nothing_matters").is_warning, "it cannot be told"


def test_few_trials_are_enough_for_what_is_strong() -> None:
    result = made_study(lambda point: 0.5 + 0.3 * (point["optimizer"] == "sgd"), trials=14, space=SPACE)
    assert not card(result, "too_few_trials").is_warning


def late_bloomers(number: int, value: float) -> Sequence[float]:
    """The better a trial ends, the worse it begins."""
    return [1 - value] * 3 + [value - 0.1] * 2 + [value] * 5


def steady(number: int, value: float) -> Sequence[float]:
    return [value * epoch / 10 for epoch in range(1, 11)]


def stopping_study(curves: Any, rule: Any = None) -> StudyResult:
    return made_study(
        peak,
        trials=20,
        space=SPACE,
        curves=curves,
        budget={"epochs": 10},
        early_stopping=rule or {"rule": "asha", "protect_top": 0},
    )


def test_early_stopping_that_loses_the_winner_is_unsafe() -> None:
    found = card(stopping_study(late_bloomers), "early_stopping_unsafe")
    assert found.is_warning
    assert "asha, which looks first after 20% of the epochs" in found.sentence
    assert "early_stopping: {rule: asha, first_rung: 0.4}" in (found.way_out or "")
    assert "study replay made --early-stopping asha --first-rung 0.4" in (found.way_out or "")


def test_early_stopping_of_steady_curves_is_safe() -> None:
    found = card(stopping_study(steady), "early_stopping_unsafe")
    assert not found.is_warning
    assert found.title == "Early stopping looks safe"


@pytest.mark.parametrize(
    ("rule", "says"),
    [("none", "No trial was stopped early"), ({"rule": "median"}, "median")],
)
def test_other_rules_are_judged_by_their_own_ways(rule: Any, says: str) -> None:
    found = card(
        stopping_study(steady, rule if isinstance(rule, dict) else {"rule": rule}), "early_stopping_unsafe"
    )
    assert not found.is_warning
    assert says in found.sentence


def final_with(test_value: float, *, promised: float) -> FinalResult:
    half = 0.02
    metrics = {
        "accuracy": Interval(value=test_value, low=test_value - half, high=test_value + half),
    }
    test = TEST.__class__(**{**vars(TEST), "metrics": metrics})
    row = FINAL.confirmed[0].__class__(**{**vars(FINAL.confirmed[0]), "search_value": promised})
    candidate = Candidate(kind="single", trial=3, seeds=(), test=test, model="pets", version=1)
    return FinalResult(candidates=(candidate,), confirmed=(row,))


def test_a_gap_between_validation_and_test_is_told() -> None:
    result = made_study(peak, trials=12, space=SPACE, final=final_with(0.80, promised=0.90))
    found = card(result, "validation_test_gap")
    assert found.is_warning
    assert "0.9000 on validation and 0.8000 (0.7800 to 0.8200) on the test split" in found.sentence
    assert "0.1000 worse, where chance explains up to 0.0283" in found.sentence


@pytest.mark.parametrize("promised", [0.82, 0.70])
def test_what_chance_explains_is_no_gap(promised: float) -> None:
    result = made_study(peak, trials=12, space=SPACE, final=final_with(0.80, promised=promised))
    assert not card(result, "validation_test_gap").is_warning


def test_a_winner_that_was_not_confirmed_is_checked_by_its_value_in_the_search() -> None:
    final = replace(final_with(0.80, promised=0.0), confirmed=())
    result = made_study(lambda point: 0.5, trials=12, noise=0.0, space=SPACE, final=final)
    found = card(result, "validation_test_gap")
    assert found.title == "Validation and test agree"
    assert "0.5000 on validation and 0.8000 (0.7800 to 0.8200) on the test split: no worse." in found.sentence


def test_no_gap_is_claimed_before_the_test_split_is_opened() -> None:
    found = card(made_study(peak, trials=12, space=SPACE), "validation_test_gap")
    assert not found.is_warning
    assert "has not been opened" in found.sentence


def study_with_evidence(folder: Path, num_wrong: int) -> StudyResult:
    """A model that is rightly sure of 500 images but for some."""
    home = folder / "studies" / "made"
    measured = home / "measured" / "trial-0003" / "single"
    measured.mkdir(parents=True)
    labels = np.zeros(500, int)
    labels[:num_wrong] = 1
    probabilities = np.tile(np.array([0.995, 0.005], np.float32), (500, 1))
    TestEvidence(
        dataset="digits",
        dataset_digest="0",
        classes=("a", "b"),
        labels_N=labels,
        is_clean_N=np.ones(500, bool),
        probabilities_NK=probabilities,
        latency_ms=1.0,
    ).write(measured)
    return made_study(peak, trials=12, space=SPACE, folder=home, final=final_with(0.8, promised=0.8))


def test_mistakes_that_are_too_certain_make_labels_suspicious(tmp_path: Path) -> None:
    found = card(study_with_evidence(tmp_path, num_wrong=30), "label_noise")
    assert found.is_warning
    assert "On 30 of 500 test images" in found.sentence
    assert "study label FOLDER" in (found.way_out or "")


def test_as_many_certain_mistakes_as_the_probabilities_say_are_well(tmp_path: Path) -> None:
    found = card(study_with_evidence(tmp_path, num_wrong=3), "label_noise")
    assert not found.is_warning


def manifest_with(folder: Path, conflicts: int) -> StudyResult:
    findings = dataclasses.replace(MANIFEST.findings, num_label_conflicts=conflicts)
    dataset = folder / "datasets" / "digits"
    dataset.mkdir(parents=True)
    dataclasses.replace(MANIFEST, name="digits", findings=findings).write(dataset)
    return made_study(peak, trials=12, space=SPACE, folder=folder / "studies" / "made")


def test_equal_images_under_several_classes_make_labels_suspicious(tmp_path: Path) -> None:
    found = card(manifest_with(tmp_path, conflicts=7), "label_noise")
    assert found.is_warning
    assert "7 images stand under more than one class, of 100 images of digits." in found.sentence


def test_no_conflict_is_well(tmp_path: Path) -> None:
    found = card(manifest_with(tmp_path, conflicts=0), "label_noise")
    assert not found.is_warning
    assert "No image of digits stands under two classes." in found.sentence

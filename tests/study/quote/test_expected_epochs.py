"""How many epochs a rule of early stopping leaves."""

import time
from pathlib import Path

import pytest
from quoting import plan

from study.home import Home
from study.quote.epochs import expected_epochs
from study.results.study_result import StudyResult
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.yaml_file import write_yaml


def test_without_early_stopping_the_epochs_are_known(home: Home) -> None:
    found = expected_epochs(plan(home, early_stopping="none"))
    assert (found.range.low, found.range.expected, found.range.high) == (240, 240, 240)
    assert found.source == "as no trial stops early"


@pytest.mark.parametrize("rule", ["asha", "asha_pause", "hyperband", "median"])
def test_early_stopping_leaves_fewer_and_the_same_each_time(home: Home, rule: str) -> None:
    made = plan(home, early_stopping=rule, budget={"trials": 40, "epochs": 20})
    found = expected_epochs(made, num_slots=2)
    assert 40 * 4 <= found.range.low <= found.range.expected <= found.range.high < 0.9 * 800
    assert "this home has no ended study" in found.source
    assert expected_epochs(made, num_slots=2).range == found.range


def test_asha_leaves_what_it_leaves_on_recorded_curves(home: Home) -> None:
    # 300 studies of 40 trials, drawn from 200 recorded curves, left 44 % (`first_rung` of the study file).
    found = expected_epochs(plan(home, early_stopping="asha", budget={"trials": 40, "epochs": 20}))
    assert found.range.expected == pytest.approx(0.44 * 800, rel=0.15)


def test_a_plateau_counts_as_early_stopping(home: Home) -> None:
    found = expected_epochs(plan(home, early_stopping={"rule": "none", "plateau": 3}))
    assert found.range.expected < 240


def test_the_budget_of_epochs_bounds_them(home: Home) -> None:
    made = plan(home, budget={"trials": 12, "epochs": 20, "total_epochs": 50})
    assert expected_epochs(made).range.high == 50


def test_a_space_that_has_fewer_configurations_has_fewer_trials(home: Home) -> None:
    numbers = ("learning_rate", "weight_decay", "label_smoothing", "augmentation_strength", "dropout")
    made = plan(home, fix=dict.fromkeys(numbers, 0.01), early_stopping="none")
    assert expected_epochs(made).range.expected == 6 * 20


def test_an_ended_study_under_the_rule_says_how_far_its_trials_really_came(home: Home) -> None:
    prior = expected_epochs(plan(home))
    record_study(home, "before", num_epochs=5)
    found = expected_epochs(plan(home))
    assert "held against one study of this home under asha" in found.source
    assert found.range.expected == pytest.approx(12 * 5, rel=0.1)
    assert found.range.expected < prior.range.expected
    other = expected_epochs(plan(home, early_stopping="median"))
    assert "made-up curves, as" in other.source, "another rule's study says nothing of it"


def test_a_study_of_a_million_trials_is_answered_at_once(home: Home) -> None:
    made = plan(home, budget={"trials": 1_000_000, "epochs": 1_000})
    begun = time.process_time()
    found = expected_epochs(made)
    assert time.process_time() - begun < 5
    assert 0.2e9 < found.range.expected < 0.7e9


def record_study(home: Home, name: str, num_epochs: int) -> StudyResult:
    """An ended study of 12 trials that all stopped after so many epochs."""
    made = plan(home, study=name)
    folder: Path = made.folder
    folder.mkdir(parents=True)
    record = StudyRecord.create(folder, name, objectives=made.spec.objectives)
    write_yaml(folder / SPEC_FILE, made.spec.to_dict())
    record.note(dataset_digest=made.manifest.digest)
    for trial in range(12):
        asked = record.ask(made.space, 0)
        assert asked is not None
        for epoch in range(1, num_epochs + 1):
            value = trial / 20 + epoch / 100
            record.report(trial, EpochReport(epoch=epoch, value=value, metrics={}, seconds=1.0, run_id=None))
        record.finish(trial, "pruned", "behind")
    return StudyResult.read(folder)

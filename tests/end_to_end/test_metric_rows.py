"""What a real trial writes into MLflow's table of metrics, which is most of its database."""

import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest
from fresh_homes import FreshHomes

from study.driver.running import run_study
from study.home import Home
from study.results.study_result import StudyResult

pytestmark = pytest.mark.slow  # a study of thirty epochs trains for them
EPOCHS = 30
ROWS_BEFORE = 36.8
"""An epoch of ten classes, when each epoch had all metrics."""
EVERY_EPOCH = {
    "train/loss",
    "learning_rate",
    "best/macro_f1",
    "validation/accuracy",
    "validation/balanced_accuracy",
    "validation/macro_f1",
    "validation/log_loss",
    "validation/kappa",
    "validation/worst_class_recall",
}


@pytest.fixture(scope="module")
def home(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return fresh_homes.make(tmp_path_factory.mktemp("rows"), with_digits=True)


@pytest.fixture(scope="module")
def result(local_ray: None, home: Home) -> StudyResult:
    spec = {
        "study": "rows",
        "dataset": "digits",
        "search_space": "digits",
        "start_from": [{"learning_rate": 1e-3}],
        "budget": {"trials": 1, "epochs": EPOCHS},
        "early_stopping": {"rule": "none"},
    }
    return run_study(spec, home=home)


def values_of(home: Home, result: StudyResult) -> dict[str, dict[int, float]]:
    """By metric and epoch, of the study's only trial."""
    (trial,) = result.trials
    with closing(sqlite3.connect(home.folder / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT key, step, value FROM metrics WHERE run_uuid = ?", (trial.run_id,)
        ).fetchall()
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for key, step, value in rows:
        assert step not in values[key], f"{key} of epoch {step} is there twice"
        values[key][step] = value
    return values


def test_an_epoch_is_half_the_rows_that_it_was(home: Home, result: StudyResult) -> None:
    values = values_of(home, result)
    rows = sum(map(len, values.values()))
    assert rows / EPOCHS <= ROWS_BEFORE / 2, f"{rows / EPOCHS:.1f} rows an epoch: {rows_by_metric(values)}"


def test_what_a_person_follows_is_there_for_every_epoch(home: Home, result: StudyResult) -> None:
    values = values_of(home, result)
    whole = {key for key, by_step in values.items() if sorted(by_step) == [*range(1, EPOCHS + 1)]}
    assert whole == EVERY_EPOCH


def test_single_classes_are_those_of_each_new_best_epoch(home: Home, result: StudyResult) -> None:
    values = values_of(home, result)
    f1, best = values["validation/macro_f1"], values["best/macro_f1"]
    records = [step for step in f1 if step == 1 or best[step] != best[step - 1]]
    recalls = {key: by_step for key, by_step in values.items() if key.startswith("within_class/recall/")}
    assert len(recalls) == 10
    assert all(sorted(by_step) == records for by_step in recalls.values())
    for step in records:
        mean = sum(by_step[step] for by_step in recalls.values()) / 10
        assert mean == pytest.approx(values["validation/balanced_accuracy"][step])


def test_the_machine_and_the_speed_are_there_once_in_thirty_seconds(home: Home, result: StudyResult) -> None:
    (trial,) = result.trials
    values = values_of(home, result)
    machine = {key: by_step for key, by_step in values.items() if key.startswith(("system/", "seconds/"))}
    assert {
        "system/cpu_utilization_percentage",
        "system/trial_memory_usage_megabytes",
        "seconds/train",
    } <= set(machine)
    for key, by_step in machine.items():
        assert 1 in by_step, f"{key}: the shortest trial has it"
        assert len(by_step) <= 2 + trial.seconds / 30, f"{key} at {sorted(by_step)}"


def rows_by_metric(values: dict[str, dict[int, float]]) -> dict[str, int]:
    return {key: len(by_step) for key, by_step in sorted(values.items())}

"""What the sampler draws lies in the space, reaches its ends, and follows from the seed and the record."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.named import named_spaces
from search_spaces.space import SearchSpace
from study.search.record import Report, StudyRecord
from study.search.sampling import sample, sampler_params

SPACES = tuple(named_spaces().values())


@settings(max_examples=30)
@given(st.sampled_from(SPACES), st.integers(0, 1000))
def test_sampled_points_lie_in_the_space(space: SearchSpace, seed: int) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    space.check(sample(space, trial))


def test_both_ends_of_a_whole_number_are_reached() -> None:
    space = SearchSpace(name="s", about="", dimensions=(Int(name="x", low=0, high=4),))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {sample(space, study.ask())["x"] for _ in range(100)} == {0, 1, 2, 3, 4}


@settings(max_examples=30)
@given(st.sampled_from(SPACES), st.integers(0, 1000))
def test_a_point_put_in_front_comes_out_as_it_was(space: SearchSpace, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    point = sample(space, study.ask())
    study.enqueue_trial(sampler_params(space, point))
    assert sample(space, study.ask()) == point


CONDITIONAL = SearchSpace(
    name="conditional",
    about="",
    dimensions=(
        Choice(name="optimizer", options=("sgd", "adam")),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when={"optimizer": one_of("sgd")}),
        Float(name="learning_rate", low=1e-5, high=1e-2, log=True, when={"optimizer": one_of("adam")}),
    ),
)


def run_trials(record: StudyRecord, numbers: range) -> list[dict[str, object]]:
    points: list[dict[str, object]] = []
    for _ in numbers:
        number, point = record.ask(CONDITIONAL, seed=7)
        record.report(number, Report(epoch=1, value=float(point["learning_rate"]), metrics={}, seconds=0.1, run_id=None))
        record.finish(number, "complete")
        points.append(dict(point))
    return points


def test_a_restart_draws_what_an_uninterrupted_study_would(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = run_trials(StudyRecord.create(tmp_path / "whole", "s", maximise=True), range(16))
    first = run_trials(StudyRecord.create(tmp_path / "cut", "s", maximise=True), range(9))
    rest = run_trials(StudyRecord.open(tmp_path / "cut"), range(7))
    assert first + rest == whole
    assert len({str(point) for point in whole}) == 16, "no configuration twice"


def test_another_seed_draws_other_points(tmp_path: Path) -> None:
    record = StudyRecord.create(tmp_path, "s", maximise=True)
    assert record.ask(CONDITIONAL, seed=0)[1] != record.ask(CONDITIONAL, seed=1)[1]


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    return StudyRecord.create(tmp_path, "s", maximise=True)


def report(record: StudyRecord, number: int, *values: float) -> None:
    for epoch, value in enumerate(values, start=1):
        record.report(number, Report(epoch=epoch, value=value, metrics={"accuracy": value}, seconds=1.0, run_id="r"))


def test_a_trial_is_worth_its_best_epoch(record: StudyRecord) -> None:
    number, point = record.ask(CONDITIONAL, seed=0)
    report(record, number, 0.1, 0.7, 0.5)
    record.finish(number, "complete")
    trial = record.trial(number)
    assert (trial.value, trial.best_epoch, trial.metrics) == (0.7, 2, {"accuracy": 0.7})
    assert (trial.state, trial.seconds, trial.point, trial.run_id) == ("complete", 3.0, point, "r")


def test_an_epoch_reported_again_by_a_trial_that_started_over_counts_once(record: StudyRecord) -> None:
    number, _ = record.ask(CONDITIONAL, seed=0)
    report(record, number, 0.1, 0.7)
    report(record, number, 0.1, 0.7, 0.8)
    assert record.trial(number).seconds == 3.0


def test_the_ends_of_trials_are_told_apart(record: StudyRecord) -> None:
    for value, state, reason in ((0.5, "complete", None), (0.9, "pruned", "behind"), (0.1, "failed", "nan")):
        number, _ = record.ask(CONDITIONAL, seed=0)
        report(record, number, value)
        record.finish(number, state, reason)  # type: ignore[arg-type]
        record.finish(number, "complete")  # a second end changes nothing
    record.ask(CONDITIONAL, seed=0)
    assert [trial.state for trial in record.trials] == ["complete", "pruned", "failed", "running"]
    assert [trial.reason for trial in record.trials] == [None, "behind", "nan", None]
    best = record.best()
    assert best is not None
    assert best.number == 0, "a complete trial comes before one that was stopped early"
    assert [trial.number for trial in record.leaderboard()] == [1, 0, 2]


def test_where_none_is_complete_the_best_stopped_trial_wins(record: StudyRecord) -> None:
    assert record.best() is None
    number, _ = record.ask(CONDITIONAL, seed=0)
    report(record, number, 0.3)
    record.finish(number, "pruned", "behind")
    best = record.best()
    assert best is not None
    assert best.number == number


def test_points_put_in_front_come_first_and_keep_what_the_space_lacks(record: StudyRecord) -> None:
    record.enqueue(CONDITIONAL, {"optimizer": "sgd", "learning_rate": 0.05, "step_epochs": 5}, origin="a-recipe")
    number, point = record.ask(CONDITIONAL, seed=0)
    assert point == {"optimizer": "sgd", "learning_rate": 0.05, "step_epochs": 5}
    assert record.trial(number).origin == "a-recipe"
    assert "step_epochs" not in record.ask(CONDITIONAL, seed=0)[1]

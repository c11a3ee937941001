"""Which configurations are confirmed, and the record of their trainings: apart from the search, and safe
against any death.
"""

from pathlib import Path

import pytest
from tabulated import CONDITIONAL, end_trial, make_record, run_trials

from search_spaces.dimensions import Choice
from search_spaces.space import Point, SearchSpace
from study.evaluation.confirmation import FOLDER, Confirmation, configurations_to_confirm
from study.recipes.trial_seed import confirmation_seed, trial_seed
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.objective import Objective

ACCURACY = Objective(metric="accuracy")
SINGLE = SearchSpace(name="single", about="", dimensions=(Choice(name="optimizer", options=("adam",)),))


def searched(folder: Path, num_trials: int = 12) -> StudyRecord:
    record = make_record(folder)
    run_trials(record, CONDITIONAL, num_trials)
    return record


def numbers(trials: tuple[Trial, ...]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_best_complete_trials_are_confirmed(tmp_path: Path) -> None:
    record = searched(tmp_path)
    complete = [trial.number for trial in record.leaderboard() if trial.state == "complete"]
    assert numbers(configurations_to_confirm(record, 3)) == complete[:3]
    assert numbers(configurations_to_confirm(record, 100)) == complete


def test_trials_stopped_early_are_confirmed_where_none_is_complete(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    for value in (0.3, 0.5, 0.4):
        asked = record.ask(CONDITIONAL, 0)
        assert asked is not None
        end_trial(record, asked[0], value, state="pruned")
    assert numbers(configurations_to_confirm(record, 2)) == [1, 2]


def test_a_configuration_that_misses_a_constraint_is_not_confirmed(tmp_path: Path) -> None:
    record = make_record(tmp_path, constraints=["parameters_million <= 5"])
    for value, millions in ((0.9, 9.0), (0.8, 1.0)):
        asked = record.ask(CONDITIONAL, 0)
        assert asked is not None
        end_trial(record, asked[0], value, parameters_million=millions)
    assert numbers(configurations_to_confirm(record, 2)) == [1]


def test_a_configuration_that_was_tried_twice_is_confirmed_once(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    for value in (0.7, 0.9, 0.8):
        asked = record.ask(SINGLE, 0)
        assert asked is not None
        end_trial(record, asked[0], value)
    assert numbers(configurations_to_confirm(record, 3)) == [1]


def test_trainings_wait_with_the_configurations_of_their_trials(tmp_path: Path) -> None:
    search = searched(tmp_path)
    trials = configurations_to_confirm(search, 2)
    confirmation = Confirmation.create(tmp_path, ACCURACY)
    confirmation.want(search, trials, 3, CONDITIONAL)
    expected = [(trial.number, seed) for trial in trials for seed in (1, 2, 3)]
    assert list(confirmation.wanted) == expected
    assert [training.point for training in confirmation.record.trials] == [
        search.trial(number).point for number, _ in expected
    ]
    assert {training.state for training in confirmation.record.trials} == {"waiting"}
    assert confirmation.name(4) == f"trial-{trials[1].number:04d}-seed-2"


def test_a_driver_may_die_between_what_it_wants_and_what_it_adds(tmp_path: Path) -> None:
    search = searched(tmp_path)
    trials = configurations_to_confirm(search, 2)
    confirmation = Confirmation.create(tmp_path, ACCURACY)
    wanted = [{"confirms": trials[0].number, "seed": seed} for seed in (1, 2)]
    confirmation.record.note(trainings=wanted)  # and dies here
    again = Confirmation.create(tmp_path, ACCURACY)
    again.want(search, trials[1:], 2, CONDITIONAL)
    assert len(again.record.trials) == len(again.wanted) == 4
    assert [training.point for training in again.record.trials] == [
        search.trial(number).point for number, _ in again.wanted
    ]


def test_a_driver_may_die_while_it_makes_the_record(tmp_path: Path) -> None:
    (tmp_path / f"{FOLDER}.unfinished").mkdir()
    make_record(tmp_path / f"{FOLDER}.unfinished")
    assert Confirmation.read(tmp_path) is None
    assert Confirmation.create(tmp_path, ACCURACY).wanted == ()


def test_what_was_confirmed_stays_when_others_come(tmp_path: Path) -> None:
    search = searched(tmp_path)
    first, second, third = configurations_to_confirm(search, 3)
    confirmation = Confirmation.create(tmp_path, ACCURACY)
    confirmation.want(search, [second, third], 2, CONDITIONAL)
    started(confirmation, 0.5)
    confirmation.want(search, [first, second], 2, CONDITIONAL)
    assert confirmation.wanted[4:] == ((first.number, 1), (first.number, 2))
    assert confirmation.trainings(second.number)[1].value == 0.5
    (repeated,) = confirmation.repeated([second])
    assert repeated.trial == second
    assert list(repeated.trainings) == [1, 2]


def started(confirmation: Confirmation, value: float) -> Point:
    asked = confirmation.record.ask(CONDITIONAL, 0)
    assert asked is not None
    end_trial(confirmation.record, asked[0], value)
    return asked[1]


def test_the_search_goes_on_as_if_nothing_had_been_confirmed(tmp_path: Path) -> None:
    search, undisturbed = searched(tmp_path / "a"), searched(tmp_path / "b")
    confirmation = Confirmation.create(tmp_path / "a", ACCURACY)
    confirmation.want(search, configurations_to_confirm(search, 2), 2, CONDITIONAL)
    for value in (0.99, 0.98, 0.97, 0.96):
        started(confirmation, value)
    assert search.trials == tuple(trial for trial in search.trials if trial.number < 12)
    assert numbers(search.leaderboard()) == numbers(undisturbed.leaderboard())
    reopened = StudyRecord.open(tmp_path / "a")
    assert reopened.ask(CONDITIONAL, 7) == undisturbed.ask(CONDITIONAL, 7)


@pytest.mark.parametrize("study_seed", [0, 1, 2**31 - 1])
def test_every_training_has_a_seed_of_its_own(study_seed: int) -> None:
    further = [confirmation_seed(study_seed, trial, seed) for trial in range(50) for seed in range(1, 6)]
    assert len(set(further)) == 250
    assert not set(further) & {trial_seed(study_seed, number) for number in range(300)}

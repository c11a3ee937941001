"""Importance: what decides stands first, what does nothing is not taken for something."""

import math
from typing import Any

import pytest
from made_studies import made_study

from search_spaces.space import Point
from study.analysis.chance import shown_to_matter
from study.analysis.effects import Marginals
from study.analysis.importance import importances
from study.search.record.continuation import Continues

SPACE: dict[str, Any] = {
    "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    "dropout": {"float": [0, 0.6]},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True},
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
    "label_smoothing": {"float": [0, 0.2]},
}


def worth(point: Point) -> float:
    """The learning rate decides 9 parts of 10, the dropout the rest."""
    rate = math.log10(float(point["learning_rate"]))
    return 0.8 - 0.05 * (rate + 3) ** 2 - 0.1 * float(point["dropout"])


def test_what_decides_stands_first_and_alone_beyond_chance() -> None:
    found = importances(made_study(worth, trials=60, space=SPACE))
    assert found.remark is None
    first, second, *others = found.rows
    assert (first.dimension, second.dimension) == ("learning_rate", "dropout")
    assert first.share > 0.6
    assert first.is_beyond_chance
    assert not any(row.is_beyond_chance for row in others)
    assert all(row.share < 0.1 for row in others)
    assert sum(row.share for row in found.rows if row.exists_when is None) <= 1


def test_the_same_numbers_at_each_call() -> None:
    result = made_study(worth, trials=30, space=SPACE)
    assert importances(result) == importances(result)


def test_a_conditional_dimension_is_judged_where_it_exists() -> None:
    def of_momentum(point: Point) -> float:
        return 0.5 + (2.0 * (float(point["momentum"]) - 0.8) if "momentum" in point else 0.1)

    result = made_study(of_momentum, trials=80, space=SPACE)
    rows = {row.dimension: row for row in importances(result).rows}
    momentum = rows["momentum"]
    assert momentum.exists_when == "optimizer is sgd"
    assert momentum.num_trials == sum("momentum" in trial.point for trial in result.trials) < 80
    assert momentum.share > 0.8, "of the differences among the trials that have it"
    assert momentum.is_beyond_chance
    assert rows["learning_rate"].exists_when is None
    assert rows["learning_rate"].num_trials == 80


def test_an_option_is_found() -> None:
    result = made_study(lambda point: 0.6 + 0.1 * (point["optimizer"] == "sgd"), trials=40, space=SPACE)
    first = importances(result).rows[0]
    assert (first.dimension, first.is_beyond_chance) == ("optimizer", True)


def test_a_logarithm_is_judged_on_its_own_scale() -> None:
    """Nine tenths of the range, in its logarithm, are below 1e-2; evenly counted they would be a tenth."""

    def low_end(point: Point) -> float:
        return 0.9 if float(point["learning_rate"]) < 1e-3 else 0.5

    shares = {row.dimension: row.share for row in importances(made_study(low_end, space=SPACE)).rows}
    assert shares["learning_rate"] > 0.8


def test_of_several_objectives_the_first_counts() -> None:
    result = made_study(
        worth, trials=40, space=SPACE, objective=[{"metric": "accuracy"}, {"metric": "latency_ms"}]
    )
    assert importances(result).rows[0].dimension == "learning_rate"


def test_chance_is_not_taken_for_an_influence() -> None:
    """Of 60 studies without any influence, a few show one: 1 in 20 by the level."""
    few = {name: SPACE[name] for name in ("dropout", "label_smoothing", "optimizer")}
    num_found = 0
    for seed in range(60):
        marginals = Marginals(made_study(lambda point: 0.5, trials=20, seed=seed, space=few))
        num_found += any(shown_to_matter(marginals).values())
    assert num_found <= 6


def test_what_went_with_the_true_cause_is_not_shown_to_matter() -> None:
    """A sampler that learns tries good values of all dimensions together."""
    points: list[Point] = []
    for number in range(60):
        at = number / 59
        points.append(
            {"dropout": 0.6 * at, "label_smoothing": 0.2 * (0.7 * at + 0.3 * (number * 7 % 13) / 13)}
        )
    space = {name: SPACE[name] for name in ("dropout", "label_smoothing")}
    result = made_study(lambda point: 0.5 + 0.3 * float(point["dropout"]), points=points, space=space)
    assert {row.dimension: row.is_beyond_chance for row in importances(result).rows} == {
        "dropout": True,
        "label_smoothing": False,
    }


def test_what_cannot_be_told_says_why() -> None:
    few = importances(made_study(worth, trials=9, space=SPACE))
    assert few.rows == ()
    assert few.remark == "Importance needs at least 10 trials that ended with a value; there are 9."
    same = importances(made_study(lambda point: 0.5, trials=20, noise=0, space=SPACE))
    assert same.remark is not None
    assert "same value" in same.remark
    none = importances(made_study(lambda point: 0.5, trials=20))
    assert none.remark is not None
    assert "No dimension varies" in none.remark


def test_the_method_says_what_becomes_of_conditions_and_stopped_trials() -> None:
    method = importances(made_study(worth, trials=20, space=SPACE)).method
    for part in ("fANOVA", "20 trials", "exists in some trials only", "stopped early counts with", "median"):
        assert part in method


def test_trials_that_went_on_from_another_one_are_left_out() -> None:
    """Their values alone did not make their weights."""
    result = made_study(worth, trials=30, space=SPACE)
    for trial in result.trials[:10]:
        object.__setattr__(trial, "continues", Continues(trial=11, epoch=1, replaces=0, before=()))
    assert "over 20 trials" in importances(result).method


def test_a_space_that_does_not_load_any_more_is_read_from_the_points() -> None:
    result = made_study(worth, trials=40, space=SPACE)
    spec = result.spec.model_copy(update={"search_space": "gone.py:SPACE"})
    object.__setattr__(result, "spec", spec)
    assert importances(result).rows[0].dimension == "learning_rate"


@pytest.mark.parametrize("direction", ["accuracy", "log_loss"])
def test_the_direction_makes_no_difference(direction: str) -> None:
    result = made_study(worth, trials=40, space=SPACE, objective={"metric": direction})
    assert importances(result).rows[0].dimension == "learning_rate"

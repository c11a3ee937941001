"""Marginal effects: functions whose effects are known are found again, with intervals that hold."""

import itertools
import math

import pytest
from made_studies import made_study

from search_spaces.space import Point
from study.analysis.effects import Effect, Marginals, effects
from study.results.study_result import StudyResult

SPACE = {
    "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    "dropout": {"float": [0, 0.6]},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True},
    "batch_size": {"choice": [32, 64, 128]},
}
"""The first two and the last have an influence, weight decay has none."""


def rate_effect(rate: float) -> float:
    return -0.05 * (math.log10(rate) + 3) ** 2


def worth(point: Point) -> float:
    of_batch = {32: 0.03, 64: 0.0, 128: -0.03}[int(point["batch_size"])]
    return 0.8 + rate_effect(float(point["learning_rate"])) - 0.1 * float(point["dropout"]) + of_batch


def effect(result: StudyResult, dimension: str) -> Effect:
    (found,) = effects(result, dimension)
    return found


def test_a_peak_is_found_on_the_scale_of_a_logarithm() -> None:
    curve = effect(made_study(worth, trials=60, space=SPACE), "learning_rate").points
    best = max(curve, key=lambda point: point.mean)
    assert 10**-3.5 < best.value < 10**-2.5  # type: ignore[operator]
    values = [float(point.value) for point in curve]
    steps = [math.log(after / before) for before, after in itertools.pairwise(values)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=0.01)
    assert sum(point.num_trials for point in curve) == 60


def test_options_are_told_apart_and_keep_their_order() -> None:
    by_batch = effect(made_study(worth, trials=60, space=SPACE), "batch_size").points
    assert [point.value for point in by_batch] == ["32", "64", "128"]
    assert by_batch[0].low > by_batch[1].high
    assert by_batch[1].low > by_batch[2].high


def test_a_dimension_without_influence_has_a_level_curve() -> None:
    result = made_study(worth, trials=60, space=SPACE)
    trials = Marginals(result).trials
    mean = sum(trial.value for trial in trials) / len(trials)
    assert all(point.low <= mean <= point.high for point in effect(result, "weight_decay").points)


def test_intervals_hold_what_they_promise() -> None:
    """In 30 studies of 40 trials: of all points, about 95 in 100 intervals hold the truth."""
    num_held, num = 0, 0
    for seed in range(30):
        result = made_study(worth, trials=40, noise=0.04, seed=seed, space=SPACE)
        marginals = Marginals(result)
        points = marginals.points
        for dimension in ("learning_rate", "weight_decay", "dropout"):
            (curve,) = marginals.effects(dimension)
            for at in curve.points:
                changed = [{**point, dimension: at.value} for point in points]
                truth = sum(map(worth, changed)) / len(points)  # type: ignore[arg-type]
                num_held += at.low <= truth <= at.high
                num += 1
    assert 0.92 <= num_held / num <= 0.99


def test_a_dimension_gets_no_credit_for_another_that_went_with_it() -> None:
    """A sampler that learns tries good values of all dimensions together."""
    points: list[Point] = [
        {
            "dropout": (at := number / 59) * 0.6,
            "label_smoothing": 0.2 * (at * 0.7 + (number * 7 % 13) / 13 * 0.3),
        }
        for number in range(60)
    ]
    space = {"dropout": SPACE["dropout"], "label_smoothing": {"float": [0, 0.2]}}
    result = made_study(lambda point: 0.5 + 0.3 * float(point["dropout"]), points=points, space=space)
    first, *_, last = effect(result, "label_smoothing").points
    assert last.mean - first.mean < 0.05, "the whole rise, 0.18, is the dropout's"


CONDITIONAL = {
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
    "dropout": {"float": [0, 0.6]},
}


def test_a_conditional_dimension_is_judged_where_it_exists() -> None:
    def of_momentum(point: Point) -> float:
        return 0.6 + (0.8 * (float(point["momentum"]) - 0.8) if "momentum" in point else -0.3)

    result = made_study(of_momentum, trials=80, space=CONDITIONAL)
    curve = effect(result, "momentum").points
    there = [trial for trial in result.trials if "momentum" in trial.point]
    assert sum(point.num_trials for point in curve) == len(there)
    assert curve[0].mean == pytest.approx(0.6, abs=0.03)
    assert curve[-1].mean == pytest.approx(0.75, abs=0.03)


DEPTH = {
    "architecture": {"choice": ["resnet18", "resnet50"]},
    "freeze_depth": {"int": [0, 4]},
    "dropout": {"float": [0, 0.6]},
}


def by_depth(point: Point) -> float:
    """Freezing hurts the small network and helps the large one."""
    slope = -0.03 if point["architecture"] == "resnet18" else 0.03
    return 0.6 + slope * float(point["freeze_depth"])


def test_freeze_depth_has_a_curve_for_each_architecture() -> None:
    small, large = effects(made_study(by_depth, trials=80, space=DEPTH), "freeze_depth", "architecture")
    assert (small.group, large.group) == ("resnet18", "resnet50")
    assert [point.value for point in small.points] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert small.points[0].low > small.points[-1].high
    assert large.points[-1].low > large.points[0].high
    assert small.points[4].mean == pytest.approx(0.48, abs=0.03)


def test_one_curve_where_what_divides_it_does_not_vary() -> None:
    result = made_study(lambda point: 0.5 + 0.1 * float(point["dropout"]), trials=20, space=SPACE)
    (found,) = effects(result, "dropout", "architecture")
    assert found.group is None


def test_nothing_is_told_of_what_does_not_vary_or_of_few_trials() -> None:
    assert effects(made_study(worth, trials=7, space=SPACE), "dropout") == ()
    assert effects(made_study(worth, trials=20, space=SPACE), "momentum") == ()
    assert effects(made_study(lambda point: 0.5, trials=20, noise=0, space=SPACE), "dropout") == ()


def test_a_stopped_trial_counts_with_what_it_would_have_gained() -> None:
    def curve(number: int, value: float) -> list[float]:
        return [value - 0.3] if number % 2 else [value - 0.3, value - 0.1, value]

    result = made_study(
        worth,
        trials=60,
        space=SPACE,
        curves=curve,
        states=lambda number: "pruned" if number % 2 else "complete",
    )
    trials = Marginals(result).trials
    for trial in trials:
        assert trial.value == pytest.approx(worth(trial.point), abs=0.08)


def test_a_diverged_trial_counts_with_the_worst_value_and_a_failed_one_not_at_all() -> None:
    result = made_study(
        worth,
        trials=30,
        space=SPACE,
        curves=lambda number, value: [value, math.nan] if number == 3 else [value],
        states=lambda number: {3: "pruned", 4: "failed"}.get(number, "complete"),  # type: ignore[return-value]
    )
    trials = {trial.number: trial.value for trial in Marginals(result).trials}
    assert 4 not in trials
    assert trials[3] == min(trials.values())


def test_a_few_collapsed_trials_do_not_drown_the_others() -> None:
    def with_collapse(point: Point) -> float:
        return 50.0 if float(point["dropout"]) > 0.58 else 1 - worth(point)

    result = made_study(with_collapse, trials=60, space=SPACE, objective={"metric": "log_loss"})
    curve = effect(result, "learning_rate").points
    best = min(curve, key=lambda point: point.mean)
    assert 10**-3.6 < best.value < 10**-2.4  # type: ignore[operator]
    assert max(point.high for point in curve) < 2


def test_less_is_better_of_a_loss() -> None:
    result = made_study(
        lambda point: 1 - worth(point), trials=60, space=SPACE, objective={"metric": "log_loss"}
    )
    curve = effect(result, "learning_rate").points
    best = min(curve, key=lambda point: point.mean)
    assert 10**-3.5 < best.value < 10**-2.5  # type: ignore[operator]


def test_no_interval_leaves_the_range_of_the_metric() -> None:
    result = made_study(lambda point: 0.99, trials=20, noise=0.009, space=SPACE)
    assert all(point.high <= 1 for point in effect(result, "learning_rate").points)

"""The winner is the best mean over further seeds, and within its noise the cheapest."""

import math
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind

from study.evaluation.final_result import Confirmed
from study.evaluation.selection import Noise, Repeated, compare_repeated
from study.search.record.trial import State, Trial
from study.study_file.objective import Objective

ACCURACY, LOG_LOSS = Objective(metric="accuracy"), Objective(metric="log_loss")
EMPTY = Trial(
    number=0,
    state="complete",
    point={},
    origin=None,
    values={},
    best_epoch=1,
    value=None,
    metrics={},
    measures={},
    objectives={},
    violations={},
    seconds=1.0,
    run_id=None,
    reason=None,
    retries=(),
    facts={},
    ended=None,
)


def repeated(
    number: int, *values: float | None, millions: float = 1.0, latency_ms: float | None = None
) -> Repeated:
    measures = {"parameters_million": millions} | ({} if latency_ms is None else {"latency_ms": latency_ms})
    trainings = {}
    for seed, value in enumerate(values, start=1):
        state: State = "failed" if value is None else "complete"
        trainings[seed] = replace(EMPTY, number=seed, state=state, value=value, measures=measures)
    return Repeated(trial=replace(EMPTY, number=number, value=0.99), trainings=trainings)


def verdicts(rows: tuple[Confirmed, ...]) -> list[tuple[int, str]]:
    return [(row.trial, row.verdict) for row in rows]


def test_a_clear_winner_wins_whatever_it_costs() -> None:
    rows = compare_repeated(
        [repeated(3, 0.80, 0.81, 0.80, millions=1), repeated(7, 0.90, 0.91, 0.90, millions=90)], ACCURACY
    )
    assert verdicts(rows) == [(7, "best mean: chosen"), (3, "below the best")]
    assert [row.is_chosen for row in rows] == [True, False]


def test_within_noise_the_fewest_parameters_win() -> None:
    rows = compare_repeated(
        [
            repeated(1, 0.90, 0.92, 0.94, millions=11),
            repeated(2, 0.90, 0.91, 0.935, millions=5),
            repeated(3, 0.89, 0.91, 0.94, millions=2),
            repeated(4, 0.70, 0.72, 0.74, millions=1),
        ],
        ACCURACY,
    )
    assert verdicts(rows) == [
        (1, "best mean"),
        (2, "within noise of the best"),
        (3, "within noise of the best, and cheaper: chosen"),
        (4, "below the best"),
    ]


def test_noise_is_one_standard_error_of_the_difference() -> None:
    best, other = (0.90, 0.92, 0.94), (0.89, 0.90, 0.91)
    deviation = math.sqrt((stdev(best) ** 2 + stdev(other) ** 2) / 2)
    error = deviation * math.sqrt(2 / 3)
    # The t statistic of the pooled test is the distance in standard errors.
    assert ttest_ind(best, other, equal_var=True).statistic == pytest.approx(
        (fmean(best) - fmean(other)) / error
    )
    for distance, verdict in (
        (0.99, "within noise of the best, and cheaper: chosen"),
        (1.01, "below the best"),
    ):
        shifted = [value - fmean(other) + fmean(best) - distance * error for value in other]
        rows = compare_repeated([repeated(1, *best, millions=2), repeated(2, *shifted)], ACCURACY)
        assert rows[1].verdict == verdict


def test_less_is_better_where_the_objective_says_so() -> None:
    rows = compare_repeated([repeated(1, 0.5, 0.51), repeated(2, 0.3, 0.31)], LOG_LOSS)
    assert verdicts(rows) == [(2, "best mean: chosen"), (1, "below the best")]


def test_latency_counts_where_it_is_measured_and_small_differences_of_it_do_not() -> None:
    slow, fast = (
        repeated(1, 0.90, 0.92, millions=1, latency_ms=9.0),
        repeated(2, 0.90, 0.91, millions=5, latency_ms=3.0),
    )
    assert [row.trial for row in compare_repeated([slow, fast], ACCURACY) if row.is_chosen] == [2]
    alike = repeated(3, 0.90, 0.91, millions=1, latency_ms=8.8)
    assert [row.trial for row in compare_repeated([slow, alike], ACCURACY) if row.is_chosen] == [1], (
        "2 % is within what a clock scatters"
    )


def test_a_configuration_with_a_failed_seed_comes_after_all_others() -> None:
    rows = compare_repeated(
        [repeated(1, 0.99, None), repeated(2, 0.80, 0.81), repeated(3, None, None)], ACCURACY
    )
    assert verdicts(rows) == [
        (2, "best mean: chosen"),
        (1, "1 of 2 seeds have no result"),
        (3, "no further seed has a result"),
    ]
    assert (rows[2].mean, rows[2].values) == (None, (None, None))


def test_nothing_is_chosen_where_nothing_came_to_a_result() -> None:
    assert not any(row.is_chosen for row in compare_repeated([repeated(1, None, None)], ACCURACY))
    (row,) = compare_repeated([repeated(1, 0.9, None)], ACCURACY)
    assert (row.verdict, row.mean, row.half_width) == ("1 of 2 seeds have no result: chosen", 0.9, None)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=5), min_size=1, max_size=4))
def test_the_pooled_deviation_is_that_of_all_residuals(groups: list[list[float]]) -> None:
    noise = Noise.of(groups)
    residuals = np.concatenate([np.array(group) - np.mean(group) for group in groups])
    assert noise is not None
    assert noise.degrees == len(residuals) - len(groups)
    assert noise.deviation == pytest.approx(math.sqrt(np.square(residuals).sum() / noise.degrees), abs=1e-9)


def test_the_interval_of_a_single_configuration_is_students() -> None:
    values = [0.90, 0.93, 0.91]
    (row,) = compare_repeated([repeated(1, *values)], ACCURACY)
    low, high = t.interval(0.95, 2, loc=fmean(values), scale=stdev(values) / math.sqrt(3))
    assert row.mean is not None
    assert row.half_width is not None
    assert (row.mean - row.half_width, row.mean + row.half_width) == pytest.approx((low, high))

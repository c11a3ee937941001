"""Intervals against scipy, scikit-learn and other people's formulas."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import f1_score, log_loss

from study.evaluation.intervals import metric_intervals
from study.evaluation.scoring import class_results
from study.evaluation.wilson import share_interval
from trainables.metrics.classification import METRICS, RANGES
from trainables.metrics.from_logits import metrics_of


def predictions(
    num_images: int, num_classes: int, signal: float = 2.0, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    source = np.random.default_rng(seed)
    labels_N = source.integers(num_classes, size=num_images)
    logits_NK = source.normal(size=(num_images, num_classes)) + signal * np.eye(num_classes)[labels_N]
    weights_NK = np.exp(logits_NK)
    return (weights_NK / weights_NK.sum(1, keepdims=True)).astype(np.float32), labels_N


def test_accuracy_and_log_loss_have_scipys_percentile_intervals() -> None:
    probabilities_NK, labels_N = predictions(600, 5)
    intervals = metric_intervals(probabilities_NK, labels_N)
    is_right_N = (probabilities_NK.argmax(1) == labels_N).astype(float)
    loss_N = -np.log(probabilities_NK[np.arange(600), labels_N])
    for name, values_N in (("accuracy", is_right_N), ("log_loss", loss_N)):
        expected = bootstrap(
            (values_N,), np.mean, method="percentile", n_resamples=5000, rng=1
        ).confidence_interval
        assert intervals[name].low == pytest.approx(expected.low, abs=0.004)
        assert intervals[name].high == pytest.approx(expected.high, abs=0.004)


def test_macro_f1_scatters_as_resamples_that_scikit_learn_scores() -> None:
    probabilities_NK, labels_N = predictions(300, 4)
    predicted_N, source = probabilities_NK.argmax(1), np.random.default_rng(3)
    draws = [source.integers(300, size=300) for _ in range(600)]
    scores = [f1_score(labels_N[draw], predicted_N[draw], average="macro") for draw in draws]
    interval = metric_intervals(probabilities_NK, labels_N)["macro_f1"]
    low, high = np.quantile(scores, (0.025, 0.975))
    assert interval.high - interval.low == pytest.approx(high - low, rel=0.12)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.012)


def test_values_are_the_metrics_and_lie_in_their_intervals() -> None:
    for num_images, num_classes in (
        (50, 3),
        (400, 10),
        (2000, 200),
    ):  # few images of many classes, where an F1 is biased
        probabilities_NK, labels_N = predictions(num_images, num_classes)
        metrics, intervals = (
            metrics_of(probabilities_NK, labels_N),
            metric_intervals(probabilities_NK, labels_N),
        )
        assert tuple(intervals) == tuple(METRICS)
        for name, interval in intervals.items():
            assert interval.value == getattr(metrics, name)
            assert interval.low <= interval.value <= interval.high, name
    assert intervals["log_loss"].value == pytest.approx(
        log_loss(labels_N, probabilities_NK, labels=range(200)), rel=1e-5
    )


@st.composite
def measured(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Few images of few classes, some of which may be missing, with opinions that may be certain or tied."""
    num_images, num_classes = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    labels = draw(st.lists(st.integers(0, num_classes - 1), min_size=num_images, max_size=num_images))
    opinion = st.one_of(
        st.sampled_from(np.eye(num_classes).tolist()),
        st.lists(st.floats(0, 1), min_size=num_classes, max_size=num_classes).map(
            lambda weights: ((np.array(weights) + 1e-3) / (np.array(weights) + 1e-3).sum()).tolist()
        ),
    )
    rows = draw(st.lists(opinion, min_size=num_images, max_size=num_images))
    if draw(st.booleans()):
        rows = np.eye(num_classes)[labels].tolist()  # all right
    return np.array(rows, np.float32), np.array(labels, np.int64)


@given(measured(), st.data())
@settings(max_examples=150, deadline=None)
def test_every_interval_holds_its_value_within_the_range_of_its_metric(
    of_images: tuple[NDArray[np.float32], NDArray[np.int64]], data: st.DataObject
) -> None:
    probabilities_NK, labels_N = of_images
    number = st.integers(0, 4)
    groups_N = data.draw(
        st.none() | st.lists(number, min_size=len(labels_N), max_size=len(labels_N)).map(np.array)
    )
    classes = class_results(probabilities_NK.argmax(1), labels_N, tuple("abcd"), groups_N)
    for share in (share for row in classes for share in (row.recall, row.precision) if share is not None):
        assert 0 <= share.low <= share.value <= share.high <= 1
    for name, interval in metric_intervals(probabilities_NK, labels_N, groups_N).items():
        lowest, highest = RANGES[name]
        assert lowest <= interval.low <= interval.value <= interval.high <= highest, (name, interval)
        if name != "log_loss":  # images may all have the same loss
            assert interval.high - interval.low > 0.01, f"{name}: few images are no certainty, {interval}"
        assert math.isfinite(interval.high), name


def test_a_class_of_which_nothing_is_recognised_bounds_the_worst_recall() -> None:
    """On faces of 12 people: 0 of 6 had the interval from 0 to -0.06 %."""
    labels_N = np.repeat(np.arange(7), 6)
    predicted_N = np.where(labels_N == 2, 3, labels_N)
    worst = metric_intervals(np.eye(7, dtype=np.float32)[predicted_N], labels_N)["worst_class_recall"]
    assert (worst.value, worst.low) == (0, 0)
    assert worst.high == pytest.approx(binomtest(0, 6).proportion_ci(method="wilson").high)


def test_a_single_image_says_little_of_others() -> None:
    intervals = metric_intervals(np.array([[0.9, 0.1]], np.float32), np.array([0]))
    alone = binomtest(1, 1).proportion_ci(method="wilson").low
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "worst_class_recall"):
        assert (intervals[name].low, intervals[name].high) == (pytest.approx(alone), 1), name
    assert (intervals["kappa"].low, intervals["kappa"].high) == RANGES["kappa"], "chance alone agrees"
    assert intervals["log_loss"].high > 50


def test_an_interval_follows_from_its_arguments() -> None:
    probabilities_NK, labels_N = predictions(100, 3)
    assert metric_intervals(probabilities_NK, labels_N) == metric_intervals(probabilities_NK, labels_N)
    assert metric_intervals(probabilities_NK, labels_N) != metric_intervals(
        probabilities_NK, labels_N, seed=1
    )


def test_no_error_among_few_images_is_no_certainty() -> None:
    labels_N = np.arange(60) % 3
    accuracy = metric_intervals(np.eye(3, dtype=np.float32)[labels_N], labels_N)["accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(binomtest(60, 60).proportion_ci(method="wilson").low)


@pytest.mark.parametrize(("part", "whole"), [(0, 1), (1, 1), (3, 7), (59, 60), (500, 2000)])
def test_the_ends_of_wilsons_interval_lie_so_many_of_their_own_standard_errors_from_the_share(
    part: int, whole: int
) -> None:
    interval = share_interval(part, whole)
    assert interval.value == part / whole
    for end in (interval.low, interval.high):
        assert abs(end - part / whole) == pytest.approx(
            1.959964 * math.sqrt(end * (1 - end) / whole), abs=1e-6
        ) or end in (0, 1)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_ten_thousand_images_take_well_under_two_seconds() -> None:
    probabilities_NK, labels_N = predictions(10_000, 10)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        metric_intervals(probabilities_NK, labels_N)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.5

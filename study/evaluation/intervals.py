"""Confidence intervals of metrics, over resamples of the images of a split, or of their groups."""

import math
from collections.abc import Iterator
from functools import cache
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from study.evaluation.few_groups import expanded_tail
from study.evaluation.test_result import Interval
from study.evaluation.wilson import CONFIDENCE, share_of
from trainables.metrics.classification import METRICS, RANGES, Metrics, scores
from trainables.metrics.from_logits import metrics_of

# N images, G groups, K classes, J pairs of a true and a predicted class that occur, B resamples

NUM_RESAMPLES = 2000
_LARGEST_LOSS = -math.log(float(np.finfo(np.float32).tiny))
"""Of one image, as `metrics_of` bounds it: 87.3."""
_NO_WIDTH = 1e-9
"""An end of an interval that is nearer to the value than this does not lie beside it."""
_IMAGES_AT_ONCE = 2**21
"""Drawn in one go: some 16 MB for each array."""


def metric_intervals(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric with its 95 % interval by 2,000 bootstrap resamples (Efron & Tibshirani 1993, chapter 13),
    by name.

    The interval is that of the percentiles, moved by what the resamples' mean lies beside the value. That is
    next to nothing for an accuracy, but an F1 or a minimum is lower in resamples: with 1,000 classes of 10
    images the percentiles of a macro-F1 of 0.402 are 0.381 and 0.400. Images are drawn as they came, not
    class by class, as another test split would have other numbers of each, too. A class without images is
    left out of the means, of the value and of each resample.

    Images of a group (a person, a film) are alike. Where there are groups, whole groups are drawn, each with
    all its images (the cluster bootstrap: Davison & Hinkley 1997, section 3.8; Field & Welsh 2007, Journal of
    the Royal Statistical Society B 69, 369), and the percentiles are those of `expanded_tail`, as groups are
    few. As few groups may differ little by luck, the interval is at least as wide as that over images.

    The interval holds its value and stays within the metric's range. Where the resamples reach to one side
    of the value only, or do not differ (every image right, or wrong; a single one, or a single group), they
    say nothing of the other side; its end is then that of Wilson's intervals, as `_wilson_ends` has it. All
    follows from the arguments.
    """
    metrics = metrics_of(probabilities_NK, labels_N)
    resampled = _resampled(probabilities_NK, labels_N, groups_N, np.random.default_rng(seed))
    tail = expanded_tail((1 - CONFIDENCE) / 2, None if groups_N is None else len(np.unique(groups_N)))

    @cache
    def wilson_ends() -> dict[str, tuple[float, float]]:
        return _wilson_ends(metrics, probabilities_NK.argmax(1), labels_N, groups_N)

    intervals = {}
    for name in METRICS:
        value = getattr(metrics, name)
        low, high = percentiles(value, resampled[name], tail)
        if low > value - _NO_WIDTH:
            low = wilson_ends()[name][0]
        if high < value + _NO_WIDTH:
            high = wilson_ends()[name][1]
        intervals[name] = _within_range(name, value, low, high)
    if groups_N is None:
        return intervals
    by_image = metric_intervals(probabilities_NK, labels_N, seed=seed)
    return {name: _union(one, by_image[name]) for name, one in intervals.items()}


def resampled_metrics(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Every metric of each of 2,000 resamples of the images, or of their groups, (B,), by name.

    The same seed draws the same ones of as many images and groups, so that two models on the same images are
    compared in pairs.
    """
    return _resampled(probabilities_NK, labels_N, groups_N, np.random.default_rng(seed))


def _union(one: Interval, other: Interval) -> Interval:
    return Interval(value=one.value, low=min(one.low, other.low), high=max(one.high, other.high))


def percentiles(value: float, resampled_B: NDArray[np.float64], tail: float) -> tuple[float, float]:
    """The ends of an interval: the percentiles, moved by what the resamples' mean lies beside the value."""
    low, high = np.quantile(resampled_B, (tail, 1 - tail)) + (value - resampled_B.mean())
    return float(low), float(high)


def _within_range(name: str, value: float, low: float, high: float) -> Interval:
    lowest, highest = RANGES[name]
    return Interval(value=value, low=min(max(low, lowest), value), high=max(min(high, highest), value))


def _wilson_ends(
    metrics: Metrics,
    predicted_N: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None,
) -> dict[str, tuple[float, float]]:
    """Ends for each metric that need no resamples: they follow from Wilson's intervals of shares of images,
    as `share_of` has them for groups.

    The accuracy has its own interval. The means over classes, balanced accuracy and macro-F1, have the means
    of the ends of the classes' recalls, and the worst class's recall has their minima: some class is as bad
    as the least of the lower ends at worst, and no worst class is better than the least of the upper ends.
    Kappa follows from the ends of the accuracy, the chance agreement being as it is. Of the log-loss all that
    is known is that images of another loss than those seen are at most as many as Wilson's interval of none
    among so many allows, and that each has a loss from 0 to 87.3.
    """
    is_right_N, confusion_KK = predicted_N == labels_N, np.array(metrics.confusion)
    accuracy = share_of(is_right_N, groups_N)
    recalls = [
        share_of(is_right_N[is_true_N], None if groups_N is None else groups_N[is_true_N])
        for is_true_N in (labels_N == label for label in np.unique(labels_N))
    ]
    mean = (fmean(one.low for one in recalls), fmean(one.high for one in recalls))
    by_chance = float((confusion_KK.sum(0) * confusion_KK.sum(1)).sum()) / metrics.num_images**2
    unseen = share_of(np.zeros(len(labels_N), bool), groups_N).high
    seen_loss = (1 - unseen) * metrics.log_loss
    return {
        "accuracy": (accuracy.low, accuracy.high),
        "balanced_accuracy": mean,
        "macro_f1": mean,
        "kappa": RANGES["kappa"]
        if by_chance >= 1
        else ((accuracy.low - by_chance) / (1 - by_chance), (accuracy.high - by_chance) / (1 - by_chance)),
        "log_loss": (seen_loss, seen_loss + unseen * _LARGEST_LOSS),
        "worst_class_recall": (min(one.low for one in recalls), min(one.high for one in recalls)),
    }


def _resampled(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64] | None,
    source: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Every metric of each resample, (B,)."""
    num_classes = probabilities_NK.shape[1]
    predicted_N = probabilities_NK.argmax(1)
    pair_J, pair_N = np.unique(labels_N * num_classes + predicted_N, return_inverse=True)
    true_J, predicted_J = pair_J // num_classes, pair_J % num_classes
    likelihood_N = probabilities_NK[np.arange(len(labels_N)), labels_N].astype(np.float64)
    loss_N = -np.log(np.maximum(likelihood_N, np.finfo(np.float32).tiny))  # as `metrics_of` bounds it
    if groups_N is None:
        parts = [
            _counted(indices_BN, pair_N, len(pair_J), loss_N)
            for indices_BN in draws(len(labels_N), len(labels_N), source)
        ]
    else:
        _, group_N = np.unique(groups_N, return_inverse=True)
        counts_GJ = csr_array(
            (np.ones(len(group_N)), (group_N, pair_N)), shape=(group_N.max() + 1, len(pair_J))
        )
        loss_G = np.bincount(group_N, weights=loss_N).astype(np.float64)
        parts = [
            _counted_groups(indices_BG, counts_GJ, loss_G)
            for indices_BG in draws(len(loss_G), len(labels_N), source)
        ]
    counts_BJ, loss_sum_B = (np.concatenate(part) for part in zip(*parts, strict=True))
    return scores(
        num_right=counts_BJ @ _membership(true_J, true_J == predicted_J, num_classes),
        num_true=counts_BJ @ _membership(true_J, np.ones(len(pair_J)), num_classes),
        num_predicted=counts_BJ @ _membership(predicted_J, np.ones(len(pair_J)), num_classes),
        log_loss_sum=loss_sum_B,
    )


def draws(num_units: int, num_images: int, source: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """All resamples of units, images or groups, some at a time, each row one of them."""
    num_at_once = max(_IMAGES_AT_ONCE // num_images, 1)
    for start in range(0, NUM_RESAMPLES, num_at_once):
        yield source.integers(num_units, size=(min(num_at_once, NUM_RESAMPLES - start), num_units))


def _counted(
    indices_BN: NDArray[np.int64], pair_N: NDArray[np.int64], num_pairs: int, loss_N: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How often each pair of classes is in each resample, and the sum of its losses."""
    num_resamples = len(indices_BN)
    cells_BN = pair_N[indices_BN] + np.arange(num_resamples)[:, None] * num_pairs
    counts_BJ = np.bincount(cells_BN.ravel(), minlength=num_resamples * num_pairs).reshape(
        num_resamples, num_pairs
    )
    return counts_BJ, loss_N[indices_BN].sum(1)


def _counted_groups(
    indices_BG: NDArray[np.int64], counts_GJ: csr_array, loss_G: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The same of resamples of groups."""
    num_resamples, num_groups = indices_BG.shape
    cells_BG = indices_BG + np.arange(num_resamples)[:, None] * num_groups
    times_BG = np.bincount(cells_BG.ravel(), minlength=num_resamples * num_groups).reshape(
        num_resamples, num_groups
    )
    counts_BJ = (csr_array(times_BG.astype(np.float64)) @ counts_GJ).toarray()
    return np.rint(counts_BJ).astype(np.int64), times_BG @ loss_G


def _membership(
    class_J: NDArray[np.int64], weight_J: NDArray[np.floating | np.bool_], num_classes: int
) -> csr_array:
    """(J, K): adds counts of pairs up to counts of classes; sparse, as a thousand classes have a million
    pairs.
    """
    return csr_array(
        (weight_J.astype(np.float64), (np.arange(len(class_J)), class_J)), shape=(len(class_J), num_classes)
    )

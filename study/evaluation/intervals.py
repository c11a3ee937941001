"""Confidence intervals of metrics, over resamples of the images of a split."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from study.evaluation.test_result import Interval
from study.evaluation.wilson import CONFIDENCE, share_interval
from trainables.metrics.classification import METRICS, scores
from trainables.metrics.from_logits import metrics_of

# N images, K classes, J pairs of a true and a predicted class that occur, B resamples

NUM_RESAMPLES = 2000
_RANGES = {"log_loss": (0.0, math.inf), "kappa": (-1.0, 1.0)}
"""Of metrics that do not lie in [0, 1]."""
_IMAGES_AT_ONCE = 2**21
"""Drawn in one go: some 16 MB for each array."""


def metric_intervals(
    probabilities_NK: NDArray[np.float32], labels_N: NDArray[np.int64], *, seed: int = 0
) -> dict[str, Interval]:
    """Every metric with its 95 % interval by 2,000 bootstrap resamples (Efron & Tibshirani 1993, chapter 13),
    by name.

    The interval is that of the percentiles, moved by what the resamples' mean lies beside the value. That is
    next to nothing for an accuracy, but an F1 or a minimum is lower in resamples: with 1,000 classes of 10
    images the percentiles of a macro-F1 of 0.402 are 0.381 and 0.400. Images are drawn as they came, not
    class by class, as another test split would have other numbers of each, too. Where every label is right,
    or none, resamples do not differ, and the accuracy has Wilson's interval. All follows from the arguments.
    """
    metrics = metrics_of(probabilities_NK, labels_N)
    resampled = _resampled(probabilities_NK, labels_N, np.random.default_rng(seed))
    intervals = {name: _interval(name, getattr(metrics, name), resampled[name]) for name in METRICS}
    if metrics.accuracy in (0.0, 1.0):
        intervals["accuracy"] = share_interval(
            round(metrics.accuracy * metrics.num_images), metrics.num_images
        )
    return intervals


def resampled_metrics(
    probabilities_NK: NDArray[np.float32], labels_N: NDArray[np.int64], *, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Every metric of each of 2,000 resamples, (B,), by name.

    The same seed draws the same ones of as many images, so that two models on the same images are compared in
    pairs.
    """
    return _resampled(probabilities_NK, labels_N, np.random.default_rng(seed))


def _interval(name: str, value: float, resampled_B: NDArray[np.float64]) -> Interval:
    tail, (lowest, highest) = (1 - CONFIDENCE) / 2, _RANGES.get(name, (0.0, 1.0))
    low, high = np.quantile(resampled_B, (tail, 1 - tail)) + (value - resampled_B.mean())
    return Interval(value=value, low=max(float(low), lowest), high=min(float(high), highest))


def _resampled(
    probabilities_NK: NDArray[np.float32], labels_N: NDArray[np.int64], source: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Every metric of each resample, (B,)."""
    num_classes = probabilities_NK.shape[1]
    predicted_N = probabilities_NK.argmax(1)
    pair_J, pair_N = np.unique(labels_N * num_classes + predicted_N, return_inverse=True)
    true_J, predicted_J = pair_J // num_classes, pair_J % num_classes
    likelihood_N = probabilities_NK[np.arange(len(labels_N)), labels_N].astype(np.float64)
    loss_N = -np.log(np.maximum(likelihood_N, np.finfo(np.float32).tiny))  # as `metrics_of` bounds it
    parts = [
        _counted(indices_BN, pair_N, len(pair_J), loss_N) for indices_BN in _draws(len(labels_N), source)
    ]
    counts_BJ, loss_sum_B = (np.concatenate(part) for part in zip(*parts, strict=True))
    return scores(
        num_right=counts_BJ @ _membership(true_J, true_J == predicted_J, num_classes),
        num_true=counts_BJ @ _membership(true_J, np.ones(len(pair_J)), num_classes),
        num_predicted=counts_BJ @ _membership(predicted_J, np.ones(len(pair_J)), num_classes),
        log_loss_sum=loss_sum_B,
    )


def _draws(num_images: int, source: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """All resamples, some at a time, each row one of them."""
    num_at_once = max(_IMAGES_AT_ONCE // num_images, 1)
    for start in range(0, NUM_RESAMPLES, num_at_once):
        yield source.integers(num_images, size=(min(num_at_once, NUM_RESAMPLES - start), num_images))


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


def _membership(
    class_J: NDArray[np.int64], weight_J: NDArray[np.floating | np.bool_], num_classes: int
) -> csr_array:
    """(J, K): adds counts of pairs up to counts of classes; sparse, as a thousand classes have a million
    pairs.
    """
    return csr_array(
        (weight_J.astype(np.float64), (np.arange(len(class_J)), class_J)), shape=(len(class_J), num_classes)
    )

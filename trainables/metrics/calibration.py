"""How far probabilities can be taken at their word."""

import numpy as np
from numpy.typing import NDArray

# N images, K classes, B bins

NUM_BINS = 15


def expected_calibration_error(probabilities_NK: NDArray[np.floating], labels_N: NDArray[np.int64]) -> float:
    """Mean distance, over images, between a bin's confidence and the share of its labels that are right
    (arXiv:1706.04599, eq. 3).

    The confidence is the probability of the most probable class; bins are 15 of equal width, each with its
    upper end.
    """
    return error_of_bins(
        *bins_of(probabilities_NK.max(1).astype(np.float64), probabilities_NK.argmax(1) == labels_N)
    )


def error_of_bins(
    num_B: NDArray[np.int64], num_right_B: NDArray[np.int64], confidence_B: NDArray[np.float64]
) -> float:
    """The expected calibration error of what `bins_of` returns."""
    return float(np.abs(num_right_B - confidence_B).sum() / num_B.sum())


def bins_of(
    confidence_N: NDArray[np.float64], is_right_N: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """By bin of confidence: images, those whose most probable class is right, and the sum of confidences."""
    bin_N = bin_of(confidence_N)
    num_B, num_right_B = (
        np.bincount(bin_N, minlength=NUM_BINS),
        np.bincount(bin_N[is_right_N], minlength=NUM_BINS),
    )
    confidence_B = np.bincount(bin_N, weights=confidence_N, minlength=NUM_BINS)
    return num_B.astype(np.int64), num_right_B.astype(np.int64), confidence_B.astype(np.float64)


def bin_of(confidence_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin (N,) of each confidence, from 0."""
    bin_N: NDArray[np.int64] = np.clip(np.ceil(confidence_N * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    return bin_N


def brier_score(probabilities_NK: NDArray[np.floating], labels_N: NDArray[np.int64]) -> float:
    """Squared error of the probabilities, summed over classes, mean over images, in [0, 2] (Brier 1950)."""
    errors_NK = probabilities_NK.astype(np.float64)
    errors_NK[np.arange(len(labels_N)), labels_N] -= 1
    return float(np.square(errors_NK).sum(1).mean())

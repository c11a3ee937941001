"""Whether two samples come from one source: permutation tests, whose rate of false alarms is known."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

# N images of both samples, U units (images, or groups of them), B permutations, D features, K classes

NUM_PERMUTATIONS = 1999
_AT_ONCE = 250
_TIE = 1e-9
"""Distances that lie nearer are the same."""

Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Of weights (N, B) that sum to 1 over the new images and to -1 over the others: a distance (B,) of each."""


def p_values(
    distances: Mapping[str, Distance],
    is_new_N: NDArray[np.bool_],
    unit_N: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """By name: the distance of the new images from the others, and how likely one at least as large is where
    both come from one source.

    All units, images or the groups in `unit_N`, are divided anew 1,999 times, as many of them new as are. If
    units come from one source, independently of each other, each division is as likely as the one found, so
    that a value is at most `p` with probability `p` at most, whatever the distance is (Fisher 1935; Phipson
    & Smyth 2010 for the division found being counted).
    """
    _, first_U, unit_N = np.unique(
        np.arange(len(is_new_N)) if unit_N is None else unit_N, return_index=True, return_inverse=True
    )
    is_new_U = is_new_N[first_U]
    source = np.random.default_rng(seed)
    observed = {name: float(distance(_weights(is_new_N[:, None]))[0]) for name, distance in distances.items()}
    num_reached = dict.fromkeys(distances, 1)
    for start in range(0, NUM_PERMUTATIONS, _AT_ONCE):
        num = min(_AT_ONCE, NUM_PERMUTATIONS - start)
        divided_UB = source.permuted(np.tile(is_new_U, (num, 1)), axis=1).T
        weights_NB = _weights(divided_UB[unit_N])
        for name, distance in distances.items():
            num_reached[name] += int((distance(weights_NB) >= observed[name] - _TIE).sum())
    return {name: (observed[name], num_reached[name] / (NUM_PERMUTATIONS + 1)) for name in distances}


def between_values(values_N: NDArray[np.float64]) -> Distance:
    """The largest difference of the two shares of images up to any value (Kolmogorov & Smirnov)."""
    order = np.argsort(values_N, kind="stable")
    sorted_N = values_N[order]
    is_last_N = np.append(sorted_N[1:] > sorted_N[:-1], True)

    def distance(weights_NB: NDArray[np.float64]) -> NDArray[np.float64]:
        largest_B: NDArray[np.float64] = np.abs(np.cumsum(weights_NB[order], axis=0)[is_last_N]).max(0)
        return largest_B

    return distance


def between_shares(classes_N: NDArray[np.int64], num_classes: int) -> Distance:
    """Half the sum of the differences of the shares of classes (total variation), in [0, 1]."""
    is_class_KN = (np.arange(num_classes)[:, None] == classes_N).astype(np.float64)

    def distance(weights_NB: NDArray[np.float64]) -> NDArray[np.float64]:
        differences_KB: NDArray[np.float64] = np.abs(is_class_KN @ weights_NB)
        total_B: NDArray[np.float64] = differences_KB.sum(0) / 2
        return total_B

    return distance


def between_features(features_ND: NDArray[np.float32]) -> Distance:
    """The maximum mean discrepancy with a Gaussian kernel, whose width is the median distance of two images
    (Gretton et al. 2012, Journal of Machine Learning Research 13, 723).
    """
    features_ND = features_ND.astype(np.float64)
    length_N = np.square(features_ND).sum(1)
    # In place, as 4,000 images make 128 MB.
    kernel_NN = features_ND @ features_ND.T
    kernel_NN *= -2
    kernel_NN += length_N[:, None] + length_N
    np.maximum(kernel_NN, 0, out=kernel_NN)
    kernel_NN /= -max(float(np.median(kernel_NN)), 1e-12)
    np.exp(kernel_NN, out=kernel_NN)

    def distance(weights_NB: NDArray[np.float64]) -> NDArray[np.float64]:
        squares_B: NDArray[np.float64] = (weights_NB * (kernel_NN @ weights_NB)).sum(0)
        return np.sqrt(np.maximum(squares_B, 0))

    return distance


def _weights(is_new_NB: NDArray[np.bool_]) -> NDArray[np.float64]:
    num_new_B, num_others_B = is_new_NB.sum(0), (~is_new_NB).sum(0)
    weights_NB: NDArray[np.float64] = np.where(is_new_NB, 1 / num_new_B, -1 / num_others_B)
    return weights_NB

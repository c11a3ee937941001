"""The interval of a share, of independent images or of images in groups."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from study.evaluation.test_result import Interval

# N images, G groups

CONFIDENCE = 0.95


def share_interval(part: int, whole: int) -> Interval:
    """The share `part / whole`, `whole` above 0, with its 95 % score interval (Wilson 1927)."""
    return _interval(part / whole, whole)


def share_of(is_part_N: NDArray[np.bool_], groups_N: NDArray[np.int64] | None) -> Interval:
    """The share of images, at least one, that are true, with its 95 % interval.

    Without groups it is Wilson's. Images of a group are alike, so with groups it is that of fewer images: of
    `effective_number` (Dean & Pagano 2015, Journal of Survey Statistics and Methodology 3, 484).
    """
    if groups_N is None:
        return share_interval(int(is_part_N.sum()), len(is_part_N))
    share, num = float(is_part_N.mean()), effective_number(is_part_N, groups_N)
    return _interval(share, num)


def effective_number(is_part_N: NDArray[np.bool_], groups_N: NDArray[np.int64]) -> float:
    """How many independent images would tell a share as closely as these images in groups.

    It is `p (1 - p) / v`, with the variance `v` of the share from group to group, and fewer degrees of
    freedom accounted for by the squared ratio of the normal quantile to Student's (Korn & Graubard 1998,
    Survey Methodology 24, 193). It is at most the number of images, and at least what they are worth where
    all images of a group have one outcome, `N^2 / sum(n_g^2)` (Kish 1965), which is the number of groups if
    they are of one size. Where all images have one outcome, or one group holds them all, nothing shows how
    alike the images of a group are, and it is that least number.
    """
    from scipy.stats import t

    _, group_N = np.unique(groups_N, return_inverse=True)
    num_G, num_part_G = np.bincount(group_N), np.bincount(group_N, weights=is_part_N)
    num_images, num_groups, share = len(groups_N), len(num_G), float(is_part_N.mean())
    least = num_images**2 / float(np.square(num_G).sum())
    if num_groups == 1 or share in (0.0, 1.0):
        return least
    squares = float(np.square(num_part_G - share * num_G).sum())
    variance = num_groups / (num_groups - 1) * squares / num_images**2
    ratio = _normal_quantile() / float(t.ppf((1 + CONFIDENCE) / 2, num_groups - 1))
    return min(max(share * (1 - share) * ratio**2 / max(variance, 1e-12), least), num_images)


def _interval(share: float, num: float) -> Interval:
    """Of a share of `num` independent images."""
    square = _normal_quantile() ** 2
    centre = (share + square / (2 * num)) / (1 + square / num)
    half = math.sqrt(square * (share * (1 - share) / num + square / (4 * num**2))) / (1 + square / num)
    return Interval(
        value=share, low=min(max(centre - half, 0), share), high=max(min(centre + half, 1), share)
    )


def _normal_quantile() -> float:
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # SciPy takes a second to import

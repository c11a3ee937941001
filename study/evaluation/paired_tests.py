"""Exact paired tests of two models on the same images, or on the same groups of images."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

# N images, G groups, S sums of signed differences

Alternative = Literal["two-sided", "less"]


def paired_p_value(
    is_right_before_N: NDArray[np.bool_],
    is_right_after_N: NDArray[np.bool_],
    groups_N: NDArray[np.int64] | None,
    alternative: Alternative = "two-sided",
) -> float:
    """How likely such a difference in right images is where neither model is better; of `less`, where the
    second one is not worse.

    Of independent images it is McNemar's exact test (1947). Images of a group stand or fall together; there
    the signs of the groups' differences are flipped, all at once and exactly (Fisher 1935; for groups Canay,
    Romano & Shaikh 2017, Econometrica 85, 1013): if neither model is better, each group would have come out
    the other way round as likely. Of groups of one image it is McNemar's test.
    """
    difference_N = is_right_after_N.astype(np.int64) - is_right_before_N
    if groups_N is None:
        return _mcnemar(int((difference_N > 0).sum()), int((difference_N < 0).sum()), alternative)
    _, group_N = np.unique(groups_N, return_inverse=True)
    difference_G = np.rint(np.bincount(group_N, weights=difference_N)).astype(np.int64)
    return _sign_flips(difference_G, alternative)


def holm_rejected(p_values: list[float], level: float) -> list[bool]:
    """Which hypotheses fall, so that of all that are true any falls with probability `level` at most (Holm
    1979, Scandinavian Journal of Statistics 6, 65).
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _mcnemar(won: int, lost: int, alternative: Alternative) -> float:
    from scipy.stats import binomtest

    return float(binomtest(won, lost + won, alternative=alternative).pvalue) if lost + won else 1.0


def _sign_flips(difference_G: NDArray[np.int64], alternative: Alternative) -> float:
    sizes = [size for size in np.abs(difference_G).tolist() if size]
    total, observed = sum(sizes), int(difference_G.sum())
    chance_S = np.zeros(2 * total + 1)  # of each sum from -total to total
    chance_S[total] = 1.0
    for size in sizes:
        # No sum reaches an end before the last size, so that nothing is rolled over it.
        chance_S = (np.roll(chance_S, size) + np.roll(chance_S, -size)) / 2
    sum_S = np.arange(-total, total + 1)
    is_as_far_S = sum_S <= observed if alternative == "less" else np.abs(sum_S) >= abs(observed)
    return min(float(chance_S[is_as_far_S].sum()), 1.0)

"""Whether a dimension has any influence on the values, or whether chance would show as much."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from study.analysis.additive_model import basis
from study.analysis.effects import Marginals

# N trials, S shuffles

NUM_SHUFFLES = 999
LEVEL = 0.05
"""Chance that any dimension without influence is taken for one that has some."""


def shown_to_matter(marginals: Marginals) -> Mapping[str, bool]:
    """For each dimension whether the trials show that it has an influence by itself, with 95 % confidence for
    all dimensions together.

    Two things are asked. The values, less what the regression says of all other dimensions, must follow the
    dimension more closely than shuffled ones do; and its best value must be better than its worst one by the
    interval of their difference.
    """
    if not marginals.can_tell:
        return {dimension.name: False for dimension in marginals.dimensions}
    by_chance = chances(marginals)
    return {name: chance < LEVEL and _differs(marginals, name) for name, chance in by_chance.items()}


def chances(marginals: Marginals) -> Mapping[str, float]:
    """For each dimension the chance that shuffled values would follow any dimension as closely, by ranks;
    corrected for the number of dimensions (Westfall & Young 1993, in one step).
    """
    from scipy.stats import rankdata

    random = np.random.default_rng(0)
    num = len(marginals.trials)
    order_SN = random.permuted(np.tile(np.arange(num), (NUM_SHUFFLES, 1)), axis=1)
    order_SN = np.vstack([np.arange(num), order_SN])  # the first row is the truth
    tails = []
    for dimension in marginals.dimensions:
        ranks_N = rankdata(marginals.model().without_others(dimension.name))
        has_N = np.array([dimension.has(point) for point in marginals.points])
        points = [point for point in marginals.points if dimension.has(point)]
        tails.append(_tails(_explained(ranks_N[order_SN[:, has_N]], basis(dimension, points))))
    # By dimension and row, the share of all rows that explain at least as much.
    least_S = np.min(tails, axis=0)
    return {
        dimension.name: float((least_S <= tail_S[0]).mean())
        for dimension, tail_S in zip(marginals.dimensions, tails, strict=True)
    }


def _explained(ranks_SN: NDArray[np.float64], columns_NQ: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) share of the variance of the ranks that the columns explain; 0 where all are equal."""
    centred_SN = ranks_SN - ranks_SN.mean(axis=1, keepdims=True)
    left, sizes, _ = np.linalg.svd(columns_NQ - columns_NQ.mean(axis=0), full_matrices=False)
    directions_NQ = left[:, sizes > 1e-6 * max(float(sizes[0]), 1e-12)]
    total_S = np.square(centred_SN).sum(axis=1)
    return np.asarray(np.square(centred_SN @ directions_NQ).sum(axis=1) / np.maximum(total_S, 1e-12))


def _tails(explained_S: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded_S = np.round(explained_S, 12)  # equal shares differ in the last digits
    ordered = np.sort(rounded_S)
    return np.asarray(1 - np.searchsorted(ordered, rounded_S, side="left") / len(ordered))


def _differs(marginals: Marginals, name: str) -> bool:
    gap = marginals.gap(name, maximise=True)
    return gap is not None and gap.low > 0

"""An additive Bayesian regression: a smooth curve for each number, a level for each option.

It is the Gaussian process whose kernel is a sum over dimensions (arXiv:1112.4394), in the form of weights.
How much each dimension varies, and the noise, are estimated by expectation maximisation; the prior of each
standard deviation is zero at zero, so that no interval is narrow for want of data (Chung, Rabe-Hesketh &
Gelman 2013, Psychometrika 78, 685).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from search_spaces.dimensions import Value
from search_spaces.space import Point
from study.analysis.varied_dimensions import VariedDimension

# N trials, P weights of all terms, Q of one term

LENGTH_SCALE = 0.5
"""Of the Matérn kernel (5/2), as a share of a dimension's range."""
NUM_WAVES = 6
"""Leading eigenfunctions of the kernel on [0, 1] that make up a curve; the rest is below 0.1 % of it."""
MAX_STEPS = 200
TOLERANCE = 1e-3
"""Relative change of all standard deviations at which the estimation ends."""
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The mean at one place, with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class _Term:
    """The part of the regression that is one dimension's, or one dimension's within each group of another."""

    dimension: VariedDimension
    group: VariedDimension | None
    centre_Q: NDArray[np.float64]
    """Mean of the columns over the trials where they exist."""

    def rows(self, points: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
        """(N, Q), zero where the dimension does not exist."""
        raw_NQ, exists_N = _columns(self.dimension, self.group, points)
        return np.where(exists_N[:, None], raw_NQ - self.centre_Q, 0.0)


class AdditiveModel:
    """The regression of values on the dimensions of points."""

    def __init__(
        self,
        dimensions: Sequence[VariedDimension],
        points: Sequence[Point],
        values: Sequence[float],
        *,
        by: tuple[str, str] | None = None,
    ) -> None:
        """`by` names a dimension and one of options: the first then has a curve of its own in each group,
        drawn towards the common one. `values` must not all be equal.
        """
        named = {dimension.name: dimension for dimension in dimensions}
        pairs: list[tuple[VariedDimension, VariedDimension | None]] = [(one, None) for one in dimensions]
        if by is not None:
            pairs.append((named[by[0]], named[by[1]]))
        self._terms = [_term(dimension, group, points) for dimension, group in pairs]
        self._y_N = y_N = np.array(values)
        self._level, self._unit = float(y_N.mean()), float(y_N.std())
        self._X_NP = np.hstack([np.ones((len(points), 1)), *(term.rows(points) for term in self._terms)])
        self._slices = _slices([len(term.centre_Q) for term in self._terms])
        self._fit((y_N - self._level) / self._unit)

    def estimates(
        self, changes: Sequence[Mapping[str, Value]], among: Sequence[bool] | None = None
    ) -> list[Estimate]:
        """The mean value where the points had these values in place of theirs, over all points, or over those
        that `among` marks; each change names the same dimensions.
        """
        keep_N = np.ones(len(self._X_NP), bool) if among is None else np.array(among)
        rows_CP = np.repeat(self._X_NP[keep_N].mean(axis=0)[None], len(changes), axis=0)
        for term, place in zip(self._terms, self._slices, strict=True):
            if term.dimension.name in changes[0]:
                rows_CP[:, place] = term.rows(changes)
        return self._estimates(rows_CP, self._level)

    def differences(
        self, changes: Sequence[Mapping[str, Value]], reference: Mapping[str, Value]
    ) -> list[Estimate]:
        """By how much the mean at each of these values exceeds that at `reference`."""
        rows_CP = np.zeros((len(changes), self._X_NP.shape[1]))
        for term, place in zip(self._terms, self._slices, strict=True):
            if term.dimension.name in reference:
                rows_CP[:, place] = term.rows(changes) - term.rows([reference])
        return self._estimates(rows_CP, 0.0)

    def without_others(self, dimension: str) -> NDArray[np.float64]:
        """(N,) the values less what the regression says of all other dimensions."""
        others_P = self._weights_P.copy()
        others_P[0] = 0.0
        for term, place in zip(self._terms, self._slices, strict=True):
            if term.dimension.name == dimension:
                others_P[place] = 0.0
        return np.asarray(self._y_N - self._unit * (self._X_NP @ others_P))

    def _estimates(self, rows_CP: NDArray[np.float64], level: float) -> list[Estimate]:
        from scipy.stats import t

        quantile = float(t.ppf((1 + CONFIDENCE) / 2, self._degrees))
        means = level + self._unit * rows_CP @ self._weights_P
        variances = np.einsum("cp,pq,cq->c", rows_CP, self._covariance_PP, rows_CP)
        halves = quantile * self._unit * np.sqrt(np.maximum(variances, 0.0))
        return [
            Estimate(mean=mean, low=mean - half, high=mean + half)
            for mean, half in zip(means.tolist(), halves.tolist(), strict=True)
        ]

    def _fit(self, y_N: NDArray[np.float64]) -> None:
        X_NP, num = self._X_NP, len(y_N)
        gram_PP, target_P = X_NP.T @ X_NP, X_NP.T @ y_N
        variances = np.full(len(self._terms), 1 / max(len(self._terms), 1))
        noise = 0.5
        precision_P = np.zeros(X_NP.shape[1])  # none for the first weight, the level
        for _ in range(MAX_STEPS):
            for variance, place in zip(variances, self._slices, strict=True):
                precision_P[place] = 1 / variance
            covariance_PP = np.linalg.inv(gram_PP / noise + np.diag(precision_P))
            weights_P = covariance_PP @ target_P / noise
            diagonal_P = np.diagonal(covariance_PP)
            squares = np.array(
                [float((weights_P[place] ** 2 + diagonal_P[place]).sum()) for place in self._slices]
            )
            sizes = np.array([place.stop - place.start for place in self._slices])
            updated = _most_probable_variances(squares, sizes)
            left = float(np.square(y_N - X_NP @ weights_P).sum() + (covariance_PP * gram_PP).sum())
            changed = max(
                np.abs(np.log(updated / variances)).max(initial=0.0), abs(np.log(left / num / noise))
            )
            variances, noise = updated, max(left / num, 1e-6)
            if changed < TOLERANCE:
                break
        self._covariance_PP, self._weights_P = covariance_PP, weights_P
        used = 1 + sum(
            place.stop - place.start - float(diagonal_P[place].sum()) / variance
            for variance, place in zip(variances, self._slices, strict=True)
        )
        self._degrees = max(num - used, 3.0)


def _most_probable_variances(squares: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The variances of weights with these expected sums of squares, under the prior `s exp(-s^2 / 2)` of each
    standard deviation `s`, in units of the values' own.
    """
    return np.asarray((np.sqrt((sizes - 1.0) ** 2 + 4 * squares) - (sizes - 1.0)) / 2)


def _term(dimension: VariedDimension, group: VariedDimension | None, points: Sequence[Point]) -> _Term:
    raw_NQ, exists_N = _columns(dimension, group, points)
    return _Term(dimension=dimension, group=group, centre_Q=raw_NQ[exists_N].mean(axis=0))


def _columns(
    dimension: VariedDimension, group: VariedDimension | None, points: Sequence[Mapping[str, Value]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N, Q) before they are centred, and (N,) whether dimension and group exist."""
    needed = [dimension, *([] if group is None else [group])]
    exists_N = np.array([all(one.name in point for one in needed) for point in points])
    there = [point for point in points if all(one.name in point for one in needed)]
    positions = dimension.positions([point[dimension.name] for point in there])
    found = np.eye(len(dimension.options))[positions.astype(int)] if dimension.options else waves(positions)
    if group is not None:
        groups = np.eye(len(group.options))[
            group.positions([point[group.name] for point in there]).astype(int)
        ]
        found = (groups[:, :, None] * found[:, None, :]).reshape(len(there), -1)
    raw_NQ = np.zeros((len(points), found.shape[1]))
    raw_NQ[exists_N] = found
    return raw_NQ, exists_N


def basis(dimension: VariedDimension, points: Sequence[Point]) -> NDArray[np.float64]:
    """(N, Q) a few columns whose sums are the simplest influences that a dimension can have: a level for each
    option; a rise, a peak and an S for numbers.
    """
    positions = dimension.positions([point[dimension.name] for point in points])
    if dimension.options:
        return np.asarray(np.eye(len(dimension.options))[positions.astype(int)])
    return np.stack([(2 * positions - 1) ** power for power in range(1, 4)], axis=1)


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Where each term's weights are, after that of the level."""
    ends = np.cumsum([1, *sizes]).tolist()
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def waves(position_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, NUM_WAVES): smooth functions on [0, 1] whose sums, weighted by independent standard normal numbers,
    are draws from the kernel.
    """
    return np.asarray(_kernel(position_N, _GRID) @ _leading_waves())


_GRID = np.linspace(0, 1, 33)


@lru_cache
def _leading_waves() -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(_kernel(_GRID, _GRID))
    return np.asarray(vectors[:, -NUM_WAVES:] / np.sqrt(values[-NUM_WAVES:]))


def _kernel(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = np.sqrt(5) * np.abs(one[:, None] - other[None, :]) / LENGTH_SCALE
    return np.asarray((1 + apart + apart**2 / 3) * np.exp(-apart))

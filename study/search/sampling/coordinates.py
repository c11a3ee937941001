"""Points of a space from coordinates in [0, 1): drawn evenly at random, or from a sequence that fills the
space evenly.
"""

import math

import numpy as np

from search_spaces.dimensions import Choice, Dimension, Float, Value
from search_spaces.space import Point, SearchSpace


def random_point(space: SearchSpace, key: tuple[int, ...]) -> Point:
    """A point that follows from the key alone."""
    return _point_at(space, np.random.default_rng(key).random(len(space.dimensions)).tolist())


def sobol_point(space: SearchSpace, seed: int, index: int) -> Point:
    """Number `index` of a Sobol sequence scrambled by the seed.

    Each dimension has a coordinate of its own, which is skipped in points where the dimension does not exist:
    what exists there is still spread evenly. Optuna's own sampler draws conditional dimensions independently.
    """
    from scipy.stats import qmc  # takes some tenths of a second to import

    if not space.dimensions:
        return {}
    sequence = qmc.Sobol(len(space.dimensions), scramble=True, rng=np.random.default_rng(seed))
    if index:  # SciPy cannot skip nothing
        sequence.fast_forward(index)
    return _point_at(space, sequence.random(1)[0].tolist())


def _point_at(space: SearchSpace, coordinates: list[float]) -> Point:
    values = {
        id(dimension): value_at(dimension, share)
        for dimension, share in zip(space.dimensions, coordinates, strict=True)
    }
    return space.build_point(lambda dimension: values[id(dimension)])


def value_at(dimension: Dimension, share: float) -> Value:
    """The value below which `share` of the dimension lies."""
    match dimension:
        case Choice():
            return dimension.options[int(share * len(dimension.options))]
        case Float():
            value = _between(dimension.low, dimension.high, share, log=dimension.log)
            return min(max(value, dimension.low), dimension.high)
        case _:
            # Half a step beyond both ends, so that they are drawn as often as the others.
            number = round(_between(dimension.low - 0.5, dimension.high + 0.5, share, log=dimension.log))
            return min(max(number, dimension.low), dimension.high)


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    return (
        math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        if log
        else low + share * (high - low)
    )

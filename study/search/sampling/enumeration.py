"""Counting and enumerating the points of a space, and telling whether two points are one."""

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from search_spaces.dimensions import Choice, Dimension, Float, Value
from search_spaces.space import Point, SearchSpace, exists

Identity = bytes
"""A digest: a study keeps one for each of its trials."""


def identity(point: Point) -> Identity:
    """Equal for points that train the same: 48 and 48.0 are one value, 1 and True are not."""
    known = sorted(
        (name, int(value) if isinstance(value, float) and value.is_integer() else value)
        for name, value in point.items()
    )
    return hashlib.blake2b(repr(known).encode(), digest_size=16).digest()


def on_grid(space: SearchSpace, num_points: int) -> SearchSpace:
    """The space in which each real-numbered dimension is a choice of values, evenly spaced from its low end
    to its high one.
    """
    return dataclasses.replace(
        space, dimensions=tuple(_on_grid(dimension, num_points) for dimension in space.dimensions)
    )


def num_points(space: SearchSpace) -> float:
    """How many points the space has; infinite where a real-numbered dimension has room.

    Points are counted, not enumerated: only the values on which conditions depend are distinguished.
    """
    conditional = {name for dimension in space.dimensions for name in dimension.when}
    counts: Counter[frozenset[tuple[str, Value]]] = Counter({frozenset(): 1})
    for dimension in space.dimensions:
        options = options_of(dimension)
        after: Any = Counter()
        for known, count in counts.items():
            if not exists(dimension, dict(known)):
                after[known] += count
            elif options is None:
                return math.inf
            elif dimension.name in conditional:
                for option in options:
                    after[known | {(dimension.name, option)}] += count
            else:
                after[known] += count * len(options)
        counts = after
    return sum(counts.values())


def walk(space: SearchSpace, options: Callable[[Dimension], Iterable[Value]]) -> Iterator[Point]:
    """Every point of the values that `options` gives for each dimension that exists, each point once."""

    def points(index: int, point: Point) -> Iterator[Point]:
        if index == len(space.dimensions):
            yield point
            return
        dimension = space.dimensions[index]
        if not exists(dimension, point):
            yield from points(index + 1, point)
            return
        for value in options(dimension):
            yield from points(index + 1, {**point, dimension.name: value})

    return points(0, {})


def options_of(dimension: Dimension) -> "tuple[Value, ...] | range | None":
    """All values of a dimension; None where they cannot be counted."""
    match dimension:
        case Choice():
            return dimension.options
        case Float():
            return (dimension.low,) if dimension.low == dimension.high else None
        case _:
            return range(dimension.low, dimension.high + 1)


def _on_grid(dimension: Dimension, num_points: int) -> Dimension:
    if not isinstance(dimension, Float):
        return dimension
    values = _spaced(dimension, num_points)
    return Choice(
        name=dimension.name, options=values, unit=dimension.unit, about=dimension.about, when=dimension.when
    )


def _spaced(dimension: Float, num_points: int) -> tuple[Value, ...]:
    low, high = dimension.low, dimension.high
    shares = [i / (num_points - 1) for i in range(1, num_points - 1)]
    inner = [low * (high / low) ** share if dimension.log else low + share * (high - low) for share in shares]
    return tuple(dict.fromkeys([low, *inner, high]))

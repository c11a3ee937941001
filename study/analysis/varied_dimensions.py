"""The dimensions that vary among a study's trials, on the scales that its search space gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.dimensions import Choice, Condition, Dimension, Value
from search_spaces.errors import SpaceError
from search_spaces.space import Point, SearchSpace
from study.errors import StudyError
from study.planning.plan import study_space
from study.study_file.study_spec import StudySpec

# N points


@dataclass(frozen=True, kw_only=True)
class VariedDimension:
    """One dimension with at least two values among the points of some trials."""

    name: str
    options: tuple[Value, ...]
    """Those that were tried, in the order of the space; empty where the values are numbers in a range."""
    is_whole: bool
    """Whether the numbers are whole ones."""
    is_log: bool
    """Whether the numbers are drawn evenly in their logarithm."""
    low: float
    """Least number that may be tried, or was; 0 for options."""
    high: float
    exists_when: str | None
    """None where all points have it."""

    def has(self, point: Point) -> bool:
        """Whether it exists in a point."""
        return self.name in point

    def positions(self, values: Sequence[Value]) -> NDArray[np.float64]:
        """(N,) in [0, 1] for numbers, on the dimension's scale; the place among the options for others."""
        if self.options:
            places = {repr(option): place for place, option in enumerate(self.options)}
            return np.array([places[repr(value)] for value in values], float)
        low, high = self._scaled(np.array([self.low, self.high]))
        numbers = self._scaled(np.array([float(value) for value in values]))
        return np.asarray((numbers - low) / (high - low))

    def number_at(self, position: float) -> float:
        """The number at a position in [0, 1]."""
        low, high = self._scaled(np.array([self.low, self.high]))
        at = low + position * (high - low)
        return float(np.exp(at)) if self.is_log else float(at)

    def _scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        # A fixed value may lie outside the range of a logarithm.
        return np.log(np.maximum(numbers, self.low)) if self.is_log else numbers


def varied_dimensions(spec: StudySpec, points: Sequence[Point]) -> tuple[VariedDimension, ...]:
    """The dimensions with at least two values among `points`, in the order of the space."""
    space = _space_or_none(spec)
    names = dict.fromkeys([*(space.names if space else ()), *(name for point in points for name in point)])
    varied = []
    for name in names:
        values = {repr(point[name]): point[name] for point in points if name in point}
        if len(values) > 1:
            varied.append(name)
    return tuple(_dimension(name, space, points, varied) for name in varied)


def _space_or_none(spec: StudySpec) -> SearchSpace | None:
    """The study's space; None where its file is gone or does not load any more."""
    try:
        return study_space(spec)
    except (StudyError, SpaceError):
        return None


def _dimension(
    name: str, space: SearchSpace | None, points: Sequence[Point], varied: Sequence[str]
) -> VariedDimension:
    variants = tuple(one for one in (space.dimensions if space else ()) if one.name == name)
    values = [point[name] for point in points if name in point]
    ranges = [one for one in variants if not isinstance(one, Choice)]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    is_range = is_number and (bool(ranges) or not variants)
    numbers = [float(value) for value in values] if is_range else [0.0]
    low = min([*numbers, *(one.low for one in ranges)]) if is_range else 0.0
    high = max([*numbers, *(one.high for one in ranges)]) if is_range else 0.0
    is_log = is_range and any(one.log for one in ranges)
    if is_log and low <= 0:
        low = min(number for number in (*numbers, *(one.low for one in ranges)) if number > 0)
    return VariedDimension(
        name=name,
        options=() if is_range else _options(variants, values),
        is_whole=is_range and all(isinstance(value, int) for value in values),
        is_log=is_log,
        low=low,
        high=high,
        exists_when=None if len(values) == len(points) else _conditions(variants, varied),
    )


def _options(variants: Sequence[Dimension], values: Sequence[Value]) -> tuple[Value, ...]:
    tried = {repr(value): value for value in values}
    ordered = [option for one in variants if isinstance(one, Choice) for option in one.options]
    known = {repr(option): option for option in ordered if repr(option) in tried}
    return tuple({**known, **tried}.values())


def _conditions(variants: Sequence[Dimension], varied: Sequence[str]) -> str:
    """In words, without conditions on what does not vary, which all trials meet or none."""
    texts = dict.fromkeys(
        " and ".join(f"{name} is {_words(one)}" for name, one in variant.when.items() if name in varied)
        for variant in variants
    )
    return ", or ".join(text for text in texts if text) or "some trials have it"


def _words(condition: Condition) -> str:
    values = " or ".join(map(str, condition.values))
    return f"not {values}" if condition.negated else values

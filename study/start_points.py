"""Start points: configurations that a study tries before the sampler's own, from named recipes or written in the study file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.errors import SpaceError
from search_spaces.named import find_recipe
from search_spaces.space import Point, SearchSpace
from study.errors import SpecError
from study.point import DEFAULTS


@dataclass(frozen=True, kw_only=True)
class StartPoint:
    """A configuration to try first."""

    origin: str
    """Name of the recipe, or `start_from[i]`."""
    point: Point
    """A value for every dimension of the space, and those of the recipe that the space lacks there."""
    overridden: Mapping[str, Value]
    """What the recipe says where the study fixes another value."""


def start_points(wanted: Iterable[str | Mapping[str, Value]], space: SearchSpace, fixed: Mapping[str, Value]) -> tuple[StartPoint, ...]:
    """The start points of a study file, in which the values that the study fixes hold.

    Raises SpecError naming the dimension that refuses one.
    """
    return tuple(_start_point(item, i, space, fixed) for i, item in enumerate(wanted))


def _start_point(item: str | Mapping[str, Value], index: int, space: SearchSpace, fixed: Mapping[str, Value]) -> StartPoint:
    origin = item if isinstance(item, str) else f"start_from[{index}]"
    given: Mapping[str, Value] = find_recipe(item).point if isinstance(item, str) else item
    overridden = {name: value for name, value in given.items() if name in fixed and value != fixed[name]}
    values = {**given, **fixed}
    try:
        inside = space.build_point(lambda dimension: values[dimension.name] if dimension.name in values else _left_open(dimension))
        # What a recipe says beyond the space rides along; a point that a person writes is a point of the space.
        space.check(inside if isinstance(item, str) else {**inside, **{name: given[name] for name in given if name in space.names}})
    except SpaceError as error:
        raise SpecError(
            f"{origin} cannot be a start point of {space.name!r}: {error}; widen the dimension with extend, or fix it"
        ) from None
    beside = {name: value for name, value in given.items() if name not in inside}
    return StartPoint(origin=origin, point=inside | beside, overridden=overridden)


def _left_open(dimension: Dimension) -> Value:
    """The value of a dimension that a start point does not name: its default, or the only one that it can have."""
    if isinstance(dimension, Choice) and len(dimension.options) == 1:
        return dimension.options[0]
    if dimension.name not in DEFAULTS:
        raise SpaceError(f"it says nothing of {dimension.name}, which has no default")
    return DEFAULTS[dimension.name]

"""Start points: configurations that a study tries before the sampler's own, from named recipes or written in
the study file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.errors import SpaceError
from search_spaces.named import find_recipe
from search_spaces.space import Point, SearchSpace
from study.errors import SpecError
from study.recipes.point import DEFAULTS, SWITCHES
from study.study_file.start_from import EarlierBest


@dataclass(frozen=True, kw_only=True)
class StartPoint:
    """A configuration to try first."""

    origin: str
    """Name of the recipe, `start_from[i]`, or the earlier study's trial."""
    point: Point
    """A value for every dimension of the space, and those of the recipe that the space lacks there."""
    overridden: Mapping[str, Value]
    """What the recipe says where the study fixes another value."""


def start_points(
    wanted: Iterable[str | EarlierBest | Mapping[str, Value]], space: SearchSpace, fixed: Mapping[str, Value]
) -> tuple[StartPoint, ...]:
    """The start points that a study file names or writes out, in which the values that the study fixes hold.

    Those of earlier studies are left to `study.earlier`. Raises SpecError naming the dimension that refuses
    one.
    """
    return tuple(
        _start_point(item, i, space, fixed)
        for i, item in enumerate(wanted)
        if not isinstance(item, EarlierBest)
    )


def _start_point(
    item: str | Mapping[str, Value], index: int, space: SearchSpace, fixed: Mapping[str, Value]
) -> StartPoint:
    origin = item if isinstance(item, str) else f"start_from[{index}]"
    given: Mapping[str, Value] = find_recipe(item).point if isinstance(item, str) else item
    try:
        # A point that a person writes is a point of the space.
        return fit(origin, given, space, fixed, goes_beyond=isinstance(item, str))
    except SpaceError as error:
        raise SpecError(
            f"{origin} cannot be a start point of {space.name!r}: {error}; widen the dimension with extend, "
            "or fix it"
        ) from None


def fit(
    origin: str,
    given: Mapping[str, Value],
    space: SearchSpace,
    fixed: Mapping[str, Value],
    *,
    goes_beyond: bool,
) -> StartPoint:
    """A configuration as a point of the space, with what the study fixes, and defaults for what it leaves
    open.

    `goes_beyond` says that what it names beyond the space rides along. Raises SpaceError naming the dimension
    that refuses it.
    """
    overridden = {name: value for name, value in given.items() if name in fixed and value != fixed[name]}
    values = {**given, **fixed}
    inside = space.build_point(
        lambda dimension: (
            values[dimension.name] if dimension.name in values else _left_open(dimension, space, values)
        )
    )
    space.check(
        inside if goes_beyond else {**inside, **{name: given[name] for name in given if name in space.names}}
    )
    beside = {name: value for name, value in given.items() if name not in inside}
    return StartPoint(origin=origin, point=inside | beside, overridden=overridden)


def _left_open(dimension: Dimension, space: SearchSpace, values: Mapping[str, Value]) -> Value:
    """The value of a dimension that a start point does not name: its default, the only one that it can have,
    or that of a switch.
    """
    if isinstance(dimension, Choice) and (len(dimension.options) == 1 or dimension.name in SWITCHES):
        return min(dimension.options, key=lambda option: _unsuitable(dimension.name, option, space, values))
    if dimension.name not in DEFAULTS:
        raise SpaceError(f"it says nothing of {dimension.name}, which has no default")
    return DEFAULTS[dimension.name]


def _unsuitable(
    switch: str, option: Value, space: SearchSpace, values: Mapping[str, Value]
) -> tuple[int, int]:
    """How many named dimensions do not exist at an option of the switch, and how many exist there that are
    not named.
    """
    asking = [dimension for dimension in space.dimensions if switch in dimension.when]
    named = {dimension.name for dimension in asking if dimension.name in values}
    existing = {dimension.name for dimension in asking if dimension.when[switch].holds(option)}
    return len(named - existing), len(existing - named)

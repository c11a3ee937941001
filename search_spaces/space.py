"""A search space: dimensions with conditions, which a study may fix, narrow or extend."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.errors import SpaceError, UnknownNameError

Point = dict[str, Value]
"""One configuration, flat: the value of every dimension that exists in it."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A named set of dimensions, in an order where a condition only looks back.

    Several dimensions may share a name (a range of learning rates for each optimizer) as long as their
    conditions exclude each other: at most one of them exists in a point.
    """

    name: str
    about: str
    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        _check_conditions(self.dimensions)
        _check_variants(self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, each once, in order."""
        return tuple(dict.fromkeys(dimension.name for dimension in self.dimensions))

    def variants(self, name: str) -> tuple[Dimension, ...]:
        """The dimensions that share `name`. Raises UnknownNameError if there is none."""
        found = tuple(dimension for dimension in self.dimensions if dimension.name == name)
        if not found:
            raise UnknownNameError("dimension", name, self.names)
        return found

    def key(self, dimension: Dimension) -> str:
        """A name of its own for each dimension: samplers keep one distribution per name."""
        if len(self.variants(dimension.name)) == 1:
            return dimension.name
        return (
            f"{dimension.name} "
            f"({', '.join(f'{name}={condition}' for name, condition in dimension.when.items())})"
        )

    def build_point(self, choose: Callable[[Dimension], Value]) -> Point:
        """The point that `choose` makes by giving a value for each dimension that exists, asked in order."""
        point: Point = {}
        for dimension in self.dimensions:
            if exists(dimension, point):
                point[dimension.name] = choose(dimension)
        return point

    def check(self, point: Mapping[str, Value]) -> None:
        """Raises SpaceError unless `point` has a value in range for every dimension that exists in it, and no
        other.
        """
        for name in point:
            self.variants(name)
        for dimension in self.dimensions:
            if exists(dimension, point):
                _check_value(dimension, point)
        present = {dimension.name for dimension in self.dimensions if exists(dimension, point)}
        for name in point:
            if name not in present:
                raise SpaceError(
                    f"{name} = {point[name]} does not apply here: it exists only when "
                    f"{_conditions(self.variants(name))}"
                )

    def fix(self, values: Mapping[str, Value]) -> "SearchSpace":
        """The space with some dimensions held at one value each; a name that the space lacks becomes a
        constant of every point.

        A fixed value may lie outside the range it replaces: the range is where to search, the value is a
        decision.
        """
        fixed = [
            dataclasses.replace(_constant(dimension.name, values[dimension.name]), when=dimension.when)
            if dimension.name in values
            else dimension
            for dimension in self.dimensions
        ]
        new = [_constant(name, value) for name, value in values.items() if name not in self.names]
        return self._with(_reachable(new + fixed))

    def narrow(self, ranges: Mapping[str, object]) -> "SearchSpace":
        """The space with smaller ranges: `[low, high]`, or a list of options; where several dimensions share
        the name, each of them.
        """
        for name in ranges:
            self.variants(name)
        space = self
        for name in self.names:
            if name in ranges:
                narrowed = [
                    dimension.narrowed(ranges[name]) if dimension.name == name else dimension
                    for dimension in space.dimensions
                ]
                space = space._with(_reachable(narrowed))
        return space

    def extend(self, dimensions: tuple[Dimension, ...]) -> "SearchSpace":
        """The space with dimensions added, or put in place of all those of the same name."""
        new = {dimension.name for dimension in dimensions}
        return self._with(
            tuple(dimension for dimension in self.dimensions if dimension.name not in new) + dimensions
        )

    def _with(self, dimensions: tuple[Dimension, ...]) -> "SearchSpace":
        return dataclasses.replace(self, dimensions=dimensions)


def exists(dimension: Dimension, point: Mapping[str, Value]) -> bool:
    """Whether the dimension exists in a point that has a value for all the dimensions before it."""
    return all(name in point and condition.holds(point[name]) for name, condition in dimension.when.items())


def _constant(name: str, value: Value) -> Choice:
    return Choice(name=name, options=(value,))


def _reachable(dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    """Leaves out the dimensions that can exist in no point any more."""
    kept: list[Dimension] = []
    for dimension in dimensions:
        if all(_can_hold(kept, name, condition) for name, condition in dimension.when.items()):
            kept.append(dimension)
    return tuple(kept)


def _can_hold(dimensions: list[Dimension], name: str, condition: object) -> bool:
    return any(
        not isinstance(other, Choice) or any(condition.holds(option) for option in other.options)  # type: ignore[attr-defined]
        for other in dimensions
        if other.name == name
    )


def _check_conditions(dimensions: tuple[Dimension, ...]) -> None:
    before: set[str] = set()
    for dimension in dimensions:
        for name in dimension.when:
            if name not in before:
                raise SpaceError(
                    f"{dimension.name!r} depends on {name!r}, which must stand before it in the space"
                )
        before.add(dimension.name)


def _check_variants(dimensions: tuple[Dimension, ...]) -> None:
    for i, one in enumerate(dimensions):
        for other in dimensions[:i]:
            if one.name == other.name and not _exclude(one, other):
                raise SpaceError(
                    f"{one.name!r} stands twice in the space, and both could exist in one point; give them "
                    "conditions"
                )


def _exclude(one: Dimension, other: Dimension) -> bool:
    return any(
        name in other.when and condition.excludes(other.when[name]) for name, condition in one.when.items()
    )


def _check_value(dimension: Dimension, point: Mapping[str, Value]) -> None:
    if dimension.name not in point:
        raise SpaceError(f"the point lacks {dimension.name!r} (range {dimension})")
    if not dimension.holds(point[dimension.name]):
        raise SpaceError(f"{dimension.name} must lie in {dimension}, got {point[dimension.name]!r}")


def _conditions(dimensions: tuple[Dimension, ...]) -> str:
    return ", or ".join(
        " and ".join(f"{name} is {condition}" for name, condition in dimension.when.items())
        for dimension in dimensions
    )
